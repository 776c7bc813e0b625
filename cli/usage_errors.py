"""What a person is told who gave a command wrongly. Click's own messages are said anew: what, and what to type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

#: What people call things elsewhere: what to type here.
ELSEWHERE: Mapping[str, str] = {
    "check": "vibe validate",
    "completions": "vibe completion",
    "create": "vibe new",
    "docs": "vibe guide",
    "exec": "vibe run",
    "help": "vibe --help",
    "history": "vibe runs",
    "lint": "vibe validate",
    "log": "vibe trace",
    "logs": "vibe trace",
    "ls": "vibe list",
    "retry": "vibe resume",
    "settings": "vibe config",
    "start": "vibe run",
    "status": "vibe runs",
    "version": "vibe --version",
    "workflows": "vibe list",
}

_LONGEST = 200
_TOO_MANY = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def usage_text(error: click.ClickException) -> str:
    """The message and, where a command is known, how to get its help."""
    text = _said(error)
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"error: {text}" + ("" if context is None else f"\nTry `{context.command_path} --help`.")


@singledispatch
def _said(error: click.ClickException) -> str:
    found = _TOO_MANY.fullmatch(error.format_message())
    if found is None or not isinstance(error, click.UsageError) or error.ctx is None:
        return error.format_message()
    takes = " ".join(_arguments(error.ctx))
    path = error.ctx.command_path
    return f"{_quoted(found[1])} is too much: `{path}` takes {f'only {takes}' if takes else 'no arguments'}"


@_said.register
def _no_option(error: click.NoSuchOption) -> str:
    name, context = error.option_name, error.ctx
    if context is not None and context.parent is None and name != "--":
        command = _owner_of(name, context)
        if command is not None:
            return f"{name} is an option of a command and stands after it, as in `vibe {command} ... {name}`"
    from vibe_workflows.engine.nearest import nearest

    known = [] if context is None else [each for param in context.command.get_params(context) for each in param.opts]
    meant = nearest(name, [each for each in known if each.startswith("--")], cutoff=0.7)
    return f"there is no option {_quoted(name)}" + (f"; did you mean {meant}?" if meant else "")


@_said.register
def _no_command(error: click.NoSuchCommand) -> str:
    from vibe_workflows.engine.nearest import did_you_mean

    known = _commands(error.ctx)
    path = "vibe" if error.ctx is None else error.ctx.command_path
    return f"`{path}` has no command {_quoted(error.command_name)}; {did_you_mean(error.command_name, known)}"


@_said.register
def _nothing_given(error: NoArgsIsHelpError) -> str:
    return f"name a command, as in `{error.ctx.command_path} list`; known: {', '.join(_commands(error.ctx))}"


@_said.register
def _bad_option(error: click.BadOptionUsage) -> str:
    if "does not take a value" in error.message:
        return f"{error.option_name} takes no value; give it alone"
    param = _param(error.option_name, error.ctx)
    metavar = "VALUE" if param is None or error.ctx is None else param.make_metavar(error.ctx)
    return f"{error.option_name} needs a value: {error.option_name} {metavar}"


@_said.register
def _bad_value(error: click.BadParameter) -> str:
    param = error.param
    given = re.match(r"'(.*?)' is|(\S+) is not in the range", error.message)
    wanted = None if param is None else _wanted(param.type)
    if param is None or given is None or wanted is None:
        return error.format_message()
    name = next((each for each in param.opts if each.startswith("--")), param.human_readable_name)
    if isinstance(param, click.Argument):
        name = (param.name or "").upper()
    return f"{name}: {wanted} is needed, not {_quoted(given[1] or given[2])}"


@_said.register
def _missing(error: click.MissingParameter) -> str:
    context = error.ctx
    if error.param is None or context is None:
        return error.format_message()
    return f"{error.param.make_metavar(context)} is missing: {context.command_path} {' '.join(_arguments(context))}"


def _wanted(kind: click.ParamType[Any]) -> str | None:
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.IntRange):
        low = 0 if kind.min is None else kind.min
        return f"a whole number of at least {low}" if kind.max is None else f"a number from {low} to {kind.max:,}"
    return "a whole number" if kind is click.INT else None


def _arguments(context: click.Context) -> list[str]:
    """As they stand in a line of usage."""
    params = context.command.get_params(context)
    return [param.make_metavar(context) for param in params if isinstance(param, click.Argument)]


def _commands(context: click.Context | None) -> list[str]:
    if context is None or not isinstance(context.command, click.Group):
        return []
    return context.command.list_commands(context)


def _owner_of(option: str, context: click.Context) -> str | None:
    """A command that has this option; `run` before others."""
    names = _commands(context)
    for name in sorted(names, key=lambda each: each != "run"):
        command = context.command.get_command(context, name) if isinstance(context.command, click.Group) else None
        if command is not None and any(option in param.opts for param in command.params):
            return name
    return None


def _param(option: str, context: click.Context | None) -> click.Parameter | None:
    params = [] if context is None else context.command.get_params(context)
    return next((param for param in params if option in param.opts), None)


def _quoted(text: str) -> str:
    return f"`{text:.{_LONGEST}}`"
