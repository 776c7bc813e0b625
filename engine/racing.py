"""What a step in a race may do: one that is cancelled must leave nothing behind, nor one that is never started again.

Which branches of a race get to do anything depends on who is first, and on a rerun losers do not start. So nothing in
it changes files of the project: agents work in worktrees, and what the winner did is merged after the race.
"""

from __future__ import annotations

from .errors import SetupError
from .grants import may_edit
from .model import StepKind
from .requests import StepRequest

_WORKTREE = 'isolation="worktree", merge="manual", detail=True'


def require_bystander(request: StepRequest) -> None:
    """Raises SetupError where a step would change the project from inside a race."""
    spec = request.spec
    changing = [grant for grant in spec.grants if may_edit([grant])]
    if spec.kind is StepKind.MERGE:
        raise SetupError("merge in a race: only the winner is to be merged; call merge(...) with it after the race")
    if spec.kind is StepKind.TOOL:
        if changing:
            raise SetupError(
                f"tool {spec.tool} in a race: it may change files, also for a branch that does not win; call it after "
                "the race, with what the winner gave"
            )
        return
    if spec.isolation:
        if spec.merge != "manual":
            raise SetupError(
                f"agent in a race: a worktree of a branch that does not win must not be merged; write {_WORKTREE}, "
                "and after the race merge(winner)"
            )
        return
    if changing:
        raise SetupError(
            f"agent in a race: with `{changing[0]}` it may change files, also in a branch that does not win; let it "
            f"work in a worktree: {_WORKTREE}, and after the race merge(winner)"
        )
