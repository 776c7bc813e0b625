"""What a step did and saw, together with the steps that it goes on with and those that it stands after. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..model import Edit, Observation, StepId, ToolCall, Turn
from ..ports import CutOffStep
from . import tables, work_rows
from .row_parts import Text


class Link(Struct, frozen=True):
    """One of the steps that a step goes on with, or that step itself."""

    id: StepId
    observed: int  # how many rows of `observations` count
    last_turn: int


class Histories:
    """Reads of one connection; raises what its rows make it raise, for the reader to put in words."""

    def __init__(self, connection: sqlite3.Connection, text: Text) -> None:
        self._execute = connection.execute
        self._text = text

    def links(self, step_id: StepId) -> list[Link]:
        """The steps that a step goes on with, the first one first, then itself."""
        links: list[Link] = []
        link: StepId | None = step_id
        while link is not None and link not in (each.id for each in links):
            row = self._execute(tables.LINK, (link,)).fetchone() or (None, 0, None)
            links.insert(0, Link(link, row[1], row[2] or 0))
            link = row[0]
        return links

    # ------------------------------------------------------------ traces

    def turns(self, step_id: StepId) -> list[Turn]:
        return [
            work_rows.turn_of(row, self._text)
            for link in self.links(step_id)
            for row in self.of_step(tables.TURNS, link.id)
        ]

    def tool_calls(self, step_id: StepId) -> list[ToolCall]:
        """In order; of one that was made again when the step was gone on with, the later."""
        calls: dict[tuple[int, int], ToolCall] = {}
        for link in self.links(step_id):
            made = self._calls(link)
            if link.id != step_id:
                made = [call for call in made if call.turn < link.last_turn] + _kept(made, link)
            calls.update(((call.turn, call.number), call) for call in made)
        return [calls[number] for number in sorted(calls)]

    def of_step(self, table: tables.Table, step_id: StepId) -> list[Any]:
        sql = f"SELECT {table.names} FROM {table.name} WHERE step_id = ? ORDER BY {', '.join(table.key)}"  # noqa: S608
        return self._execute(sql, (step_id,)).fetchall()

    def _calls(self, link: Link) -> list[ToolCall]:
        return [work_rows.tool_call_of(row, self._text) for row in self.of_step(tables.TOOL_CALLS, link.id)]

    # ------------------------------------------------------------ for reuse

    def observations(self, step_id: str, observed: int) -> tuple[Observation, ...]:
        """Those of the step's row."""
        if not observed:
            return ()
        found = self._execute(tables.OBSERVED, (step_id, observed)).fetchall()
        return tuple([work_rows.observation_of(row, self._text) for row in found])

    def inherited(self, step_id: str, own: Iterable[Observation]) -> tuple[Edit, ...]:
        """The edits of the steps that it stands after, by epoch, but for those among its `own`."""
        known = {seen.epoch for seen in own if seen.change is not None}
        edits = [work_rows.edit_of(row) for row in self._execute(tables.INHERITED, (step_id,)).fetchall()]
        return tuple([edit for edit in edits if edit.epoch not in known])

    def whole(self, step: CutOffStep) -> CutOffStep:
        """The step with what it saw, `kept` and what it inherited."""
        links = self.links(step.id)
        at = max((number for number, link in enumerate(links) if link.last_turn), default=0)
        kept = tuple(self._kept_on_disk(links[at:]))
        looks = [each for link in links for each in self.observations(link.id, link.observed)]
        for link in links[:at]:
            looks += self._looks(link)
            looks += _seen_by(self._kept(link))
        looks += self._looks(links[at])
        looks += _seen_by(kept)
        observations = _each_once(looks)
        return replace(step, observations=observations, kept=kept, inherited=self.inherited(step.id, observations))

    def _looks(self, link: Link) -> list[Observation]:
        """Of all turns but the last one."""
        found = self._execute(tables.LOOKS, (link.id, link.last_turn)).fetchall()
        return [work_rows.observation_of(row, self._text) for row in found]

    def _kept(self, link: Link) -> list[ToolCall]:
        if self._execute(tables.HAS_EDITS, (link.id,)).fetchone() is None:
            return []
        return _kept(self._calls(link), link)

    def _kept_on_disk(self, links: Sequence[Link]) -> list[ToolCall]:
        """As `_kept`, if an edit among them was made and is not withdrawn; without edits that were not.

        The first of the links made the last turn. Each later one was cut off in it too, and went on with its calls.
        """
        calls = {(call.turn, call.number): call for link in links for call in self._kept(link)}
        kept = [calls[number] for number in sorted(calls)]
        edits = [call.observation.epoch for call in kept if _edits(call) and call.observation is not None]
        made = {epoch for epoch in edits if self._execute(tables.IS_DONE, (epoch,)).fetchone() is not None}
        if not made:
            return []
        return [call for call in kept if not _edits(call) or (call.observation and call.observation.epoch in made)]


def _kept(calls: list[ToolCall], link: Link) -> list[ToolCall]:
    """The calls of the last turn, if one of them edited a file: its other calls were not made again."""
    last = [call for call in calls if call.turn >= link.last_turn]
    return last if any(map(_edits, last)) else []


def _edits(call: ToolCall) -> bool:
    return call.observation is not None and call.observation.change is not None


def _seen_by(calls: Iterable[ToolCall]) -> list[Observation]:
    return [call.observation for call in calls if call.observation is not None]


def _each_once(looks: Iterable[Observation]) -> tuple[Observation, ...]:
    """Without repeated looks. After an edit the same look is another one; an edit itself is one by its epoch."""
    found: list[Observation] = []
    edits: set[int] = set()
    since: set[tuple[str, str, str]] = set()
    for look in looks:
        name = (look.tool, look.arguments, look.digest)
        if look.change is not None and look.epoch not in edits:
            edits.add(look.epoch)
            since.clear()
            found.append(look)
        elif look.change is None and name not in since:
            since.add(name)
            found.append(look)
    return tuple(found)
