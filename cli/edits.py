"""What a run edited, as its events tell: for its last lines and its document."""

from __future__ import annotations

from collections.abc import Iterable

from vibe_workflows.engine.events import EditsCollided, Event, FileEdited, RunFinished

from .render import figures
from .render.happenings import edited_line, named


class Edits:
    """An EventSink."""

    def __init__(self) -> None:
        self.files: dict[str, bool] = {}  # by path, in the order of the first edit: whether that created it
        self.collisions: list[EditsCollided] = []
        self._run = ""
        self._again_steps = 0
        self._again_paths: tuple[str, ...] = ()

    def handle(self, event: Event) -> None:
        match event:
            case FileEdited():
                self.files.setdefault(event.path, event.created)
            case EditsCollided():
                self.collisions.append(event)
            case RunFinished():
                self._run = event.run
                self._again_steps, self._again_paths = event.again_steps, event.again_paths
            case _:
                pass

    def lines(self) -> list[str]:
        """The same with what to do about it, and what edits of an earlier run have cost."""
        lines = [f"{edited_line(self.files)}. To take that back: `vibe undo {self._run}`"] if self.files else []
        if met := list(dict.fromkeys(event.path for event in self.collisions)):
            lines.append(
                f"{figures.count(len(met), 'file')} edited by two agents at once: {named(met)}. "
                f"`vibe trace {self._run}` says where"
            )
        if self._again_steps:
            lines.append(
                f"{figures.count(self._again_steps, 'step')} ran again, since an earlier run had edited "
                f"{named(self._again_paths)}. With `vibe undo {self._run}` before the next change of the script, "
                "that change costs no more than itself"
            )
        return lines

    def to_json(self) -> list[dict[str, object]]:
        return [{"path": path, "created": created} for path, created in self.files.items()]

    def collisions_json(self) -> list[dict[str, object]]:
        return [
            {
                "path": event.path,
                "where": event.where.value,
                "steps": [event.other_number, event.number],
                "lines": list(event.lines) if event.lines[0] else None,
            }
            for event in self.collisions
        ]


def edits_of(events: Iterable[Event]) -> Edits:
    """Of a run that is over."""
    edits = Edits()
    for event in events:
        edits.handle(event)
    return edits
