"""From what was typed to the arguments that a workflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from vibe_workflows.catalog.arguments import (
    ArgumentOption,
    argument_options,
    collect_arguments,
    is_switch,
    missing_options,
)
from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import JSON
from vibe_workflows.engine.nearest import nearest

from .arguments import pair_of
from .spelling import command_line, example, takes_bare_words


def given_arguments(request: RunRequest, metadata: Metadata) -> dict[str, JSON]:
    """The arguments as typed, under the names that the schema declares: `--max-files` is `max_files`.

    `--no-NAME` switches a boolean off. Words without a name are the required text that is missing.
    """
    known = {option.name: option for option in argument_options(metadata.args)}
    given, words = _named(request, known)
    collected = collect_arguments(metadata.args, document=request.args_json, named=given, cwd=Path.cwd())
    missing = missing_options(metadata.args, collected)
    if words:
        taker = _taker(words, missing, request.target, known)
        collected |= collect_arguments(metadata.args, named={taker.name: _of_words(words, taker)}, cwd=Path.cwd())
        missing = []
    if missing:
        _refuse_missing(missing, request.target)
    return collected


def _named(request: RunRequest, known: Mapping[str, ArgumentOption]) -> tuple[dict[str, object], list[str]]:
    """The arguments with a name, and the words without one."""
    given: dict[str, object] = {}
    words: list[str] = []
    typed = list(request.arguments.items())
    while typed:
        name, value = typed.pop(0)
        declared = _declared(name, known)
        off = _switched_off(name, known) if declared is None and name in request.options else None
        if declared is None and off is None and name in request.options:
            _refuse_option(name, known)
        after = _after_switch(off or declared, value, known) if name in request.followed else None
        if after is not None:  # a switch takes no word: it stands for itself
            pair = _pair(after)
            typed += [] if pair is None else [pair]
            words += [after] if pair is None else []
            value = True
        if off is not None:
            value = _off(name, value, off)
        if (key := off or declared or name) in given:
            raise WorkflowError(f"argument `{key}` is given twice, as {name}, too; keep one")
        given[key] = value
    return given, [*words, *request.words]


def _declared(name: str, known: Mapping[str, ArgumentOption]) -> str | None:
    plain = name.replace("-", "_")
    return name if name in known else plain if plain in known else None


def _switched_off(name: str, known: Mapping[str, ArgumentOption]) -> str | None:
    declared = _declared(name[3:], known) if name.startswith(("no-", "no_")) else None
    return declared if declared is not None and known[declared].kind == "boolean" else None


def _after_switch(declared: str | None, value: JSON, known: Mapping[str, ArgumentOption]) -> str | None:
    """The word after a boolean's option, where it is not its value."""
    boolean = declared is not None and known[declared].kind == "boolean"
    return value if boolean and isinstance(value, str) and not is_switch(value) else None


def _pair(word: str) -> tuple[str, JSON] | None:
    try:
        return pair_of(word)
    except click.UsageError as error:
        raise WorkflowError(error.message) from error


def _off(name: str, value: JSON, declared: str) -> bool:
    if value is not True:
        raise WorkflowError(f"--{name} takes no value; to switch `{declared}` on, give --{name[3:]}")
    return False


def _refuse_option(name: str, known: Mapping[str, ArgumentOption]) -> None:
    """Raise WorkflowError for a misspelt option of vibe: it must never pass for an argument and start a run."""
    from .run import own_options

    if name == "resume" and name not in known:
        raise WorkflowError("a run is gone on with by `vibe resume RUN`, or by the same command without --resume")
    meant = nearest(name, own_options(), cutoff=0.75)
    if meant and not nearest(name.replace("-", "_"), known):
        raise WorkflowError(
            f"neither vibe run nor the workflow declares an option --{name}; did you mean --{meant}? To an argument of "
            f"that name, give {name}=VALUE"
        )


def _taker(
    words: list[str], missing: list[ArgumentOption], target: str, known: Mapping[str, ArgumentOption]
) -> ArgumentOption:
    """The argument that words without a name are for: the only required one that is missing, if it is text."""
    if len(missing) == 1 and takes_bare_words(missing[0]):
        return missing[0]
    told = f"no argument takes {words[0]!r}: "
    if missing:
        raise WorkflowError(f"{told}{_names(missing)} are missing; name them: {example(target, missing)}")
    if not known:
        raise WorkflowError(f"{told}the workflow declares no arguments; `{command_line(target)} --help` shows it")
    taken = ", ".join(each.flag for each in list(known.values())[:8])
    raise WorkflowError(
        f"{told}name the one that is meant, as --name value, name=value or name:=JSON; the workflow takes {taken}"
    )


def _of_words(words: list[str], taker: ArgumentOption) -> object:
    if taker.kind == "array":
        return words
    if len(words) > 1:
        raise WorkflowError(
            f"argument `{taker.name}` is one text, and {len(words)} words are here; put it in quotes: "
            f'"{" ".join(words):.200}"'
        )
    return words[0]


def _refuse_missing(missing: list[ArgumentOption], target: str) -> None:
    first = missing[0]
    about = f" ({first.description})" if first.description else ""
    more = f", and {_names(missing[1:])}" if len(missing) > 1 else ""
    raise WorkflowError(f"argument `{first.name}`{about} is missing{more}; for example: {example(target, missing)}")


def _names(options: list[ArgumentOption]) -> str:
    return " and ".join(f"`{option.name}`" for option in options)
