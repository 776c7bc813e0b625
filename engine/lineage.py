"""Where a run begins: anew, or where an unfinished one of the same file and arguments left off."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from .keys import content_digest, text_digest
from .model import LineageId, Run, RunId, RunStatus
from .ports import StoreReader
from .refresh import named_steps

if TYPE_CHECKING:
    from .plan import RunPlan


def new_run(plan: RunPlan, reader: StoreReader, run_id: RunId, *, started_at: float, sandbox_level: str) -> Run:
    """The row of a run that begins now.

    It goes on with the run that the plan names, or with the latest one of the same file and arguments where that did
    not complete, and takes over its clock, seed, horizon and what it was to refresh. `--new`, `--fresh` and `--refresh`
    begin a lineage of their own.
    """
    args_digest = content_digest(plan.args)
    latest = reader.latest_run(plan.path, args_digest)
    before = plan.continues or (None if plan.new or plan.fresh or plan.refresh else latest)
    if before is not None and (before.status.finished or before.status is RunStatus.RUNNING):
        before = None
    own_seed = _seed(plan, args_digest)
    return Run(
        id=run_id,
        lineage=LineageId(run_id) if before is None else before.lineage,
        parent=None if before is None else before.id,
        workflow=plan.workflow,
        path=plan.path,
        source_digest=text_digest(plan.source),
        args=plan.args.decode(),
        args_digest=args_digest,
        status=RunStatus.RUNNING,
        started_at=started_at,
        finished_at=None,
        now=started_at if before is None else before.now,
        horizon=(started_at if plan.fresh else None) if before is None else before.horizon,
        refresh=named_steps(plan.refresh, reader, latest) if before is None else before.refresh,
        seed=own_seed if before is None or plan.seed is not None else before.seed,
        model=plan.model,
        offline=plan.offline,
        sandbox_level=sandbox_level,
        version=plan.version,
    )


def _seed(plan: RunPlan, args_digest: str) -> str:
    """What `random` grows from: the workflow and its arguments, and the seed that a person may give."""
    text = "\n".join((plan.workflow, args_digest, plan.seed or ""))
    return blake2b(text.encode(), digest_size=16).hexdigest()
