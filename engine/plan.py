"""One run, decided, and the parts that it runs with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from msgspec import Struct

from .attachments import Attachments
from .grants import DEFAULT_GRANTS
from .model import Run, RunId
from .observe import Replayer
from .ports import Checker, Limits, ModelBackend, ProjectFiles, ScriptHost, Store, Tool, Workbench
from .requests import Horizons, StepDefaults, StepRequests

if TYPE_CHECKING:
    from .clis.turns import AgentPrograms
    from .worktrees.isolation import Isolation


class RunPlan(Struct, frozen=True, kw_only=True):
    """One run, decided: what runs, with what, and within which limits."""

    workflow: str
    path: str  # absolute: with the arguments, it names what a lineage goes on with
    filename: str  # the path as a person reads it in errors
    source: str
    args: bytes  # canonical JSON, defaults filled in
    model: str  # of steps that name none; "offline" where none is configured
    offline: bool
    budget: Limits
    max_microusd: int | None
    concurrency: int
    defaults: StepDefaults
    permissions: tuple[str, ...] = ()  # requested by the workflow
    granted: tuple[str, ...] = DEFAULT_GRANTS
    continues: Run | None = None  # the run that a person named; else the latest unfinished one
    new: bool = False
    fresh: bool = False
    accept: bool = False  # edits of earlier invocations count as plain contents of the project
    refresh: tuple[str, ...] = ()  # words for steps that are to run again
    seed: str | None = None
    version: str = ""
    warnings: tuple[str, ...] = ()  # told when the run begins
    phases: tuple[str, ...] = ()  # that the workflow announces
    prefix_warmup: bool = True  # send one call of a fan-out ahead where its calls share a long prefix


class RunServices(Struct, frozen=True, kw_only=True):
    """The parts that the wiring put together."""

    store: Store
    host: ScriptHost
    checker: Checker
    backend: ModelBackend
    requests: Callable[[StepDefaults, Horizons], StepRequests]
    replayer: Replayer
    files: ProjectFiles
    bench: Workbench | None = None  # of commands; None: nobody runs any
    tree: Tool | None = None  # `FILE_TREE`, which they observe
    attachments: Attachments
    own: Callable[[RunId], AbstractContextManager[object]]  # holds the lock of a run while it lives
    wall_clock: Callable[[], float]
    jitter: Callable[[], float]
    new_run_id: Callable[[], RunId]
    agents: AgentPrograms | None = None  # the agent CLIs that steps may have; None: there are none
    isolation: Callable[[], Isolation] | None = None  # what steps in worktrees need; made when a step first does
