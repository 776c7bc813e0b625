"""vibe show: what a workflow says of itself, and its source."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values
from .spelling import default_of

if TYPE_CHECKING:
    from vibe_workflows.catalog.arguments import ArgumentOption
    from vibe_workflows.catalog.discovery import WorkflowFile, WorkflowSource
    from vibe_workflows.catalog.metadata import Metadata
    from vibe_workflows.engine.config import Settings
    from vibe_workflows.sandbox.replies import PlanNode


@click.command()
@click.argument("target", metavar="FILE|NAME", shell_complete=values.workflows)
@click.option("--plan", "only_plan", is_flag=True, help="Without the source.")
@click.option("--source", "only_source", is_flag=True, help="The source alone: to copy a workflow, say.")
@options.as_json
def command(target: str, only_plan: bool, only_source: bool, as_json: bool) -> None:
    """What a workflow does: phases, arguments, permissions, budget, a drawing of its plan; then its source."""
    if only_plan and only_source:
        raise click.UsageError("--plan and --source exclude each other")
    from msgspec import to_builtins

    from . import workflow_files
    from .environment import screen
    from .printing import print_json, print_text
    from .render.paint import Style, paint
    from .render.plan import plan_lines
    from .render.sanitize import clean, one_line
    from .settings import load

    settings = load({})
    found, metadata = workflow_files.describe(settings, target)
    file, source = found.file, found.text
    if only_source:
        print_text(clean(source).rstrip("\n") if sys.stdout.isatty() else source.rstrip("\n"))
        return
    plan, problem = _plan(settings, metadata, found)
    if as_json:
        print_json(_as_json(file, metadata, source) | {"plan": [to_builtins(node) for node in plan]})
        return
    surface = screen(sys.stdout)
    parts = [show_text(file, metadata, width=surface.width, colour=surface.colour)]
    parts += ["", paint("plan", Style.TITLE, colour=surface.colour)] if plan or problem else []
    parts += plan_lines(plan, width=surface.width, colour=surface.colour)
    parts += [one_line(problem)] if problem else []
    if not only_plan:
        parts += ["", paint("source", Style.TITLE, colour=surface.colour), clean(source).rstrip("\n")]
    print_text("\n".join(parts))


def _plan(settings: Settings, metadata: Metadata, source: WorkflowSource) -> tuple[tuple[PlanNode, ...], str]:
    """The plan, and why there is none."""
    from . import workflow_files

    if metadata.problems:
        return (), ""  # they are told, and come first
    try:
        return workflow_files.plan_of(settings, source), ""
    except ValueError as error:
        return (), str(error)


def show_text(file: WorkflowFile, metadata: Metadata, *, width: int | None, colour: bool) -> str:
    """Facts, problems and arguments."""
    from vibe_workflows.catalog.arguments import argument_options

    from .render.paint import Style, paint
    from .render.sanitize import clean, one_line
    from .render.tables import Column, table

    parts = [paint(one_line(metadata.name), Style.TITLE, colour=colour)]
    parts += [one_line(text) for text in (metadata.description, metadata.when_to_use) if text]
    parts += ["", *(f"{name:<13}{one_line(value)}" for name, value in facts(file, metadata))]
    problems = metadata.problem_lines(str(file.path))
    parts += [paint(clean(line), Style.BAD, colour=colour) for line in problems]
    if arguments := argument_options(metadata.args):
        columns = (
            Column(title="argument"),
            Column(title="type"),
            Column(title="default", shrinks=True),
            Column(title="description", shrinks=True),
        )
        rows = [(each.flag, _kind(each), _default(each), each.description) for each in arguments]
        parts += ["", table(columns, rows, width=width, colour=colour)]
    return "\n".join(parts)


def facts(file: WorkflowFile, metadata: Metadata) -> list[tuple[str, str]]:
    """What there is to know beside description and arguments, each with its name."""
    budget = ", ".join(_limit(unit, value) for unit, value in metadata.budget_units.items())
    known = (
        ("file", str(file.path)),
        ("from", file.origin.value),
        ("hides", ", ".join(str(hidden.path) for hidden in file.hides)),
        ("phases", ", ".join(metadata.phases or metadata.phases_used)),
        ("permissions", ", ".join(metadata.permissions)),
        ("budget", budget),
        ("model", metadata.model),
        ("concurrency", "" if metadata.concurrency is None else str(metadata.concurrency)),
    )
    return [(name, value) for name, value in known if value]


def _kind(each: ArgumentOption) -> str:
    if each.choices:
        return "|".join(each.choices)
    return f"list of {each.items}" if each.kind == "array" else each.kind


def _default(each: ArgumentOption) -> str:
    if each.default is None:
        return "(required)" if each.required else ""
    return default_of(each)


def _limit(unit: str, value: float) -> str:
    return f"${value:,.2f}" if unit == "usd" else f"{value:,.10g} {unit}"


def _as_json(file: WorkflowFile, metadata: Metadata, source: str) -> dict[str, object]:
    return {
        "name": metadata.name,
        "description": metadata.description,
        "when_to_use": metadata.when_to_use,
        "path": str(file.path),
        "origin": file.origin.value,
        "hides": [str(hidden.path) for hidden in file.hides],
        "phases": list(metadata.phases or metadata.phases_used),
        "args": metadata.args,
        "permissions": list(metadata.permissions),
        "budget": dict(metadata.budget_units),
        "model": metadata.model or None,
        "concurrency": metadata.concurrency,
        "problems": [{"line": each.line, "column": each.column, "message": each.message} for each in metadata.problems],
        "source": source,
    }
