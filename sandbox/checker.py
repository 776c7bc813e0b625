"""The engine's `Checker`, by shape: what a stranger wrote is evaluated in a locked worker, never here."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import trio

from .ending import Misbehaved
from .forker import Child, Forker, open_forker
from .frames import Problem
from .inbound import Splitter
from .launcher import Zygote
from .limits import ADDRESS_SPACE, ALL_LAYERS, MAX_FRAME, MIB, ChildLimits
from .replies import Metadata, Validated, check_hits, chosen, unpack
from .resident import resident_bytes

#: Of the worker's CPU time, a request; on a busy machine that may take it longer.
REQUEST_S = 2.0
_REQUEST_WALL_S = 20.0
_TICK_S = 0.1
#: Characters a request: each takes six bytes at most.
_BATCH_CHARS = 2_000_000
#: At once, of one capability.
_WORKERS = 2
_LIFETIME = ChildLimits(cpu_s=600)
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
        for batch in _batches(paths):
            hits = await self._ask("text", "the glob", tuple[int, ...], op="match_paths", pattern=pattern, paths=batch)
            found += chosen(batch, hits, "the glob")
        return found

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> list[str]:
        found: list[str] = []
        for batch in _batches(paths):
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
            hits = await self._ask(
                "text",
                "the pattern",
                tuple[tuple[int, int, str], ...],
                op="search",
                pattern=pattern,
                texts=[piece.text for piece in batch],
                ignore_case=ignore_case,
                limit=limit - len(found),
            )
            check_hits(hits, len(batch), limit - len(found))
            for number, line, text in hits:
                piece = batch[number]
                found.append((files[piece.file][0], piece.line + line + 1, text))
            if len(found) >= limit:
                break
        return found

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
            child = idle.pop() if idle and not fresh else await self._start(capability)
            keep = False
            try:
                reply = await _request(child, body, what, self._request_s)
                keep = not fresh and _cpu_used(child.pid) < _RETIRE_S
            finally:
                if keep:
                    idle.append(child)
                else:
                    await child.release()
        return unpack(reply, what, kind)

    async def _start(self, capability: str) -> Child:
        return await self._forker.fork("worker", _LIFETIME, capability=capability, layers=self._layers)


@asynccontextmanager
async def open_checker(
    zygote: Zygote, *, layers: frozenset[str] = ALL_LAYERS, request_s: float = REQUEST_S
) -> AsyncIterator[LockedChecker]:
    """A checker on `zygote` without a host, for a command that runs no script. One at a time per zygote."""
    async with open_forker(zygote) as forker:
        yield LockedChecker(forker, layers=layers, request_s=request_s)


async def _request(child: Child, body: bytes, what: str, limit_s: float) -> bytes:
    """One request and its reply, within the limits of time; the child is of no more use where this raises."""
    begun_cpu, begun = _cpu_used(child.pid), trio.current_time()
    with trio.move_on_after(_REQUEST_WALL_S):
        await _send(child, body)
        splitter = Splitter(MAX_FRAME + 4)
        while True:
            data = None
            with trio.move_on_after(_TICK_S):
                data = await _receive(child)
            if data is None:
                if _cpu_used(child.pid) - begun_cpu > limit_s:
                    break
                if not child.layers.get(ADDRESS_SPACE) and resident_bytes(child.pid) > _LIFETIME.memory_bytes:
                    raise ValueError(_too_much_memory(what))
            elif not data:
                raise ValueError(await _how_it_died(child, what))
            else:
                for reply in _frames(splitter, data, what):
                    return reply
            if trio.current_time() - begun > _REQUEST_WALL_S:
                break
    raise ValueError(f"{what} takes more than {limit_s:g} s to evaluate; make it simpler")


def _frames(splitter: Splitter, data: bytes, what: str) -> Iterator[bytes]:
    try:
        yield from splitter.feed(data)
    except Misbehaved as error:
        raise ValueError(f"{what}: its evaluation went wrong: {error.message}") from None


async def _send(child: Child, body: bytes) -> None:
    rest = memoryview(len(body).to_bytes(4, "little") + body)
    try:
        while rest:
            rest = rest[await child.socket.send(rest) :]
    except OSError:
        pass  # it is gone; reading says so


async def _receive(child: Child) -> bytes:
    try:
        return await child.socket.recv(256 << 10)
    except OSError:
        return b""


async def _how_it_died(child: Child, what: str) -> str:
    end = await child.release()
    if end.peak_kib * 1024 > _LIFETIME.memory_bytes * 0.6:
        return _too_much_memory(what)
    return f"{what} brought down the process that evaluated it (status {end.status}); make it simpler"


def _too_much_memory(what: str) -> str:
    return f"{what} takes more than {_LIFETIME.memory_bytes // MIB} MB to evaluate; make it simpler"


def _unreadable(message: str) -> dict[str, Any]:
    problem = Problem(line=1, column=1, message=message)
    return Metadata(None, {}, None, "", [], [problem]).to_dict()


def _cpu_used(pid: int) -> float:
    """CPU seconds of another process. Zero where the system does not tell, or the process is gone."""
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock id that clock_getcpuclockid(3) makes
    except OSError:
        return 0.0


def _batches(items: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for item in items:
        if batch and size + len(item) > _BATCH_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item) + 4
    if batch:
        yield batch


def _text_batches(files: Sequence[tuple[str, str]]) -> Iterator[list[_Text]]:
    batch: list[_Text] = []
    size = 0
    for number, (_, text) in enumerate(files):
        for piece in _pieces(number, text):
            if batch and size + len(piece.text) > _BATCH_CHARS:
                yield batch
                batch, size = [], 0
            batch.append(piece)
            size += len(piece.text) + 4
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
