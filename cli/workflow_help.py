"""The help of a workflow's own command: what it does, takes, asks for and may cost."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vibe_workflows.catalog.arguments import ArgumentOption
    from vibe_workflows.catalog.metadata import Metadata


def write_help(target: str, own: list[str], formatter: click.HelpFormatter) -> None:
    """The part of `vibe NAME --help` that is the workflow's own; `own` are Vibe's options. Raises WorkflowError."""
    from vibe_workflows.catalog.arguments import argument_options

    from . import workflow_files
    from .render.sanitize import one_line
    from .settings import load
    from .show import facts

    source, metadata = workflow_files.describe(load({}), target)
    options = argument_options(metadata.args)
    formatter.write_paragraph()
    with formatter.indentation():
        for text in (metadata.description, metadata.when_to_use):
            if text:
                formatter.write_text(one_line(text))
    if phases := metadata.phases or metadata.phases_used:
        with formatter.section("Phases"):
            formatter.write_text(one_line(", ".join(phases)))
    with formatter.section("Example"):
        formatter.write_text(one_line(_example(target, options)))
    if options:
        with formatter.section("Arguments"):
            formatter.write_dl([(_left(each, own), _about(each)) for each in options])
    if problems := metadata.problem_lines(source.file.path.name):
        with formatter.section("It cannot run"):
            for line in problems[:5]:
                formatter.write_text(one_line(line))
    asked = {name: value for name, value in facts(source.file, metadata) if name not in ("phases", "permissions")}
    with formatter.section("Workflow"):
        formatter.write_dl(
            [(name, one_line(value)) for name, value in {"asks for": _grants(metadata), **asked}.items()]
        )


def _example(target: str, options: tuple[ArgumentOption, ...]) -> str:
    from .spelling import example

    required = [each for each in options if each.required]
    return example(target, required or options[:1])


def _left(each: ArgumentOption, own: list[str]) -> str:
    from .render.sanitize import one_line
    from .spelling import spelled

    return one_line(spelled(each, own), 40)


def _about(each: ArgumentOption) -> str:
    from .render.sanitize import one_line
    from .spelling import default_of, needs_json

    default = f"(default: {default_of(each)})" if each.default is not None else "(required)" if each.required else ""
    keys = f" with {', '.join(each.keys)}" if each.keys else ""
    nested = f"(JSON{keys}; here or in --args)" if needs_json(each) else ""
    return one_line(f"{each.description} {nested} {default}") or "-"


def _grants(metadata: Metadata) -> str:
    from vibe_workflows.engine.grants import DEFAULT_GRANTS, missing_grants

    if not metadata.permissions:
        return "no permission"
    asked = ", ".join(metadata.permissions)
    missing = missing_grants(metadata.permissions, DEFAULT_GRANTS)
    return (
        f"{asked}; grant it with --allow {shlex.quote(','.join(missing))}"
        if missing
        else f"{asked}, as every run has it"
    )
