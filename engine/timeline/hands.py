"""One live step's way to the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..model import JSON, Observation
from ..ports import Along, CommandTool, EditingTool, Outcome, Record, Tool, ToolResult
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
        return await self._project.edit(self._witness, self._number, tool, arguments, self._with_its_row(along))

    async def command(
        self, tool: CommandTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, tuple[Observation, ...]]:
        return await self._project.command(self._witness, self._number, tool, arguments, self._with_its_row(along))

    def _with_its_row(self, along: Along) -> Along:
        def all_along(result: ToolResult, seen: Sequence[Observation]) -> Sequence[Record]:
            return [*self._begun(), *along(result, seen)]

        return all_along
