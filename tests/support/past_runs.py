"""Records of runs that are over, and a store that holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from tests.support.command import Command
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.model import (
    Delivery,
    DeliveryMode,
    Fault,
    LineageId,
    Observation,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKey,
    StepKind,
    StepStatus,
    Usage,
)
from vibe_workflows.engine.ports import Record
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store

USAGE = Usage(input_tokens=12_000, output_tokens=345, cached_tokens=6_000, cost_microusd=30_000)


def a_run(run_id: str, *, started_at: float = 1_000.0, status: RunStatus = RunStatus.COMPLETED, **more: Any) -> Run:
    fields: dict[str, Any] = {
        "id": RunId(run_id),
        "lineage": LineageId(run_id),
        "parent": None,
        "workflow": "review",
        "path": "/project/review.py",
        "source_digest": "d",
        "args": '{"path":"src"}',
        "args_digest": "a",
        "status": status,
        "started_at": started_at,
        "finished_at": started_at + 60,
        "now": started_at,
        "horizon": None,
        "seed": "s",
        "model": "gpt",
        "offline": False,
        "sandbox_level": "strong",
        "version": "1",
        "result": '"done"',
        "usage": USAGE,
        "paid": USAGE,
        "live_steps": 1,
        "stored_steps": 1,
    }
    return Run(**{**fields, **more})


def a_step(
    run: str,
    number: int,
    *,
    status: StepStatus = StepStatus.COMPLETED,
    fault: Fault | None = None,
    usage: Usage = USAGE,
    model: str = "gpt-4o",
    turns: int = 2,
    observations: tuple[Observation, ...] = (),
) -> Step:
    return Step(
        id=StepId(f"{run}-{number}"),
        run_id=RunId(run),
        key=StepKey(f"s1:{number}"),
        spec=json.dumps(
            {"kind": "agent", "prompt": f"Look at {number}.\nClosely.", "system": "Be brief.", "model": "gpt-4o"}
        ),
        kind=StepKind.AGENT,
        status=status,
        result=None if fault is not None else '"an answer"',
        usage=usage,
        started_at=1_000.0,
        finished_at=1_002.5,
        turns=turns,
        model=model,
        fault=fault,
        observations=observations,
    )


def delivered(
    run: str,
    number: int,
    step: Step,
    *,
    stored: bool = False,
    phase: str = "Review",
    label: str | None = None,
    model_reason: str = "",
) -> Delivery:
    return Delivery(
        run_id=RunId(run),
        number=number,
        step_id=step.id,
        mode=DeliveryMode.STORED if stored else DeliveryMode.LIVE,
        status=StepStatus.CACHED if stored else step.status,
        place=f"p{number}",
        label=f"review:{number}" if label is None else label,
        phase=phase,
        scope=0,
        line=14,
        requested_at=1_000.0,
        delivered_at=1_003.0,
        reason="nothing that it depends on has changed" if stored else "",
        model_reason=model_reason,
    )


def fill(command: Command, records: Sequence[Record]) -> None:
    """A store in the project that this user made, with these records."""
    path = command.project / ".vibe" / "vibe.db"
    path.parent.mkdir(exist_ok=True)
    origins = StoreOrigins(Path(command.home) / ".local" / "state" / "vibe")

    async def write() -> None:
        async with open_island() as island, open_store(path, island, origins=origins) as store:
            await store.commit(records)

    trio.run(write)
