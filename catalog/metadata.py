"""What a workflow says of itself. A locked child reads it; here its report is checked and becomes a Metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from vibe_workflows.engine.config_amounts import budget_units
from vibe_workflows.engine.config_values import grants, whole_number
from vibe_workflows.engine.nearest import did_you_mean
from vibe_workflows.engine.routing import model_name

from .discovery import WorkflowSource
from .index import Index, Report

if TYPE_CHECKING:
    from vibe_workflows.engine.model import JSON
    from vibe_workflows.engine.ports import Limits


_BATCH_BYTES = 2 * 1024 * 1024  # escaped it may be six times as much on the wire


class MetadataReader(Protocol):
    """Parses (file name, source) pairs in a locked process, all at once. Raises ValueError where that ends it."""

    async def read_metadata(self, files: Sequence[tuple[str, str]]) -> Sequence[Report]:
        """Per file, in order: docstring, meta, meta_line, body, phases_used, problems [{line, column, message}]."""
        ...


class MetadataProblem(NamedTuple):
    line: int
    column: int
    message: str


class Metadata(NamedTuple):
    """A workflow's description of itself. One with `problems` cannot run; the rest of it may then be empty.

    `name` is only shown: the command is the file's name. `permissions` are requests, which a person grants.
    """

    name: str
    description: str = ""
    when_to_use: str = ""
    phases: tuple[str, ...] = ()
    phases_used: tuple[str, ...] = ()  # titles that the source spells out
    args: Mapping[str, JSON] | None = None  # a JSON Schema for an object
    budget_units: Mapping[str, float] = MappingProxyType({})
    model: str = ""
    concurrency: int | None = None
    permissions: tuple[str, ...] = ()
    body: str = ""  # main: an async def main(args); toplevel: the whole file
    problems: tuple[MetadataProblem, ...] = ()

    @property
    def budget(self) -> Limits:
        from vibe_workflows.engine.config import parse_budget

        return parse_budget(self.budget_units)

    def problem_lines(self, filename: str) -> tuple[str, ...]:
        """Each problem as `file:line:column: message`, and one that is there several times once, with its lines."""
        places: dict[str, list[MetadataProblem]] = {}
        for found in self.problems:
            places.setdefault(found.message, []).append(found)
        return tuple(
            f"{filename}:{first.line}:{first.column}: {_told(first, *more)}" for first, *more in places.values()
        )


def known_metadata(sources: Sequence[WorkflowSource], index: Index) -> list[Metadata | None]:
    """The metadata of those files that the index knows, None for the others. Needs no sandbox."""
    reports = index.reports(source.digest for source in sources)
    return [
        build_metadata(source.file.name, reports[source.digest]) if source.digest in reports else None
        for source in sources
    ]


async def read_metadata(sources: Sequence[WorkflowSource], reader: MetadataReader, index: Index) -> list[Metadata]:
    """The metadata of all files, in order; those that the index does not know are read, and kept.

    A file that the reader cannot cope with has that as its problem, and costs the others nothing.
    """
    reports = index.reports(source.digest for source in sources)
    unread = {source.digest: source for source in sources if source.digest not in reports}
    for batch in _batches(list(unread.values())):
        reports.update(await _read(batch, reader, index))
    return [build_metadata(source.file.name, reports[source.digest]) for source in sources]


def _batches(sources: list[WorkflowSource]) -> Iterator[list[WorkflowSource]]:
    batch: list[WorkflowSource] = []
    size = 0
    for source in sources:
        if batch and size + len(source.content) > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(source)
        size += len(source.content)
    if batch:
        yield batch


async def _read(batch: list[WorkflowSource], reader: MetadataReader, index: Index) -> dict[str, Report]:
    try:
        answers = await reader.read_metadata([(str(source.file.path), source.text) for source in batch])
    except ValueError as error:  # one of them took too long or too much: halve until it is alone
        if len(batch) == 1:  # not kept: on a less busy machine it may well work
            return {batch[0].digest: {"problems": [{"line": 1, "column": 1, "message": str(error)}]}}
        half = len(batch) // 2
        return {**await _read(batch[:half], reader, index), **await _read(batch[half:], reader, index)}
    reports = dict(zip((source.digest for source in batch), answers, strict=True))
    index.keep_reports(reports)
    return reports


def build_metadata(name: str, report: Report) -> Metadata:
    """Check a report of the locked child. What is wrong is a problem of the result, never an exception."""
    problems = [
        MetadataProblem(line=found["line"], column=found["column"], message=found["message"])
        for found in report.get("problems") or ()
    ]
    values: dict[str, Any] = {}
    line = report.get("meta_line") or 1
    for key, value in (report.get("meta") or {}).items():
        check = META.get(key)
        try:
            if check is None:
                raise ValueError(f"unknown key; {did_you_mean(str(key), META)}")
            values[_FIELDS.get(key, key)] = check(value)
        except ValueError as error:
            problems.append(MetadataProblem(line=line, column=1, message=f'meta["{key}"]: {error}'))
    described = _first_line(report.get("docstring") or "")
    return Metadata(
        **{"name": name, "description": described, **values},
        phases_used=tuple(report.get("phases_used") or ()),
        body=report.get("body") or "",
        problems=tuple(problems),
    )


def _first_line(docstring: str) -> str:
    """The first paragraph's first line."""
    return next((line.strip() for line in docstring.splitlines() if line.strip()), "")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"a text is needed, not {value!r:.60}")
    return value.strip()


