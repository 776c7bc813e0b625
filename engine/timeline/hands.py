"""One live step's way to the project."""

from __future__ import annotations

from collections.abc import Mapping

from ..model import JSON, Observation
from ..ports import Along, EditingTool, Outcome, Tool
from .project import Project
from .timeline import Witness


class StepHands:
    """Implements `ports.Hands` for the step that `witness` is of; `number` is its call."""

    def __init__(self, project: Project, witness: Witness, number: int) -> None:
        self._project = project
        self._witness = witness
        self._number = number

    def edits_before(self, epoch: int) -> int:
        return self._project.edits_before(epoch)

    async def look(
        self, tool: Tool, arguments: Mapping[str, JSON], *, as_text: bool = False
    ) -> tuple[Outcome, Observation | None]:
        return await self._project.look(self._witness, tool, arguments, as_text=as_text)

    async def edit(
        self, tool: EditingTool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, Observation | None]:
        return await self._project.edit(self._witness, self._number, tool, arguments, along)
