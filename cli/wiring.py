"""Puts the parts together; for workflow files, workflow_files.py does. The commands call these functions, one each.

Importing this module is cheap. What needs the engine at work is in assembly.py, imported only after the zygote was
started, so that the sandbox gets ready while Python still imports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_workflows.engine.config import Settings, load_settings
from vibe_workflows.engine.errors import ConfigError

from .answers import AgentStanding, McpStanding, TrustReport, WorkflowOffer
from .sandboxing import open_zygote
from .workflow_files import trusts_of

if TYPE_CHECKING:
    from vibe_workflows.engine.agents.profiles import Examined
    from vibe_workflows.engine.config_report import ConfigReport
    from vibe_workflows.engine.dry_run import DryRun
    from vibe_workflows.engine.launch import RunReport, RunRequest
    from vibe_workflows.engine.model import Run, RunId
    from vibe_workflows.engine.ports import EventSink, ModelBackend, StoreReader
    from vibe_workflows.engine.store.export import Exported
    from vibe_workflows.engine.store.imports import Imported
    from vibe_workflows.engine.store.reader import SqliteReader
    from vibe_workflows.engine.store.soundness import StoreHealth
    from vibe_workflows.engine.trust import ConfigOffer, Trusted
    from vibe_workflows.engine.undo import Undo
    from vibe_workflows.sandbox.confine import ConfineReport
    from vibe_workflows.sandbox.doctor import DoctorReport


def load(flags: Mapping[str, object]) -> Settings:
    """The settings of this process, in its working directory. Raises ConfigError."""
    return load_settings(cwd=Path.cwd(), environ=os.environ, flags=flags)


def examine_config() -> ConfigReport:
    """The configuration of this process as `load` would read it, also where parts of it are wrong."""
    from vibe_workflows.engine import config_report

    return config_report.examine_config(cwd=Path.cwd(), environ=os.environ)


def run_workflow(
    settings: Settings, request: RunRequest, sinks: Sequence[EventSink], *, backend: ModelBackend | None = None
) -> RunReport:
    """Run one workflow to its end. `backend` takes the place of the configured ones.

    Raises VibeErrors for what is found before the run exists, and StoreError.
    """
    with open_zygote() as zygote:
        from . import assembly

        return assembly.run_workflow(zygote, settings, request, sinks, backend)


def dry_run(
    settings: Settings, request: RunRequest, sinks: Sequence[EventSink], *, backend: ModelBackend | None = None
) -> DryRun:
    """What a run would do first, with no model asked and nothing stored. Raises as `run_workflow`."""
    with open_zygote() as zygote:
        from . import assembly

        return assembly.dry_run(zygote, settings, request, sinks, backend)


def doctor() -> tuple[DoctorReport, ConfineReport]:
    """Attack a really locked script and a really confined command, and report which walls hold."""
    with open_zygote() as zygote:
        from . import assembly

        return assembly.probe_scripts(zygote), assembly.probe_commands()


def examine_profiles(settings: Settings) -> list[Examined]:
    """Every profile that could be named here, with what is wrong with it."""
    from . import profiles

    return profiles.examine_profiles(settings)


def mcp_servers(settings: Settings) -> list[McpStanding]:
    """Each configured MCP server, by name: whether what it needs is there. None is started."""
    if not settings.mcp:
        return []
    from vibe_workflows.engine.errors import ToolFailed
    from vibe_workflows.engine.mcp.launching import launch_of
    from vibe_workflows.engine.mcp.listing import ListingCache, offered

    from .programs import PersonsPrograms

    programs, cache = PersonsPrograms(settings.project_root, os.environ), ListingCache(settings.cache_dir)
    found = []
    for name, server in sorted(settings.mcp.items()):
        target, problem = server.url or server.command[0], ""
        try:
            launch = launch_of(server, programs=programs, environ=os.environ, project=settings.project_root)
            target = launch.url or launch.argv[0]
        except ToolFailed as error:
            problem = error.message
        listing = cache.load(server)
        tools = None if listing is None else tuple(tool.name for tool in offered(server, listing))
        found.append(McpStanding(name=name, target=target, problem=problem, tools=tools))
    return found


def agent_programs(settings: Settings) -> list[AgentStanding]:
    """Each configured agent CLI, by name: whether its program is there. None is started."""
    if not settings.agents:
        return []
    from .programs import PersonsPrograms

    programs, found = PersonsPrograms(settings.project_root, os.environ), []
    for name, agent in sorted(settings.agents.items()):
        program = programs.find(agent.program)
        problem = "" if program else "no such program in PATH (folders of the project do not count); install it"
        found.append(AgentStanding(name, agent.enabled, program or agent.program, problem))
    return found


# ---------------------------------------------------------------- the store


def open_reader(settings: Settings, *, glance: bool = False) -> SqliteReader:
    """Past runs; a `glance` leaves no file behind.

    Raises ConfigError where there are none, StoreError where the store cannot be read.
    """
    from vibe_workflows.engine.store.reader import open_reader as open_file

    if not settings.db_path.exists():
        raise ConfigError(f"{settings.db_path}: no run of this project is stored yet; `vibe run` makes one")
    return open_file(settings.db_path, glance=glance)


def store_path(settings: Settings) -> Path:
    """Of the store, where there is one. Raises ConfigError."""
    open_reader(settings).close()
    return settings.db_path


def store_health(settings: Settings) -> StoreHealth:
    from vibe_workflows.engine.store.origin import StoreOrigins
    from vibe_workflows.engine.store.soundness import examine

    return examine(settings.db_path, StoreOrigins(settings.state_dir))


def undo(settings: Settings, find: Callable[[StoreReader], Run], *, dry_run: bool) -> Undo:
    """Take the edits of a run back. Raises ConfigError, TrustNeeded and StoreError."""
    store_path(settings)  # one that is not there is not made
    from . import undoing

    return undoing.take_back(settings, find, dry_run=dry_run)


def export_steps(settings: Settings, runs: Sequence[RunId], target: Path) -> Exported:
    """Write the answered steps of some runs, or of all, to a file. Raises StoreError, ConfigError."""
    from vibe_workflows.engine.store.export import export
    from vibe_workflows.engine.store.origin import StoreOrigins
    from vibe_workflows.engine.store.reader import store_id

    path = store_path(settings)
    done = export(path, runs, target, os.environ)
    done.warning = StoreOrigins(settings.state_dir).problem(store_id(path), path) or ""
    return done


def import_steps(settings: Settings, file: Path) -> Imported:
    """Bring the steps of a file into the store. Raises ConfigError, TrustNeeded and StoreError."""
    import secrets
    import time

    from vibe_workflows.engine.store.imports import import_file
    from vibe_workflows.engine.store.origin import StoreOrigins
    from vibe_workflows.engine.store.prepare import NewStore

    new = NewStore(created_at=time.time(), id=secrets.token_hex)
    return import_file(settings.db_path, file, StoreOrigins(settings.state_dir), new)


# ---------------------------------------------------------------- trust


def trust_report(settings: Settings) -> TrustReport:
    """What of this project waits for a person's trust."""
    from vibe_workflows.catalog.discovery import discover, read_source
    from vibe_workflows.engine.store.origin import StoreOrigins
    from vibe_workflows.engine.store.reader import store_id
    from vibe_workflows.engine.trust import TrustStore, config_offer

    from .profiles import hiding_profiles

    held = TrustStore(settings.state_dir).entries()
    offer = config_offer(settings.project_file)
    if offer is not None and (not offer.keys or _config_trusted(offer, held)):
        offer = None
    trusts = trusts_of(settings)
    takers = [read_source(file) for file in discover(settings).workflows.values() if file.needs_trust]
    problem = None
    if settings.db_path.exists():
        problem = StoreOrigins(settings.state_dir).problem(store_id(settings.db_path), settings.db_path)
    root = os.path.realpath(settings.project_root)
    return TrustReport(
        project=settings.project_root,
        config=offer,
        workflows=tuple(
            WorkflowOffer(file=source.file, digest=source.digest)
            for source in takers
            if not trusts(source.file.path, source.content)
        ),
        profiles=tuple(hiding_profiles(settings)),
        store=settings.db_path if problem is not None else None,
        store_problem=problem or "",
        trusted=tuple(each.path for each in held if each.path.startswith(root + os.sep)),
    )


