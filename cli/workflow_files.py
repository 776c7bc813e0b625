"""Workflow files for the commands: found, read, described and checked, by a locked child where one is needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_workflows.engine.errors import WorkflowError

from .answers import ListedWorkflow, WorkflowList
from .sandboxing import ask_checker

if TYPE_CHECKING:
    from vibe_workflows.catalog.discovery import Trusts, WorkflowSource
    from vibe_workflows.catalog.index import Index
    from vibe_workflows.catalog.metadata import Metadata
    from vibe_workflows.engine.config import Settings
    from vibe_workflows.sandbox.replies import PlanNode

#: Of a plan in the index; another one where plans are read otherwise.
_PLAN = "plan-1"


def list_workflows(settings: Settings) -> WorkflowList:
    """All workflows that can be named here, by name. One that cannot be run by its name says why."""
    from vibe_workflows.catalog.discovery import discover, read_source
    from vibe_workflows.catalog.metadata import Metadata

    catalog = discover(settings)
    trusts = trusts_of(settings)
    sources: list[WorkflowSource] = []
    listed: list[ListedWorkflow] = []
    for file in catalog.workflows.values():
        try:
            sources.append(read_source(file))
        except WorkflowError as error:
            listed.append(ListedWorkflow(file=file, metadata=Metadata(name=file.name), problem=error.message))
    for source, metadata in zip(sources, _metadata(settings, sources), strict=True):
        problem = next(iter(metadata.problem_lines(source.file.path.name)), "")
        if source.file.needs_trust and not trusts(source.file.path, source.content):
            problem = "takes a name that is not the project's; `vibe trust` lets it have it"
        listed.append(ListedWorkflow(file=source.file, metadata=metadata, problem=problem))
    listed.sort(key=lambda each: each.file.name)
    return WorkflowList(
        workflows=tuple(listed),
        skipped=catalog.skipped,
        switched_off=catalog.switched_off,
        switched_off_by=_switch(settings) if catalog.switched_off else "",
    )


def _switch(settings: Settings) -> str:
    key = "catalog.hide" if settings.catalog_builtin else "catalog.builtin"
    source = settings.sources.get(key)
    return key if source is None else f"{key} of {source}"


def describe(settings: Settings, target: str) -> tuple[WorkflowSource, Metadata]:
    """A workflow by name or path, and its metadata. Raises WorkflowError and TrustNeeded."""
    source = find_source(settings, target)
    (metadata,) = _metadata(settings, [source])
    return source, metadata


def plan_of(settings: Settings, source: WorkflowSource) -> tuple[PlanNode, ...]:
    """What a workflow can do, as its source spells it out. Raises ValueError where it cannot be read or drawn."""
    import msgspec

    from vibe_workflows.sandbox.replies import PlanNode

    with open_index(settings) as index:
        if known := index.memo(_PLAN, source.digest):
            with suppress(msgspec.MsgspecError):
                return msgspec.json.decode(known, type=tuple[PlanNode, ...])
        nodes = ask_checker(lambda checker: checker.read_plan(source.text))
        index.keep_memo(_PLAN, source.digest, msgspec.json.encode(nodes).decode())
        return nodes


def find_source(settings: Settings, target: str, text: str | None = None) -> WorkflowSource:
    """The source of a name or a path; of `text` where it came on standard input."""
    from vibe_workflows.catalog.discovery import discover

    if text is not None:
        return standard_source(text)
    return discover(settings).load(target, Path.cwd(), trusts_of(settings))


def standard_source(text: str) -> WorkflowSource:
    """Of a workflow that came on standard input."""
    from vibe_workflows.catalog.discovery import Origin, WorkflowFile, workflow_source

    return workflow_source(WorkflowFile(name="stdin", path=Path("<stdin>"), origin=Origin.PATH), text)


def trusts_of(settings: Settings) -> Trusts:
    """Whether the person let a file have a name that is not the project's."""
    from vibe_workflows.engine.trust import TrustKind, TrustStore

    trust = TrustStore(settings.state_dir)
    return lambda path, content: trust.trusts(TrustKind.WORKFLOW, path, content)


def open_index(settings: Settings) -> Index:
    from vibe_workflows.catalog.index import Index

    return Index(settings.cache_dir)


def _metadata(settings: Settings, sources: Sequence[WorkflowSource]) -> list[Metadata]:
    """From the index where it knows all of them, else with a locked child for those that it does not."""
    from vibe_workflows.catalog.metadata import known_metadata, read_metadata

    with open_index(settings) as index:
        known = known_metadata(sources, index)
        metadata = [each for each in known if each is not None]
        if len(metadata) == len(sources):
            return metadata
        return ask_checker(lambda checker: read_metadata(sources, checker, index))
