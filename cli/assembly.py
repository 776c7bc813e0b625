"""The engine at work, put together for one invocation: island, store, sandbox, backends, tools."""

from __future__ import annotations

import gc
import os
import random
import secrets
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from vibe_workflows.catalog.arguments import bind_arguments
from vibe_workflows.catalog.index import Index
from vibe_workflows.catalog.metadata import Metadata, read_metadata
from vibe_workflows.engine.agents.tools.registry import ToolBox, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.errors import (
    ConfigError,
    ExitCode,
    SandboxWeak,
    VibeError,
    WorkflowError,
)
from vibe_workflows.engine.grants import DEFAULT_GRANTS, require_requested
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import Run, RunId, RunStatus
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.ports import EventSink, Limits, ModelBackend, StoreReader
from vibe_workflows.engine.requests import Horizons, ResolveModel, StepDefaults, StepRequests
from vibe_workflows.engine.run import RunPlan, RunServices, Stop, execute
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store
from vibe_workflows.engine.version import VERSION
from vibe_workflows.sandbox.checker import open_checker
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.host import SandboxHost, open_host
from vibe_workflows.sandbox.launcher import Zygote
from vibe_workflows.sandbox.level import Level
from vibe_workflows.sandbox.limits import MIB, ChildLimits, HostLimits

from . import wiring
from .binding import given_arguments
from .models import OFFLINE, close_backend, default_model, equipped, model_resolver, open_backends

if TYPE_CHECKING:
    from vibe_workflows.catalog.discovery import WorkflowSource
    from vibe_workflows.sandbox.confine import ConfineReport
    from vibe_workflows.sandbox.doctor import DoctorReport


def run_workflow(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
) -> RunReport:
    gc.freeze()  # what is imported by now stays; see main() for the rest
    return trio.run(
        _run_workflow, zygote, settings, request, sinks, backend, restrict_keyboard_interrupt_to_checkpoints=True
    )


def read_all_metadata(zygote: Zygote, sources: Sequence[WorkflowSource], index: Index) -> list[Metadata]:
    async def main() -> list[Metadata]:
        async with open_checker(zygote) as checker:
            return await read_metadata(sources, checker, index)

    return trio.run(main)


def probe_scripts(zygote: Zygote) -> DoctorReport:
    from vibe_workflows.sandbox.doctor import probe

    return trio.run(probe, zygote)


def probe_commands() -> ConfineReport:
    from vibe_workflows.sandbox.confine import probe_confinement

    return trio.run(probe_confinement)


async def _run_workflow(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
) -> RunReport:
    stop = Stop()
    failure: VibeError | SandboxUnavailable | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stop)
        try:
            report = await _assemble_and_execute(zygote, settings, request, sinks, backend, stop)
        except (VibeError, SandboxUnavailable) as error:
            failure = error  # raised below: the nursery would wrap it
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return report


async def _assemble_and_execute(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
    stop: Stop,
) -> RunReport:
    async with AsyncExitStack() as stack:
        island = await stack.enter_async_context(open_island())
        host = await stack.enter_async_context(open_host(zygote, _host_limits(settings)))
        _require_level(host, settings)
        index = stack.enter_context(wiring.open_index(settings))
        source = wiring.find_source(settings, request.target, request.source_text)
        (metadata,) = await read_metadata([source], host.checker, index)
        _require_sound(metadata, _shown(source.file.path))
        require_requested(_shown(source.file.path), metadata.permissions, _granted(settings))
        args = b""  # a run that is gone on with keeps its own
        if not request.resume:
            args = await bind_arguments(metadata.args, given_arguments(request, metadata), host.checker, index)
        # Only now: what was never run leaves no store behind.
        store = await stack.enter_async_context(
            open_store(settings.db_path, island, origins=StoreOrigins(settings.state_dir))
        )
        continues = _continued(store.reader, request.resume) if request.resume else None
        plan = _plan(settings, request, source, metadata, args, continues)
        plan = replace(plan, warnings=tuple(filter(None, (store.warning, _weakness(host)))))
        backend = equipped(backend or open_backends(settings, island), settings)
        stack.push_async_callback(close_backend, backend)
        workspace = Workspace(settings.project_root, host.checker)
        tools = read_tools(workspace)
        services = RunServices(
            store=store,
            host=host,
            checker=host.checker,
            backend=backend,
            requests=partial(_requests, ToolBox(tools, _granted(settings)), model_resolver(settings, metadata)),
            replayer=Replayer(tools),
            attachments=Attachments(workspace, time.time),
            own=RunLocks(settings.db_path).hold,
            wall_clock=time.time,
            jitter=random.random,
            new_run_id=lambda: RunId(secrets.token_hex(5)),
        )
        return await execute(plan, services, sinks, stop)


def _plan(
    settings: Settings,
    request: RunRequest,
    source: WorkflowSource,
    metadata: Metadata,
    args: bytes,
    continues: Run | None,
) -> RunPlan:
    model = default_model(settings, metadata)
    return RunPlan(
        workflow=source.file.name,
        path=str(source.file.path),
        filename=_shown(source.file.path),
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
        permissions=metadata.permissions,
        granted=_granted(settings),
        continues=continues,
        new=request.new,
        fresh=request.fresh,
        refresh=request.refresh,
        seed=request.seed,
        version=VERSION,
    )


def _granted(settings: Settings) -> tuple[str, ...]:
    return (*DEFAULT_GRANTS, *settings.allow)


def _continued(reader: StoreReader, prefix: str) -> Run:
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


def _require_sound(metadata: Metadata, filename: str) -> None:
    if metadata.problems:
        raise WorkflowError("\n".join(metadata.problem_lines(filename)))


def _require_level(host: SandboxHost, settings: Settings) -> None:
    """Raise SandboxWeak where this machine's walls are lower than what the person accepts."""
    accepted = settings.sandbox_accept
    if not host.level.meets(accepted):
        raise SandboxWeak(
            f"the sandbox of this machine is {host.level}, and {accepted} is asked for; `vibe doctor` shows which "
            f"walls are missing. To run all the same: --sandbox-accept {host.level}, or `sandbox: {{accept: "
            f"{host.level}}}` in your own config"
        )


def _weakness(host: SandboxHost) -> str:
    """What the trace says of a run that a person let begin behind less than every wall."""
    if host.level.meets(Level.STRONG):
        return ""
    missing = [f"{name} ({why})" for name, why in host.layers.items() if name.startswith("no ")]
    return f"the sandbox of this run is {host.level}, which was accepted: {', '.join(missing) or 'see `vibe doctor`'}"


def _host_limits(settings: Settings) -> HostLimits:
    child = ChildLimits(memory_bytes=settings.sandbox_memory_mb * MIB, cpu_s=settings.sandbox_cpu_s)
    return HostLimits(
        child=child,
        calls=settings.sandbox_calls,
        logs=settings.sandbox_log_lines,
        stall_s=settings.sandbox_stall_s,
    )


def _shown(path: Path) -> str:
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


def _requests(tools: ToolBox, resolve: ResolveModel, defaults: StepDefaults, horizons: Horizons) -> StepRequests:
    return StepRequests(tools=tools, resolve_model=resolve, defaults=defaults, horizons=horizons)


# ---------------------------------------------------------------- signals


async def _watch_signals(stop: Stop, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """The first Ctrl-C or SIGTERM stops the run cleanly, the second one ends the process at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            if stop.status is not None:
                os._exit(128 + number)  # the zygote and its children end with this process
            terminated = number == signal.SIGTERM
            stop.ask(RunStatus.INTERRUPTED, ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED)
