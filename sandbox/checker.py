"""The engine's `Checker`, by shape: what a stranger wrote is evaluated in a locked worker, never here."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import trio

from .forker import Child, Forker, open_forker
from .frames import Problem
from .launcher import Zygote
from .limits import ALL_LAYERS, MAX_FRAME
from .lint_report import LintReport, unreadable
from .patterns import LINE_CHARS
from .replies import Metadata, Page, PlanNode, Validated, check_hits, chosen, read_reply, read_value
from .worker_client import LIFETIME, REQUEST_S, ask, cpu_used, ready

#: Characters a request: each takes six bytes at most.
_BATCH_CHARS = 2_000_000
#: Around each text in a request: quotes and a comma.
_FRAMING_CHARS = 4
#: Of sources that one worker checks: a fifth of its time on a slow machine.
_LINT_CHARS = 100_000
#: At once, of one capability.
_WORKERS = 2
_RETIRE_S = 300.0

T = TypeVar("T")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    value: bytes
    problems: tuple[str, ...]


class _Text(msgspec.Struct, frozen=True):
    """A piece of a file: its number, how many lines lie before it, its text."""

    file: int
    line: int
    text: str


class LockedChecker:
    """Workers are started when first needed, used again, and end with the forker.

    Every method raises ValueError, with a message for the author of what was checked, where it is malformed or takes
    more than `request_s` of CPU time or the memory of a worker; SandboxUnavailable where no worker can be had.
    """

    def __init__(self, forker: Forker, *, layers: frozenset[str] = ALL_LAYERS, request_s: float = REQUEST_S) -> None:
        self._forker = forker
        self._layers = layers
        self._request_s = request_s
        self._idle: dict[str, list[Child]] = {}
        self._slots: dict[str, trio.CapacityLimiter] = {}

    async def check_schema(self, schema: Any) -> tuple[str, ...]:
        return await self._ask("schema", "the schema", tuple[str, ...], op="check_schema", schema=schema)

    async def validate(self, schema: Any, value: Any, *, fill_defaults: bool = False) -> Verdict:
        """Problems begin with their place in the value: `path: 5 is not of type 'string'`."""
        found = await self._ask(
            "schema",
            "the schema",
            Validated,
            op="validate",
            schema=schema,
            value=value,
            fill_defaults=fill_defaults,
        )
        return Verdict(value=bytes(found.value), problems=found.problems)

    async def match_paths(self, pattern: str, paths: Sequence[str]) -> list[str]:
        found: list[str] = []
        for batch in _path_batches(paths):
            hits = await self._ask("text", "the glob", tuple[int, ...], op="match_paths", pattern=pattern, paths=batch)
            found += chosen(batch, hits, "the glob")
        return found

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> list[str]:
        found: list[str] = []
        for batch in _path_batches(paths):
            hits = await self._ask(
                "text", "the .gitignore files", tuple[int, ...], op="ignored", rules=dict(rules), paths=batch
            )
            found += chosen(batch, hits, "the .gitignore files")
        return found

    async def search(
        self, pattern: str, files: Sequence[tuple[str, str]], *, ignore_case: bool, limit: int
    ) -> list[tuple[str, int, str]]:
        """Lines end at a newline; of a long one the first 2,000 characters are given back."""
        found: list[tuple[str, int, str]] = []
        for batch in _text_batches(files):
            texts = [piece.text for piece in batch]
            hits = await self._ask(
                "text",
                "the pattern",
                tuple[tuple[int, int, str], ...],
                op="search",
                pattern=pattern,
                texts=texts,
                ignore_case=ignore_case,
                limit=limit - len(found),
            )
            check_hits(hits, texts, limit - len(found), "the pattern")
            for number, line, text in hits:
                piece = batch[number]
                found.append((files[piece.file][0], piece.line + line + 1, text[:LINE_CHARS]))
            if len(found) >= limit:
                break
        return found

    async def read_page(self, body: bytes, *, charset: str, html: bool, most: int) -> Page:
        """A page of the web as text, without control characters: at most `most` characters of it, 1,000,000 at most."""
        found = await self._ask(
            "pages",
            "the page",
            Page,
            op="page",
            body=base64.b64encode(body).decode(),
            charset=charset,
            html=html,
            most=most,
        )
        return found.cleaned(most)

    async def read_metadata(self, files: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """What (filename, source) pairs say of themselves, in their order. Never raises for what is in a file.

        All are read at once, in a worker of their own; where that fails, one by one, so that a hostile file costs only
        itself. Keys: docstring, meta, meta_line, body, phases_used, problems [{line, column, message}].
        """
        try:
            return await self._read(list(files))
        except ValueError as error:
            if len(files) == 1:
                return [_unreadable(str(error))]
        return [report for file in files for report in await self.read_metadata([file])]

    async def read_plan(self, source: str) -> tuple[PlanNode, ...]:
        """What the source of a workflow can do, in the order of its text; empty where it makes no step by name."""
        nodes = await self._ask("metadata", "the plan", tuple[PlanNode, ...], op="plan", source=source, fresh=True)
        return tuple(node.cleaned() for node in nodes)

    async def lint(self, files: Sequence[tuple[str, str]]) -> list[LintReport]:
        """What the rules say of (filename, source) pairs, in their order. Never raises for what is in a file."""
        batches = list(_batches(files, lambda file: len(file[1]), _LINT_CHARS))
        reports: list[list[LintReport]] = [[] for _ in batches]

        async def lint_batch(number: int) -> None:
            reports[number] = await self._lint(batches[number])

        async with trio.open_nursery() as nursery:  # as many at once as there may be workers
            for number in range(len(batches)):
                nursery.start_soon(lint_batch, number)
        return [report for batch in reports for report in batch]

    async def _lint(self, files: list[tuple[str, str]]) -> list[LintReport]:
        """In a worker of their own; where that fails, one by one."""
        try:
            reports = await self._ask("lint", "the workflow", list[LintReport], op="lint", files=files, fresh=True)
            if len(reports) == len(files):
                return [report.cleaned() for report in reports]
            raise ValueError("the workflow: its evaluation went wrong: it gave another number of reports")
        except ValueError as error:
            if len(files) == 1:
                return [unreadable(str(error))]
        return [report for file in files for report in await self._lint([file])]

    async def _read(self, files: list[tuple[str, str]]) -> list[dict[str, Any]]:
        if not files:
            return []
        reports = await self._ask("metadata", "the workflow", list[Metadata], op="read", files=files, fresh=True)
        if len(reports) != len(files):
            raise ValueError("the workflow: its evaluation went wrong: it gave another number of reports")
        return [report.to_dict() for report in reports]

    async def _ask(self, capability: str, what: str, kind: type[T], *, fresh: bool = False, **request: Any) -> T:
        try:
            body = msgspec.json.encode(request)
        except (TypeError, RecursionError, ValueError) as error:
            raise ValueError(f"{what}: it is no JSON ({error})") from None
        if len(body) > MAX_FRAME:
            raise ValueError(f"{what}: {len(body):,} bytes are too many to check, at most {MAX_FRAME:,} can be")
        async with self._slots.setdefault(capability, trio.CapacityLimiter(_WORKERS)):
            idle = self._idle.setdefault(capability, [])
            child = None if fresh else await ready(idle)
            child = child or await self._start(capability)
            keep = False
            try:
                reply = read_reply(await ask(child, body, what, self._request_s), what)
                value = None if reply.problem is not None else read_value(reply.ok, what, kind)
                keep = not fresh and not reply.spent and cpu_used(child.pid) < _RETIRE_S
            finally:
                if keep:
                    idle.append(child)
                else:
                    await child.release()
        if value is None:
            raise ValueError(reply.problem)
        return value

    async def _start(self, capability: str) -> Child:
        return await self._forker.fork("worker", LIFETIME, capability=capability, layers=self._layers)


@asynccontextmanager
async def open_checker(
    zygote: Zygote, *, layers: frozenset[str] = ALL_LAYERS, request_s: float = REQUEST_S
) -> AsyncIterator[LockedChecker]:
    """A checker on `zygote` without a host, for a command that runs no script. One at a time per zygote."""
    async with open_forker(zygote) as forker:
        yield LockedChecker(forker, layers=layers, request_s=request_s)


def _unreadable(message: str) -> dict[str, Any]:
    problem = Problem(line=1, column=1, message=message)
    return Metadata(None, {}, None, "", [], [problem]).to_dict()


def _path_batches(paths: Sequence[str]) -> Iterator[list[str]]:
    return _batches(paths, lambda path: len(path) + _FRAMING_CHARS, _BATCH_CHARS)


def _text_batches(files: Sequence[tuple[str, str]]) -> Iterator[list[_Text]]:
    pieces = (piece for number, (_, text) in enumerate(files) for piece in _pieces(number, text))
    return _batches(pieces, lambda piece: len(piece.text) + _FRAMING_CHARS, _BATCH_CHARS)


def _batches(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Items in their order; a batch is at most `most` in size, or one item alone."""
    batch: list[T] = []
    held = 0
    for item in items:
        if batch and held + size(item) > most:
            yield batch
            batch, held = [], 0
        batch.append(item)
        held += size(item)
    if batch:
        yield batch


def _pieces(number: int, text: str) -> Iterator[_Text]:
    """A file cut at ends of lines; of a line longer than a batch, the beginning."""
    at = line = 0
    while len(text) - at > _BATCH_CHARS:
        end = text.rfind("\n", at, at + _BATCH_CHARS)
        if end < 0:
            yield _Text(number, line, text[at : at + _BATCH_CHARS])
            end = text.find("\n", at)
            if end < 0:
                return
        else:
            yield _Text(number, line, text[at:end])
        line += text.count("\n", at, end + 1)
        at = end + 1
    yield _Text(number, line, text[at:])
