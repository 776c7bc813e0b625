"""The engine at work, put together for one invocation: island, store, sandbox, backends, tools."""

from __future__ import annotations

import gc
import os
import random
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import trio
from msgspec.structs import replace

from vibe_workflows.catalog.arguments import bind_arguments
from vibe_workflows.catalog.discovery import Origin
from vibe_workflows.catalog.metadata import Metadata, read_metadata
from vibe_workflows.engine.agents.profiles import Profiles, vocabulary
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.file_tree import FileTree
from vibe_workflows.engine.agents.tools.ignore_memory import IgnoreMemory
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.registry import ToolBox, edit_tools, read_tools, web_tools
from vibe_workflows.engine.agents.tools.run_command import RunCommand
from vibe_workflows.engine.agents.tools.web_access import WebAccess
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.errors import (
    ExitCode,
    SandboxWeak,
    VibeError,
    WorkflowError,
)
from vibe_workflows.engine.grants import missing_grants, require_requested
from vibe_workflows.engine.island import Island, open_island
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import RunId, RunStatus
from vibe_workflows.engine.plan import RunPlan, RunServices
from vibe_workflows.engine.ports import EventSink, ModelBackend, Store, Tool
from vibe_workflows.engine.requests import ChooseAgents, Horizons, ResolveModel, StepDefaults, StepRequests
from vibe_workflows.engine.run import Stop, execute
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import open_store
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.host import SandboxHost, open_host
from vibe_workflows.sandbox.launcher import Zygote
from vibe_workflows.sandbox.level import Level
from vibe_workflows.sandbox.limits import MIB, ChildLimits, HostLimits

from . import workflow_files
from .benches import open_benches
from .binding import given_arguments
from .commands import ConfinedCommands, program_outside
from .looks import ProjectLooks
from .models import close_backend, equipped, model_resolver, open_backends
from .planning import continued, granted, run_plan, shown
from .profiles import folders_of_profiles, trust_in_profiles
from .working import LazyBench, Trees

if TYPE_CHECKING:
    from vibe_workflows.catalog.discovery import WorkflowSource
    from vibe_workflows.engine.clis.turns import AgentPrograms
    from vibe_workflows.engine.dry_run import DryRun
    from vibe_workflows.engine.mcp.servers import RunServers
    from vibe_workflows.sandbox.confine import ConfineReport
    from vibe_workflows.sandbox.doctor import DoctorReport


def run_workflow(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
) -> RunReport:
    _spare_the_imported()
    make = partial(_run, zygote, settings, request, sinks, backend)
    return trio.run(_run_and_watch, make, restrict_keyboard_interrupt_to_checkpoints=True)


@cache
def _spare_the_imported() -> None:
    """What is imported by now stays; see main() for the rest. Once: later it would keep the garbage of earlier runs."""
    gc.freeze()


def dry_run(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
) -> DryRun:
    make = partial(_dry_run, zygote, settings, request, sinks, backend)
    return trio.run(_run_and_watch, make, restrict_keyboard_interrupt_to_checkpoints=True)


def probe_scripts(zygote: Zygote) -> DoctorReport:
    from vibe_workflows.sandbox.doctor import probe

    return trio.run(probe, zygote)


def probe_commands() -> ConfineReport:
    from vibe_workflows.sandbox.confine import probe_confinement

    return trio.run(probe_confinement)


_Report = TypeVar("_Report")


async def _run_and_watch(make: Callable[[AsyncExitStack, Stop], Awaitable[_Report]]) -> _Report:
    """What `make` gives, with parts that are closed after it, while signals stop it."""
    stop = Stop()
    failure: VibeError | SandboxUnavailable | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_watch_signals, stop)
        try:
            async with AsyncExitStack() as stack:
                report = await make(stack, stop)
        except (VibeError, SandboxUnavailable) as error:
            failure = error  # raised below: the nursery would wrap it
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return report


