"""Stores opened as the product opens them, and records to write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.model import (
    Delivery,
    DeliveryMode,
    LineageId,
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
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import SqliteStore, open_store

T = TypeVar("T")

RUN = RunId("run1")


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    """The store at `path`, as the product opens it, with a state folder beside the project."""
    async with open_island() as island, open_store(path, island, origins=origins_of(path), **options) as store:
        yield store


def origins_of(path: Path) -> StoreOrigins:
    return StoreOrigins(path.parent.parent / "state")


def in_trio(body: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        with trio.fail_after(60):
            return await body()

    return trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)


def with_store(path: Path, body: Callable[[SqliteStore], Awaitable[T]], **options: Any) -> T:
    async def main() -> T:
        async with opened(path, **options) as store:
            return await body(store)

    return in_trio(main)


def a_step(id_: str, **changes: Any) -> Step:
    values: dict[str, Any] = {
        "id": StepId(id_),
        "run_id": RUN,
        "key": StepKey("s1:key"),
        "spec": '{"kind":"agent"}',
        "kind": StepKind.AGENT,
        "status": StepStatus.COMPLETED,
        "result": '"answer"',
        "usage": Usage(input_tokens=10, output_tokens=5, cost_microusd=3),
        "started_at": 1.0,
        "finished_at": 2.0,
    }
    return Step(**(values | changes))


def a_delivery(number: int, step_id: str, **changes: Any) -> Delivery:
    values: dict[str, Any] = {
        "run_id": RUN,
        "number": number,
        "step_id": StepId(step_id),
        "mode": DeliveryMode.LIVE,
        "status": StepStatus.COMPLETED,
        "place": f"place{number}",
        "label": "review",
        "phase": "Review",
        "scope": 0,
        "line": 7,
        "requested_at": 1.0,
        "delivered_at": 2.0,
    }
    return Delivery(**(values | changes))


def a_run(id_: str, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": RunId(id_),
        "lineage": LineageId("lineage1"),
        "parent": None,
        "workflow": "review",
        "path": "review.py",
        "source_digest": "digest",
        "args": "{}",
        "args_digest": "args",
        "status": RunStatus.COMPLETED,
        "started_at": 1.0,
        "finished_at": 2.0,
        "now": 1.0,
        "horizon": None,
        "seed": "seed",
        "model": "fast",
        "offline": False,
        "sandbox_level": "strong",
        "version": "0.1.0",
    }
    return Run(**(values | changes))
