"""What a step did and saw, together with the steps that it goes on with and those that it stands after. Blocking."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..model import AGENT_CALL, Edit, Observation, StepId, ToolCall, Turn
from ..ports import CutOffStep
from . import tables, work_rows
from .row_parts import Text


class Link(Struct, frozen=True):
    """One of the steps that a step goes on with, or that step itself."""

    id: StepId
    observed: int  # how many rows of `observations` count
    last_turn: int  # 0: it finished none of its own


class _Made(Struct, frozen=True):
    """A tool call without its texts."""

    step: StepId
    turn: int
    number: int
    call_id: str
    looks: tuple[Observation, ...]

    @property
    def edits(self) -> bool:
        """Also in a worktree."""
        return any(look.change is not None for look in self.looks)

    @property
    def stays(self) -> bool:
        """Whether it is not made again: it edited a file, or it is the turn itself of an agent CLI."""
        return self.edits or self.call_id == AGENT_CALL


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
        links = self.links(step_id)
        made = {(each.step, each.turn, each.number): each.looks for each in self._made(links)}
        rows = [row for link in links for row in self.of_step(tables.TOOL_CALLS, link.id)]
        calls = [work_rows.tool_call_of(row, self._text, made[row[:3]]) for row in rows if row[:3] in made]
        return sorted(calls, key=lambda call: (call.turn, call.number))

    def of_step(self, table: tables.Table, step_id: StepId) -> list[Any]:
        sql = f"SELECT {table.names} FROM {table.name} WHERE step_id = ? ORDER BY {', '.join(table.key)}"  # noqa: S608
        return self._execute(sql, (step_id,)).fetchall()

    # ------------------------------------------------------------ for reuse

    def observations(self, step_id: str, observed: int) -> tuple[Observation, ...]:
        """Those of the step's row."""
        if not observed:
            return ()
        found = self._execute(tables.OBSERVED, (step_id, observed)).fetchall()
        return tuple([work_rows.observation_of(row, self._text) for row in found])

    def inherited(self, step_id: str, own: Iterable[Observation]) -> tuple[Edit, ...]:
        """The edits of the steps that it stands after, by epoch, but for those among its `own`."""
        known = {seen.epoch for seen in own if seen.edit is not None}
        edits = [work_rows.edit_of(row) for row in self._execute(tables.INHERITED, (step_id,)).fetchall()]
        return tuple([edit for edit in edits if edit.epoch not in known])

    def whole(self, step: CutOffStep) -> CutOffStep:
        """The step with what it saw, `kept` and what it inherited."""
        links = self.links(step.id)
        made = self._made(links)
        last_turn = max([step.turns, *(link.last_turn for link in links)])
        kept = self._kept([each for each in made if each.turn >= last_turn])
        looks = [each for link in links for each in self.observations(link.id, link.observed)]
        before = [each for each in made if each.turn < last_turn]
        looks += [look for each in (*before, *kept) for look in each.looks]
        observations = self._each_once(looks)
        return replace(
            step,
            observations=observations,
            kept=tuple(map(self._call, kept)),
            inherited=self.inherited(step.id, observations),
        )

    def _each_once(self, looks: Iterable[Observation]) -> tuple[Observation, ...]:
        """Without repeated looks. After an edit of any step the same look is another one; an edit is one by its epoch.

        What was seen in a worktree has the epoch of that; each change there is one of its own.
        """
        found: list[Observation] = []
        edits: set[int] = set()
        since: set[tuple[str, str, str, int]] = set()
        for look in looks:
            if look.change is not None:
                if look.aside or look.epoch not in edits:
                    edits.update(() if look.aside else (look.epoch,))
                    since.clear()
                    found.append(look)
                continue
            name = (look.tool, look.arguments, look.digest, look.epoch if look.aside else self._edit_before(look.epoch))
            if name not in since:
                since.add(name)
                found.append(look)
        return tuple(found)

    def _edit_before(self, epoch: int) -> int:
        """The epoch of the latest edit before it, of any step."""
        (found,) = self._execute(tables.EDIT_BEFORE, (epoch,)).fetchone()
        return int(found or 0)

    def _made(self, links: list[Link]) -> list[_Made]:
        """The calls that count, in order.

        When a step is gone on with, the calls of its last turn count if one of them stays. Else they are made
        again, all of them; in any case a call that was made again takes the place of the earlier one.
        """
        made: dict[tuple[int, int], _Made] = {}
        last_turn = 0
        for link in links:
            if not any(each.stays for each in made.values() if each.turn >= last_turn):
                made = {place: each for place, each in made.items() if each.turn < last_turn}
            last_turn = max(last_turn, link.last_turn)
            looks: dict[tuple[int, int], list[Observation]] = {}
            for turn, number, *seen in self._execute(tables.SEEN_BY_CALLS, (link.id,)).fetchall():
                looks.setdefault((turn, number), []).append(work_rows.observation_of(seen, self._text))
            for turn, number, call_id in self._execute(tables.MADE, (link.id,)).fetchall():
                made[turn, number] = _Made(link.id, turn, number, call_id, tuple(looks.get((turn, number), ())))
        return [made[place] for place in sorted(made)]

    def _kept(self, last: list[_Made]) -> list[_Made]:
        """Of the calls of a last turn, those that need not be made again: none, unless one of them edited a file."""
        done = [each for each in last if not each.edits or self._is_done(each)]
        return done if any(each.stays for each in done) else []

    def _is_done(self, made: _Made) -> bool:
        """Whether the edits of a call were made. Those in a worktree were once the call was stored."""
        epochs = [look.epoch for look in made.looks if look.edit is not None]
        return all(self._execute(tables.IS_DONE, (epoch,)).fetchone() is not None for epoch in epochs)

    def _call(self, made: _Made) -> ToolCall:
        row = self._execute(tables.CALL, (made.step, made.turn, made.number)).fetchone()
        return work_rows.tool_call_of(row, self._text, made.looks)
