"""From settings, a request and what a workflow says of itself to the plan of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.grants import DEFAULT_GRANTS
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import Run, RunStatus
from vibe_workflows.engine.plan import RunPlan
from vibe_workflows.engine.ports import Limits, StoreReader
from vibe_workflows.engine.requests import StepDefaults
from vibe_workflows.engine.version import VERSION

from .models import OFFLINE, default_model

if TYPE_CHECKING:
    from vibe_workflows.catalog.discovery import WorkflowSource


def _require_a_model_again(continues: Run, model: str, settings: Settings) -> None:
    """Raises ConfigError where what a model began would be ended by made-up answers that nobody asked for."""
    if not (continues.offline or model or settings.offline):
        raise ConfigError(
            f"run {continues.id} asked {continues.model}, and no model is configured now; name one with --model, or "
            "take made-up answers for the rest with --offline"
        )


def run_plan(
    settings: Settings,
    request: RunRequest,
    source: WorkflowSource,
    metadata: Metadata,
    args: bytes,
    continues: Run | None,
) -> RunPlan:
    model = default_model(settings, metadata)
    if request.resume and continues is not None:
        _require_a_model_again(continues, model, settings)
    return RunPlan(
        workflow=source.file.name,
        path=str(source.file.path),
        filename=shown(source.file.path),
        source=source.text,
        args=args if continues is None else continues.args.encode(),
        model=model or OFFLINE,
        offline=not model,
        budget=_budget(request.budget, settings.budget, metadata.budget),
        max_microusd=settings.max_microusd,
        concurrency=request.concurrency or metadata.concurrency or settings.concurrency,
        prefix_warmup=settings.prefix_warmup,
        defaults=StepDefaults(
            max_tokens=settings.max_tokens,
            max_turns=settings.max_turns,
            timeout_s=settings.timeout_s,
            retries=settings.retries,
        ),
        phases=metadata.phases,
        permissions=metadata.permissions,
        granted=granted(settings),
        continues=continues,
        new=request.new,
        fresh=request.fresh,
        refresh=request.refresh,
        accept=request.accept,
        seed=request.seed,
        version=VERSION,
    )


def granted(settings: Settings) -> tuple[str, ...]:
    return (*DEFAULT_GRANTS, *settings.allow)


def continued(reader: StoreReader, prefix: str) -> Run:
    """The last run of the lineage that a person names. Raises ConfigError where there is nothing to go on with."""
    found = reader.find_runs(prefix)
    if len(found) != 1:
        raise ConfigError(f"{len(found)} runs begin with `{prefix}`; `vibe runs` lists them")
    run = found[0]
    latest = reader.latest_run(run.path, run.args_digest)
    if latest is not None and latest.lineage == run.lineage:
        run = latest
    if run.status is RunStatus.RUNNING:
        raise ConfigError(f"run {run.id} is at work in another process; stop it there, or wait for it")
    if run.status.finished:
        raise ConfigError(f"run {run.id} has completed; `vibe run` of the same workflow answers it from the store")
    return run


def shown(path: Path) -> str:
    """A path as a person reads it: relative where the file lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _budget(asked: Limits | None, configured: Limits, declared: Limits) -> Limits:
    """Unit by unit: what was asked for now; else the lower one of the config's limit and the workflow's own."""

    def unit(name: str) -> float | None:
        if asked is not None and (wanted := getattr(asked, name)) is not None:
            return float(wanted)
        known = [limit for limit in (getattr(configured, name), getattr(declared, name)) if limit is not None]
        return min(known, default=None)

    tokens, microusd, steps = (None if (limit := unit(name)) is None else int(limit) for name in _WHOLE_UNITS)
    return Limits(tokens=tokens, microusd=microusd, steps=steps, seconds=unit("seconds"))


_WHOLE_UNITS = ("tokens", "microusd", "steps")
