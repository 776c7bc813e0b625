"""What options and arguments of commands may be, as click's `shell_complete=` takes it.

Where something cannot be found out (a broken config, no store) the function raises, and the line stays as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from vibe_workflows.cli.arguments import TARGET

if TYPE_CHECKING:
    from vibe_workflows.catalog.metadata import Metadata
    from vibe_workflows.engine.config import Settings
    from vibe_workflows.engine.ports import DeliveredStep

Items = list[CompletionItem[str]]

_MOST_ENTRIES = 5_000
_MOST_RUNS = 30


def files(incomplete: str, ending: str = "") -> Items:
    """Folders, with a slash, and the files whose names end so."""
    _, _, begun = incomplete.rpartition("/")
    before = incomplete.removesuffix(begun)
    found: Items = []
    try:
        with os.scandir(os.path.expanduser(before) or ".") as entries:
            for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False):
                if entry.name.startswith(begun) and (begun.startswith(".") or not entry.name.startswith(".")):
                    found += _file(entry, before, ending)
    except OSError:
        return []
    return sorted(found, key=lambda item: item.value)


def _file(entry: os.DirEntry[str], before: str, ending: str) -> Items:
    safe = f"./{entry.name}" if entry.name.startswith("-") and not before else before + entry.name
    if entry.is_dir():
        return [CompletionItem(safe + "/")]
    return [CompletionItem(safe)] if entry.name.endswith(ending) else []


def paths(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    return files(incomplete)


def document(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Of --args: the file after `@`; JSON is nothing to complete."""
    if not incomplete.startswith("@"):
        return [CompletionItem("@")]
    return [CompletionItem("@" + each.value) for each in files(incomplete[1:])]


def workflows(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """Names, and Python files."""
    found = [] if "/" in incomplete else workflow_names(incomplete)
    return found + files(incomplete, ".py")


def workflow_names(incomplete: str) -> Items:
    """All that `vibe list` shows, with the descriptions that are known; no file is parsed for them."""
    from vibe_workflows.catalog.discovery import discover, read_source
    from vibe_workflows.catalog.metadata import known_metadata
    from vibe_workflows.cli.workflow_files import open_index
    from vibe_workflows.engine.errors import WorkflowError

    settings = _settings()
    workflows = discover(settings).workflows
    found = {file.name: file.origin.value for file in workflows.values()}
    sources = []
    for file in workflows.values():
        try:
            sources.append(read_source(file))
        except WorkflowError:
            del found[file.name]  # it cannot be run
    with open_index(settings) as index:
        for source, metadata in zip(sources, known_metadata(sources, index), strict=True):
            if metadata is not None and metadata.description:
                found[source.file.name] = metadata.description
    if "_" in incomplete:  # the same names
        found = {name.replace("-", "_"): about for name, about in found.items()}
    return [CompletionItem(name, help=about) for name, about in found.items()]


def metadata_of(target: str) -> Metadata:
    """Of the workflow on the line. The index knows it, or a locked child reads it, and the next time it is known."""
    from vibe_workflows.cli.workflow_files import describe

    return describe(_settings(), target)[1]


def runs(context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """The latest first; for `resume` those that did not complete."""
    from vibe_workflows.cli import wiring
    from vibe_workflows.cli.render.figures import age

    reader = wiring.open_reader(_settings(context), glance=True)
    try:
        found = reader.find_runs(incomplete) if incomplete else reader.runs(_MOST_RUNS)
    finally:
        reader.close()
    if context.info_name == "resume":
        found = [run for run in found if not run.status.finished]
    now = time.time()
    return [
        CompletionItem(str(run.id), help=f"{run.workflow}, {run.status.value}, {age(max(now - run.started_at, 0))} ago")
        for run in found[:_MOST_RUNS]
    ]


def steps(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Numbers of the latest run, or of the run before the colon; and runs."""
    from vibe_workflows.cli import wiring
    from vibe_workflows.cli.selection import find_run

    prefix, colon, _ = incomplete.rpartition(":")
    reader = wiring.open_reader(_settings(context), glance=True)
    try:
        delivered = reader.deliveries(find_run(reader, prefix or None).id)
    finally:
        reader.close()
    numbered = [
        CompletionItem(
            f"{prefix}{colon}{each.delivery.number}", help=f"{each.delivery.label}, {each.step.status.value}"
        )
        for each in _by_number(delivered)
    ]
    if colon:
        return numbered
    return numbered + [CompletionItem(f"{run.value}:", help=run.help) for run in runs(context, parameter, incomplete)]


def models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """The aliases, then the model that is configured; after `ALIAS=` where it may point."""
    settings = _settings()
    alias, sign, _ = incomplete.partition("=")
    found = {**settings.aliases, **({settings.model: "the configured model"} if settings.model else {})}
    return [CompletionItem(f"{alias}={name}" if sign else name, help=about) for name, about in found.items()]


def allowed(context: click.Context, _parameter: click.Parameter, incomplete: str) -> Items:
    """What the workflow asks for, then the kinds of grants; after a comma, too."""
    from vibe_workflows.engine.grants import GRANTS

    target = context.meta.get(TARGET)
    asked = metadata_of(target).permissions if isinstance(target, str) and target != "-" else ()
    before = incomplete[: incomplete.rfind(",") + 1]
    about = {**dict.fromkeys(asked, "the workflow asks for it"), **{name: "" for name in GRANTS if name not in asked}}
    return [CompletionItem(before + grant, help=help_) for grant, help_ in about.items()]


def refreshed(context: click.Context, _parameter: click.Parameter, _incomplete: str) -> Items:
    """Phases of the workflow, and labels of its latest run."""
    from vibe_workflows.cli import wiring
    from vibe_workflows.engine.errors import VibeError

    metadata = metadata_of(context.meta[TARGET])
    found = dict.fromkeys(metadata.phases or metadata.phases_used, "phase")
    try:
        reader = wiring.open_reader(_settings(), glance=True)
    except VibeError:  # nothing was run yet
        return [CompletionItem(name, help=about) for name, about in found.items()]
    try:
        latest = next((run for run in reader.runs(_MOST_RUNS) if run.workflow == metadata.name), None)
        for each in _by_number(reader.deliveries(latest.id)) if latest is not None else ():
            if each.delivery.label:
                found.setdefault(each.delivery.label, "label")
    finally:
        reader.close()
    return [CompletionItem(name, help=about) for name, about in found.items()]


def templates(_context: click.Context, _parameter: click.Parameter, _incomplete: str) -> Items:
    from vibe_workflows.catalog.template_files import templates as all_templates

    return [CompletionItem(each.name, help=each.about) for each in all_templates()]


def config_keys(_context: click.Context, _parameter: click.Parameter, _incomplete: str) -> Items:
    """The keys of the configuration."""
    from vibe_workflows.engine.config_keys import KEYS

    return [CompletionItem(key.name, help=key.about) for key in KEYS.values()]


def _by_number(delivered: list[DeliveredStep]) -> list[DeliveredStep]:
    return sorted(delivered, key=lambda each: each.delivery.number)


def one_of(*choices: str) -> Callable[[click.Context, click.Parameter, str], Items]:
    return lambda _context, _parameter, _incomplete: [CompletionItem(each) for each in choices]


def _settings(context: click.Context | None = None) -> Settings:
    """Without their warnings, which have no place in the line."""
    from vibe_workflows.cli import wiring

    return wiring.load({"db": None if context is None else context.params.get("db")})