def _config_trusted(offer: ConfigOffer, held: Sequence[Trusted]) -> bool:
    from vibe_workflows.engine.trust import TrustKind

    path = os.path.realpath(offer.path)
    return any((each.kind, each.path, each.digest) == (TrustKind.CONFIG, path, offer.digest) for each in held)


def trust_grant(settings: Settings, report: TrustReport) -> None:
    """Trust exactly what `report` showed."""
    from vibe_workflows.engine.store.origin import StoreOrigins
    from vibe_workflows.engine.store.reader import store_id
    from vibe_workflows.engine.trust import TrustKind, TrustStore, trust_digest

    trust = TrustStore(settings.state_dir)
    if report.config is not None:
        trust.grant(TrustKind.CONFIG, report.config.path, report.config.digest)
    for offer in report.workflows:
        trust.grant(TrustKind.WORKFLOW, offer.file.path, offer.digest)
    for profile in report.profiles:
        trust.grant(TrustKind.PROFILE, profile.path, trust_digest(profile.content))
    if report.store is not None:
        StoreOrigins(settings.state_dir).record(store_id(report.store), report.store)


def trust_revoke(settings: Settings) -> tuple[Trusted, ...]:
    """Trust nothing of this project any more. Returns what was trusted."""
    from vibe_workflows.engine.trust import TrustStore

    return TrustStore(settings.state_dir).revoke(settings.project_root)