class _Checked(NamedTuple):
    """A workflow that can run here, with what it is to run with."""

    island: Island
    host: SandboxHost
    source: WorkflowSource
    metadata: Metadata
    args: bytes


async def _run(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
    stack: AsyncExitStack,
    stop: Stop,
) -> RunReport:
    checked = await _check(stack, zygote, settings, request, require_grants=True)
    # Only now: what was never run leaves no store behind.
    origins = StoreOrigins(settings.state_dir)
    store = await stack.enter_async_context(open_store(settings.db_path, checked.island, origins=origins))
    continues = continued(store.reader, request.resume) if request.resume else None
    plan = run_plan(settings, request, checked.source, checked.metadata, checked.args, continues)
    servers = await _servers(stack, settings)
    warnings = [store.warning, _weakness(checked.host)]
    if servers is not None:
        warnings += await _list_tools(servers, settings, plan, stop)
    plan = replace(plan, warnings=tuple(filter(None, warnings)))
    services = await _services(stack, checked, settings, store, backend, granted(settings), servers)
    return await execute(plan, services, sinks, stop)


async def _dry_run(
    zygote: Zygote,
    settings: Settings,
    request: RunRequest,
    sinks: Sequence[EventSink],
    backend: ModelBackend | None,
    stack: AsyncExitStack,
    stop: Stop,
) -> DryRun:
    from vibe_workflows.engine.dry_run import rehearse
    from vibe_workflows.engine.store.looking import open_look

    checked = await _check(stack, zygote, settings, request, require_grants=False)
    wanted = checked.metadata.permissions
    missing = missing_grants(wanted, granted(settings))
    store = stack.enter_context(open_look(settings.db_path, StoreOrigins(settings.state_dir)))
    plan = run_plan(settings, request, checked.source, checked.metadata, checked.args, None)
    plan = replace(plan, warnings=tuple(filter(None, (store.warning, _weakness(checked.host)))))
    servers = await _servers(stack, settings)  # of which a rehearsal starts none
    services = await _services(stack, checked, settings, store, backend, (*granted(settings), *wanted), servers)
    return await rehearse(plan, services, missing, sinks, stop)


async def _check(
    stack: AsyncExitStack, zygote: Zygote, settings: Settings, request: RunRequest, *, require_grants: bool
) -> _Checked:
    island = await stack.enter_async_context(open_island())
    host = await stack.enter_async_context(open_host(zygote, _host_limits(settings)))
    _require_level(host, settings)
    index = stack.enter_context(workflow_files.open_index(settings))
    source = workflow_files.find_source(settings, request.target, request.source_text)
    (metadata,) = await read_metadata([source], host.checker, index)
    _require_sound(metadata, shown(source.file.path))
    if require_grants:
        # Where a built-in workflow is installed tells a person nothing.
        named = source.file.name if source.file.origin is Origin.BUILTIN else shown(source.file.path)
        require_requested(named, metadata.permissions, granted(settings))
    args = b""  # a run that is gone on with keeps its own
    if not request.resume:
        args = await bind_arguments(metadata.args, given_arguments(request, metadata), host.checker, index)
    return _Checked(island, host, source, metadata, args)