def _phases(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(title, str) and title.strip() for title in value):
        raise ValueError('a list of titles is needed, such as ["Review", "Merge"]')
    if len(set(value)) < len(value):
        raise ValueError("a title stands there twice; a phase is known by its title")
    return tuple(value)


def _told(first: MetadataProblem, *more: MetadataProblem) -> str:
    lines = dict.fromkeys(str(each.line) for each in more if each.line != first.line)
    if not lines:
        return first.message
    return f"{first.message} (and in {'line' if len(lines) == 1 else 'lines'} {', '.join(lines)})"


#: One of them stands in the schema of any arguments.
_SCHEMA_KEYS = frozenset(
    {
        *("additionalProperties", "allOf", "anyOf", "dependentRequired", "dependentSchemas", "description", "if"),
        *("maxProperties", "minProperties", "not", "oneOf", "patternProperties", "properties", "propertyNames"),
        *("required", "title", "type", "unevaluatedProperties"),
    }
)


def _args(value: object) -> Mapping[str, JSON]:
    """Only the shape that the command line needs: whether it is a sound schema is checked in the locked worker."""
    if not isinstance(value, dict):
        raise ValueError('a JSON Schema is needed, such as {"type": "object", "properties": {...}}')
    if value and not any(name in _SCHEMA_KEYS or name.startswith("$") for name in value):
        raise ValueError(
            f'a JSON Schema is needed: put `{next(iter(value))}` into {{"type": "object", "properties": {{...}}}}'
        )
    if value.get("type", "object") != "object":
        raise ValueError(f'the "type" of the arguments is "object", not {value["type"]!r:.60}')
    properties = value.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(schema, dict | bool) for schema in properties.values()):
        raise ValueError('"properties" maps names to schemas, such as {"path": {"type": "string"}}')
    required = value.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise ValueError('"required" is a list of names')
    for name in properties:
        if name.startswith("_") or not name.isprintable() or not name or "=" in name or name.endswith(":"):
            raise ValueError(
                f"`{name}` is no argument's name: it starts with `_`, or has signs that a shell would need"
            )
    return value


def _model(value: object) -> str:
    name = model_name(value)
    if "://" in name:
        raise ValueError(f"`{name}` holds an address, which only a person's own config may name; use an alias")
    return name


def _permissions(value: object) -> tuple[str, ...]:
    return tuple(grants(value))


#: The keys of `meta`, and what checks the value of each. Raises ValueError.
META: Mapping[str, Callable[[object], object]] = {
    "name": _text,
    "description": _text,
    "when_to_use": _text,
    "phases": _phases,
    "args": _args,
    "budget": budget_units,
    "model": _model,
    "concurrency": lambda value: whole_number(1, 1_000)(value, False),
    "permissions": _permissions,
}
_FIELDS = {"budget": "budget_units"}
