"""Completes `vibe run FILE|NAME ...` and `vibe NAME ...`: Vibe's options, and the arguments of the workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

from vibe_workflows.cli.arguments import TARGET
from vibe_workflows.cli.run import command

from . import values

if TYPE_CHECKING:
    from vibe_workflows.catalog.arguments import ArgumentOption

Items = list[CompletionItem[str]]


class _Line(NamedTuple):
    """The finished words. `awaits` is the option whose value the cursor is at."""

    target: str | None
    given: frozenset[str]  # names of the workflow's arguments, written with `_`
    awaits: str
    only_arguments: bool  # after `--`


def completions_of_run(words: list[str], incomplete: str) -> Items:
    """`words` begin with the workflow, or with options before it."""
    own = {name: each for each in command.params if isinstance(each, click.Option) for name in each.opts}
    line = _read(words, own)
    context = click.Context(command, info_name="run", resilient_parsing=True)
    context.meta[TARGET] = line.target
    name, sign, value = incomplete.partition("=")
    if line.awaits and (line.awaits in own or not incomplete.startswith("--")):
        return _values(line, line.awaits, own, context, incomplete)
    if incomplete.startswith("--") and sign:
        return _prefixed(f"{name}=", _values(line, name, own, context, value))
    if incomplete.startswith("-"):
        return _options(line, own, incomplete)
    if line.target is None:
        return values.workflows(context, command.params[0], incomplete)
    return _arguments(line, incomplete)


def _read(words: list[str], own: dict[str, click.Option]) -> _Line:
    target: str | None = None
    awaits, only_arguments = "", False
    given: list[str] = []
    for word in words:
        if awaits and (awaits in own or not word.startswith("--")):
            awaits = ""
        elif word == "--" and not only_arguments:
            awaits, only_arguments = "", True
        elif word.startswith("-") and word != "-":
            name, sign, _ = word.partition("=")
            flag = not only_arguments and name in own and (own[name].is_flag or own[name].count)
            awaits = "" if sign or flag or (not word.startswith("--") and name not in own) else name
            if only_arguments or name not in own:
                given.append(name[2:])
        elif target is None:
            target = word
        else:
            given.append(word.partition("=")[0].rstrip(":"))
    return _Line(target, frozenset(name.replace("-", "_") for name in given), awaits, only_arguments)


def _values(line: _Line, option: str, own: dict[str, click.Option], context: click.Context, incomplete: str) -> Items:
    if option in own and not line.only_arguments:
        return own[option].shell_complete(context, incomplete)
    known = next((each for each in _declared(line) if each.flag == option), None)
    if known is None:
        return values.files(incomplete)
    return _of_argument(known, incomplete)


def _of_argument(known: ArgumentOption, incomplete: str) -> Items:
    if known.choices:
        return [CompletionItem(choice) for choice in known.choices]
    if known.kind == "boolean":
        return [CompletionItem("true"), CompletionItem("false")]
    return values.files(incomplete) if known.kind in ("string", "array") else []


def _options(line: _Line, own: dict[str, click.Option], incomplete: str) -> Items:
    """The workflow's arguments, then Vibe's options; one that Vibe would take for its own is left out."""
    found = [
        CompletionItem(each.flag, help=_about(each))
        for each in _declared(line)
        if each.name not in line.given and (line.only_arguments or each.flag not in own)
    ]
    found += [
        CompletionItem(f"--no-{each.flag[2:]}", help=f"not {each.flag}")
        for each in _declared(line)
        if each.kind == "boolean" and incomplete.startswith("--no-") and each.name not in line.given
    ]
    if line.only_arguments:
        return found
    vibes = [CompletionItem(name, help=each.help) for name, each in own.items() if name.startswith("--")]
    return [*found, *vibes, CompletionItem("--help", help="Show what the workflow takes.")]


def _arguments(line: _Line, incomplete: str) -> Items:
    """`name=`, or the values after it; the files that a bare word may name, too."""
    name, sign, value = incomplete.partition("=")
    declared = _declared(line)
    if sign:
        known = next((each for each in declared if name in (each.name, each.flag[2:])), None)
        found = values.files(value) if known is None else _of_argument(known, value)
        return _prefixed(f"{name}=", found)
    pairs = [CompletionItem(f"{each.name}=", help=_about(each)) for each in declared if each.name not in line.given]
    return pairs + (values.files(incomplete) if incomplete else [])


def _declared(line: _Line) -> tuple[ArgumentOption, ...]:
    from vibe_workflows.catalog.arguments import argument_options

    metadata = None if line.target is None else values.metadata_of(line.target)
    return () if metadata is None else argument_options(metadata.args)


def _about(each: ArgumentOption) -> str:
    from vibe_workflows.cli.spelling import default_of

    default = "" if each.default is None else f"(default: {default_of(each)})"
    return f"{each.description} {default}".strip() or each.kind


def _prefixed(prefix: str, items: Items) -> Items:
    return [CompletionItem(prefix + each.value, help=each.help) for each in items]