async def _services(
    stack: AsyncExitStack,
    checked: _Checked,
    settings: Settings,
    store: Store,
    backend: ModelBackend | None,
    grants: Sequence[str],
    servers: RunServers | None,
) -> RunServices:
    backend = equipped(backend or open_backends(settings, checked.island), settings)
    stack.push_async_callback(close_backend, backend)
    checker = checked.host.checker
    workspace = Workspace(settings.project_root, IgnoreMemory(checker))
    commands = ConfinedCommands(settings.project_root, accepted=settings.sandbox_accept, environ=os.environ)
    tools = read_tools(workspace, commands)
    digests = FileDigests(workspace, time.time)
    state = FileState(workspace, digests)
    trees = Trees(workspace, settings.cache_dir)
    looks = ProjectLooks(workspace=workspace, commands=commands, digests=digests, trees=trees)
    benches = await stack.enter_async_context(open_benches(settings, workspace, trees))
    web = WebAccess(
        allow_hosts=settings.web_allow_hosts,
        proxy=settings.web_proxy,
        provider=settings.web_search,
        environ=os.environ,
    )
    find = partial(program_outside, settings.project_root, os.environ.get("PATH", os.defpath))
    others, unknown = ((), {}) if servers is None else (servers.tools, servers.unknown)
    changing: tuple[Tool, ...] = (*edit_tools(workspace), RunCommand(grants, find))
    box = ToolBox((*tools, *changing, *web_tools(web, checker), *others), grants, unknown)
    profiles = Profiles(
        folders_of_profiles(settings), vocabulary(box.groups, settings.aliases), grants, trust_in_profiles(settings)
    )
    return RunServices(
        store=store,
        host=checked.host,
        checker=checker,
        backend=backend,
        requests=partial(
            _requests,
            box,
            profiles,
            model_resolver(settings, checked.metadata),
            _chosen_agents(settings, grants, box.groups),
        ),
        replayer=looks.replayer(store.reader),
        files=WorkspaceFiles(workspace, state),
        bench=LazyBench(lambda: benches.project),
        tree=FileTree(trees.digest),
        attachments=Attachments(workspace, digests, store.reader.contents),
        own=RunLocks(settings.db_path).hold,
        wall_clock=time.time,
        jitter=random.random,
        new_run_id=lambda: RunId(secrets.token_hex(5)),
        agents=_agent_programs(settings),
        isolation=lambda: looks.isolation(store.reader, benches.worktrees),
    )


def _chosen_agents(settings: Settings, grants: Sequence[str], groups: Mapping[str, str]) -> ChooseAgents | None:
    if not settings.agents:
        return None
    from vibe_workflows.engine.clis.choice import AgentChoice  # most people have no such program

    return AgentChoice(settings.agents, grants, groups)


def _agent_programs(settings: Settings) -> AgentPrograms | None:
    if not settings.agents:
        return None
    from vibe_workflows.engine.clis.turns import AgentPrograms

    from .programs import PersonsPrograms

    return AgentPrograms(
        agents=settings.agents,
        programs=PersonsPrograms(settings.project_root, os.environ),
        environ=os.environ,
        prices=settings.prices,
    )


async def _servers(stack: AsyncExitStack, settings: Settings) -> RunServers | None:
    """The person's MCP servers, where there are any; none of them is started."""
    if not settings.mcp:
        return None
    from vibe_workflows.engine.mcp.listing import ListingCache  # most people have none
    from vibe_workflows.engine.mcp.servers import Surroundings, open_servers

    from .programs import PersonsPrograms

    surroundings = Surroundings(
        programs=PersonsPrograms(settings.project_root, os.environ),
        environ=os.environ,
        project=settings.project_root,
        cache=ListingCache(settings.cache_dir),
    )
    return await stack.enter_async_context(open_servers(settings.mcp.values(), surroundings))


async def _list_tools(servers: RunServers, settings: Settings, plan: RunPlan, stop: Stop) -> list[str]:
    """Ask those that the workflow names, and that never listed their tools. Gives what a person is to know of them."""
    from vibe_workflows.engine.mcp.servers import mentioned

    texts = (plan.source, plan.args.decode("utf-8", "replace"))
    named = mentioned(settings.mcp.values(), granted(settings), texts)
    with trio.CancelScope() as listing:
        stop.attach(listing)
        await servers.list_unknown(named)
    return servers.left_out(named)


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


def _requests(
    tools: ToolBox,
    profiles: Profiles,
    resolve: ResolveModel,
    agents: ChooseAgents | None,
    defaults: StepDefaults,
    horizons: Horizons,
) -> StepRequests:
    return StepRequests(
        tools=tools, profiles=profiles, resolve_model=resolve, agents=agents, defaults=defaults, horizons=horizons
    )


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
