"""One live step's way to the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..model import JSON, Observation
from ..ports import Along, EditingTool, Outcome, PlannedEdit, Record, Tool
from .project import Project
from .timeline import Witness


class StepHands:
    """Implements `ports.Hands` for the step that `witness` is of; `number` is its call.

    `begun` gives the row of the step, if that is not stored yet: whoever finds an edit has to find whose it is.
    """

    def __init__(
        self, project: Project, witness: Witness, number: int, begun: Callable[[], Sequence[Record]] = tuple
    ) -> None:
        self._project = project
        self._witness = witness
        self._number = number
        self._begun = begun

    def edits_before(self, epoch: int) -> int:
        return self._project.edits_before(epoch)

    async def look(
        self, tool: Tool, arguments: Mapping[str, JSON], *, as_text: bool = False
    ) -> tuple[Outcome, Observation | None]:
        return await self._project.look(self._witness, tool, arguments, as_text=as_text)

    async def edit(
        self, tool: EditingTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, Observation | None]:
        def all_along(plan: PlannedEdit, seen: Observation) -> Sequence[Record]:
            return [*self._begun(), *along(plan, seen)]

        return await self._project.edit(self._witness, self._number, tool, arguments, all_along)
