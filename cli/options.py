"""Options that several commands share, and what they come to. A name of a setting is the name of its option."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from .completing import values

Command = TypeVar("Command", bound=Callable[..., object])

db = click.option(
    "--db", metavar="FILE", shell_complete=values.paths, help="The database, in place of .vibe/vibe.db of the project."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

#: Options of `run` and `resume` that are settings; the value of each is checked where all settings are.
_SETTINGS = (
    click.option(
        "-m",
        "--model",
        multiple=True,
        metavar="MODEL",
        shell_complete=values.models,
        help="The model of steps that name none; ALIAS=MODEL points an alias elsewhere.",
    ),
    click.option(
        "--budget",
        metavar="LIMIT",
        help="Hard limit of the run: 200k (tokens), $1.50, steps=40, seconds=600, or several with commas.",
    ),
    click.option("--max-usd", metavar="X", help="The most that this invocation may pay, in dollars; `none`: no limit."),
    click.option("--concurrency", metavar="N", help="Steps at work at the same time (16 by default)."),
    click.option(
        "--allow",
        multiple=True,
        metavar="GRANTS",
        shell_complete=values.allowed,
        help="Grant what the workflow asks for: write, command:pytest, ...",
    ),
    click.option("--require-model", is_flag=True, default=None, help="Without a model, fail instead of going offline."),
    click.option("--offline", is_flag=True, default=None, help="Ask no model: made-up replies that begin [offline]."),
    click.option(
        "--sandbox-accept",
        metavar="LEVEL",
        shell_complete=values.one_of("strong", "good", "weak"),
        help="The weakest sandbox to run in: strong (default), good or weak.",
    ),
    db,
)
_OUTPUT = (
    click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document about the run in place of its result."
    ),
    click.option("--events", is_flag=True, help="Print the events as lines of JSON; the last line is that document."),
    click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr."),
    click.option(
        "-o", "--output", metavar="FILE", shell_complete=values.paths, help="Write there what would go to stdout."
    ),
)


def running(command: Command) -> Command:
    """The options of a command that runs a workflow."""
    for option in reversed((*_SETTINGS, *_OUTPUT)):
        command = option(command)
    return command


def settings_flags(given: Mapping[str, object]) -> dict[str, object]:
    """Of a command's parameters those that are settings, by the settings' own names. None: not given."""
    names = {"sandbox_accept": "sandbox.accept"}
    flags: dict[str, object] = {}
    for name in ("model", "budget", "max_usd", "concurrency", "require_model", "offline", "sandbox_accept", "db"):
        flags[names.get(name, name)] = given.get(name) or None
    grants = given.get("allow")
    flags["allow"] = grant_list(grants) or None if isinstance(grants, tuple) else None
    return flags


def grant_list(given: tuple[str, ...]) -> list[str]:
    """`--allow write,web --allow net` is one list."""
    return [grant.strip() for text in given for grant in text.split(",") if grant.strip()]
