"""The gate of a step, run once more on what comes of its merge: others have changed the project since it was green."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from ..agents.tools.workspace import visible
from ..errors import CommandsRefused, CommandUnavailable, SetupError, ToolFailed
from ..gates import GATE_S, GateTool, gate_end, gate_failed
from ..ports import ToolResult, Worktree

_NAMED = 10


class MergedGate(Struct, frozen=True, kw_only=True):
    """Implements `landing.Gate`. What it changes there is not kept.

    `tree` is the digest of all files for which it was green, `moved` names what is known to have changed since, and
    `ran` hears what it said, and when it began.
    """

    tool: GateTool
    tree: str
    left_s: Callable[[], float]
    moved: Callable[[], Sequence[str]]
    ran: Callable[[ToolResult, float], Awaitable[None]]
    clock: Callable[[], float]

    async def require_green(self, worktree: Worktree, files: Mapping[str, bytes | None]) -> None:
        job = self.tool.job({"timeout_s": min(self.left_s(), GATE_S)})
        started_at = self.clock()
        try:
            async with worktree.bench.working(job, files) as worked:
                told = self.tool.told(job, worked.end, ())
        except CommandsRefused as error:
            raise SetupError(error.message) from error
        except CommandUnavailable as error:
            raise ToolFailed(f"the gate `{' '.join(self.tool.argv)}` cannot be run here: {error.message}") from error
        await self.ran(told, started_at)
        end = gate_end(told)
        if not end.green:
            raise gate_failed(self.tool.argv, end, 1, f"it was green in the worktree alone. {self._since}")

    @property
    def _since(self) -> str:
        moved = [visible(path) for path in self.moved()]
        names = ", ".join(moved[:_NAMED]) + (f" and {len(moved) - _NAMED:,} more" if len(moved) > _NAMED else "")
        changed = f"{names} changed in the project" if moved else "the project was changed by hand"
        return f"Since then {changed}, and with that it is red: nothing was merged"
