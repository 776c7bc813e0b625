"""Command-line input becomes the arguments of a workflow: plain JSON, converted and checked by its schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.nearest import nearest

if TYPE_CHECKING:
    from vibe_workflows.engine.model import JSON
    from vibe_workflows.engine.ports import Checker

    from .index import Index

Schema = Mapping[str, Any]

_MEMO = "arguments-1"
_MAX_FILE = 16 * 1024 * 1024
_SWITCHES = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
_SIMPLE = ("string", "integer", "number", "boolean", "array", "object")


class ArgumentOption(NamedTuple):
    """One property of the schema, as an option of the command line. `kind` is a JSON type; `items` that of a list."""

    name: str
    kind: str
    items: str = "string"
    choices: tuple[str, ...] = ()
    default: JSON = None
    required: bool = False
    description: str = ""
    keys: tuple[str, ...] = ()  # of an object, or of the objects of a list

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def argument_options(schema: Schema | None) -> tuple[ArgumentOption, ...]:
    """The options that a schema declares, in its order."""
    return tuple(_option(name, below, schema or {}) for name, below in _properties(schema).items())


def _option(name: str, schema: Schema, whole: Schema) -> ArgumentOption:
    items = schema.get("items")
    below = items if isinstance(items, dict) else {}
    choices = schema.get("enum", below.get("enum"))
    return ArgumentOption(
        name=name,
        kind=_kind(schema),
        items=_kind(below),
        choices=tuple(_shown(choice) for choice in choices) if isinstance(choices, list) else (),
        default=schema.get("default"),
        required=name in whole.get("required", ()) and "default" not in schema,
        description=str(schema.get("description", "")),
        keys=tuple(_properties(schema) or _properties(below)),
    )


def _properties(schema: Schema | None) -> dict[str, Schema]:
    properties = (schema or {}).get("properties")
    declared = properties if isinstance(properties, dict) else {}
    return {name: below if isinstance(below, dict) else {} for name, below in declared.items()}


def _kind(schema: Schema) -> str:
    """The JSON type that text is converted to; a string where the schema leaves it open."""
    named = schema.get("type")
    kinds = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return next((kind for kind in kinds if kind in _SIMPLE), "string")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# ---------------------------------------------------------------- collecting


def collect_arguments(
    schema: Schema | None,
    *,
    document: str | None = None,
    named: Mapping[str, object],
    cwd: Path,
) -> dict[str, JSON]:
    """The arguments as given, converted by the schema. Not yet validated. Raises WorkflowError.

    `document` is that of --args: JSON, or `@file`. `named` maps names to texts and lists of texts, converted by the
    schema where there is one, and to values that are JSON already; they stand above the document.
    """
    given = _document(document, cwd) if document is not None else {}
    properties = _properties(schema)
    given |= {name: _convert(name, properties.get(name, {}), value) for name, value in named.items()}
    for name in given:
        _refuse_unknown(schema, name)
    return given


def _refuse_unknown(schema: Schema | None, name: str) -> None:
    properties = _properties(schema)
    if schema is None or name in properties or schema.get("patternProperties"):
        return
    if schema.get("additionalProperties", False) is not False:
        return
    meant = nearest(name, properties, cutoff=0.7)
    if meant:
        rest = f"did you mean `{meant}`?"
    elif properties:
        rest = "it takes " + ", ".join(f"`{known}`" for known in properties)
    else:
        rest = "it takes none"
    raise WorkflowError(f"the workflow has no argument `{name}`; {rest}")


def _document(text: str, cwd: Path) -> dict[str, JSON]:
    where = "--args"
    if text.startswith("@"):
        path = cwd / text[1:]
        where = f"--args {text}"
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE + 1)
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise WorkflowError(f"{where}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise WorkflowError(f"{where}: not UTF-8 text") from error
        if len(content) > _MAX_FILE:
            raise WorkflowError(f"{where}: larger than {_MAX_FILE // 1024**2} MB; pass a path, and let agents read it")
    value = _json(text, where)
    if not isinstance(value, dict):
        raise WorkflowError(f'{where}: a JSON object is needed, such as {{"path": "src"}}')
    return value


def _json(text: str, where: str) -> JSON:
    try:
        value: JSON = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        sample = '{"path": "src"}' if where.startswith("--args") else '"src"'
        raise WorkflowError(
            f"{where}: not valid JSON: {error.msg} (line {error.lineno}, column {error.colno}); text needs quotes, "
            f"as in '{sample}'"
        ) from error
    except (ValueError, RecursionError) as error:
        raise WorkflowError(f"{where}: not valid JSON: {error}") from error
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


# ---------------------------------------------------------------- converting


def _convert(name: str, schema: Schema, given: object) -> JSON:
    if isinstance(given, list | tuple):
        items = schema.get("items")
        below = items if isinstance(items, dict) else {}
        return [_convert(name, below, element) for element in given]
    if given is True and not _may_be_true(schema):
        flag = "--" + name.replace("_", "-")
        raise WorkflowError(
            f"argument `{name}`: a value is needed; give {flag} VALUE, or {flag}=VALUE if it begins with a dash"
        )
    if not isinstance(given, str):
        return given  # type: ignore[return-value]  # an option that was parsed already: a flag's bool
    for choice in schema.get("enum") or () if "type" not in schema else ():
        if _shown(choice) == given:
            return choice  # type: ignore[no-any-return]
    kind = _kind(schema)
    if kind == "array":
        return _list(name, schema, given)
    if kind == "object":
        value = _json(given, f"argument `{name}`")
        if not isinstance(value, dict):
            raise WorkflowError(f'argument `{name}`: a JSON object is needed, such as {{"key": "value"}}')
        return value
    return _scalar(name, kind, given)


def _may_be_true(schema: Schema) -> bool:
    """Whether `--name` alone makes sense: a switch, or anything where the schema leaves it open."""
    named = schema.get("type")
    return "enum" not in schema and (named is None or "boolean" in ([named] if isinstance(named, str) else named))


def is_switch(text: object) -> bool:
    """Whether a text says true or false."""
    return isinstance(text, str) and text.strip().lower() in _SWITCHES


def _list(name: str, schema: Schema, text: str) -> JSON:
    if text.lstrip().startswith("["):
        return _json(text, f"argument `{name}`")
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    return _convert(name, schema, parts)


def _scalar(name: str, kind: str, text: str) -> JSON:
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                number = float(text)
                if math.isfinite(number):
                    return int(text) if text.strip().lstrip("+-").isdecimal() else number
            case "boolean":
                if (switch := _SWITCHES.get(text.strip().lower())) is not None:
                    return switch
            case _:
                return text
    except ValueError:
        pass
    wanted = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}[kind]
    raise WorkflowError(f"argument `{name}`: {wanted} is needed, not `{text:.80}`")


# ---------------------------------------------------------------- binding


async def bind_arguments(
    schema: Schema | None, given: Mapping[str, JSON], checker: Checker, memo: Index | None = None
) -> bytes:
    """The script's `args`, as canonical JSON: validated, defaults filled in, undefined declared properties None.

    What was checked before is known from `memo`, and needs no checker. Raises WorkflowError.
    """
    held = {name: value for name, value in given.items() if not (value is None and name in _properties(schema))}
    if schema is None:
        return _canonical(held)
    _refuse_missing(schema, held)
    digest = blake2b(_canonical([schema, held]), digest_size=32).hexdigest()
    bound = _remembered(memo, digest)
    if bound is None:
        bound = await _check(schema, held, checker)
        if memo is not None:
            memo.keep_memo(_MEMO, digest, json.dumps(bound))
    return _canonical({**dict.fromkeys(_properties(schema)), **bound})


def _remembered(memo: Index | None, digest: str) -> dict[str, JSON] | None:
    text = memo.memo(_MEMO, digest) if memo is not None else None
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def missing_options(schema: Schema | None, given: Mapping[str, JSON]) -> list[ArgumentOption]:
    """Those that are required and not given; None counts as not given."""
    return [option for option in argument_options(schema) if option.required and given.get(option.name) is None]


def _refuse_missing(schema: Schema, given: Mapping[str, JSON]) -> None:
    missing = missing_options(schema, given)
    if missing:
        first = missing[0]
        about = f" ({first.description})" if first.description else ""
        more = "".join(f", and `{option.name}`" for option in missing[1:])
        raise WorkflowError(f"argument `{first.name}`{about} is missing{more}; give {first.flag} VALUE")


async def _check(schema: Schema, given: dict[str, JSON], checker: Checker) -> dict[str, JSON]:
    try:
        if wrong := await checker.check_schema(dict(schema)):
            raise WorkflowError(f'meta["args"] is no sound JSON Schema: {"; ".join(wrong)}')
        verdict = await checker.validate(dict(schema), given, fill_defaults=True)
    except ValueError as error:
        raise WorkflowError(f'the arguments cannot be checked by meta["args"]: {error}') from error
    if verdict.problems:
        raise WorkflowError(f"the arguments do not fit: {'; '.join(verdict.problems)}")
    bound: dict[str, JSON] = json.loads(verdict.value)
    return bound


def _canonical(value: object) -> bytes:
    from vibe_workflows.engine.keys import canonical_json

    try:
        return canonical_json(value)
    except UnicodeError as error:  # the shell passed bytes that are no UTF-8
        raise WorkflowError(f"the arguments hold text that is not UTF-8: {error}") from error
    except RecursionError as error:
        raise WorkflowError("the arguments are nested too deeply") from error
