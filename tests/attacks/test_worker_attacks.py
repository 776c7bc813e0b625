"""Attacks on the locked worker: each is refused in words, and without its guard it gets through or is noticed later."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
import trio

from tests.attacks.guards import start_weakened_zygote
from tests.attacks.harness import Bait, bait
from vibe_workflows.sandbox import checker as checking
from vibe_workflows.sandbox import replies, worker_client
from vibe_workflows.sandbox.checker import LockedChecker, open_checker
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, MIB, PRIVILEGES, SECCOMP, ChildLimits

VICTIM = "a" * 60 + "b"
_REQUEST_S = 0.4
#: When an attack whose guard is off is given up: one that comes to an end gets the time for it.
_ENDLESS_S, _HANGS_S = 0.7, 1.5


@contextmanager
def _trusting(module: object, **parts: object) -> Iterator[None]:
    with ExitStack() as stack:
        for name, part in parts.items():
            stack.enter_context(mock.patch.object(module, name, part))
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerGuard:
    """How it is switched off: inside of the worker, by its layers, by a patch here, or by another limit of CPU time."""

    weaknesses: tuple[str, ...] = ()
    layers: frozenset[str] = ALL_LAYERS
    patch: Callable[[], AbstractContextManager[object]] = nullcontext
    request_s: float = _REQUEST_S


GUARDS = {
    "worker.cpu": WorkerGuard(request_s=1_000.0),
    "worker.wall": WorkerGuard(patch=lambda: _trusting(worker_client, _REQUEST_WALL_S=1_000.0)),
    "worker.memory": WorkerGuard(
        patch=lambda: _trusting(checking, LIFETIME=ChildLimits(memory_bytes=2048 * MIB, cpu_s=600)), request_s=1_000.0
    ),
    "worker.references": WorkerGuard(
        weaknesses=("worker.references", "surroundings", "limit.fds"),
        layers=ALL_LAYERS - {SECCOMP, LANDLOCK, PRIVILEGES},
        request_s=1_000.0,
    ),
    "worker.anchors": WorkerGuard(weaknesses=("worker.references",)),
    "worker.depth": WorkerGuard(weaknesses=("worker.depth",)),
    "worker.parts": WorkerGuard(weaknesses=("worker.parts",)),
    "worker.dialects": WorkerGuard(weaknesses=("worker.dialects",)),
    "worker.result": WorkerGuard(weaknesses=("worker.result",)),
    "worker.reply": WorkerGuard(
        patch=lambda: _trusting(
            replies, numbered=lambda items, number, what: items[number % len(items)], check_nesting=lambda _: None
        )
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAttack:
    """`refused` is in what the author reads, `off` in what comes without the guard: an answer, or another refusal."""

    guard: str
    ask: Callable[[LockedChecker, Bait], Awaitable[Any]]
    refused: str
    off: str


def _schema(
    guard: str, schema: Any, value: Any, refused: str, off: str, *, fill_defaults: bool = False
) -> WorkerAttack:
    async def ask(checker: LockedChecker, trap: Bait) -> Any:
        text = str(trap.folder)
        port = trap.listener.getsockname()[1]
        wanted = schema(text, port) if callable(schema) else schema
        return await checker.validate(wanted, value, fill_defaults=fill_defaults)

    return WorkerAttack(guard=guard, ask=ask, refused=refused, off=off)


def _glob(guard: str, pattern: str, path: str, refused: str, off: str) -> WorkerAttack:
    async def ask(checker: LockedChecker, _: Bait) -> Any:
        return await checker.match_paths(pattern, [path])

    return WorkerAttack(guard=guard, ask=ask, refused=refused, off=off)


def _search(guard: str, pattern: str, text: str, refused: str, off: str) -> WorkerAttack:
    async def ask(checker: LockedChecker, _: Bait) -> Any:
        return await checker.search(pattern, [("f", text)], ignore_case=False, limit=5)

    return WorkerAttack(guard=guard, ask=ask, refused=refused, off=off)


def _ignored(guard: str, rules: str, path: str, refused: str, off: str) -> WorkerAttack:
    async def ask(checker: LockedChecker, _: Bait) -> Any:
        return await checker.ignored({"": rules}, [path])

    return WorkerAttack(guard=guard, ask=ask, refused=refused, off=off)


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def _doubling(key: str) -> dict[str, Any]:
    """Forty definitions, each of which holds the next one twice."""
    parts: dict[str, Any] = {"d40": {}}
    for number in range(40):
        below = {"$ref": f"#/$defs/d{number + 1}", "default": {}}
        parts[f"d{number}"] = {"allOf": [below, below]} if key == "allOf" else {"properties": {"a": below, "b": below}}
    return {"$defs": parts, "$ref": "#/$defs/d0"}


SLOW = r"takes more than 0\.4 s"
WALL = r"takes more than 1000 s"  # as the clock on the wall puts it
ATTACKS = {
    "pattern that backtracks": _schema("worker.cpu", {"pattern": "^(a+)+$"}, VICTIM, SLOW, WALL),
    "pattern of names that backtracks": _schema(
        "worker.cpu", {"patternProperties": {"^(a+)+$": {}}}, {VICTIM: 1}, SLOW, WALL
    ),
    "defaults that double": _schema("worker.cpu", _doubling("defaults"), {}, SLOW, WALL, fill_defaults=True),
    "alternatives that double": _schema("worker.cpu", _doubling("allOf"), 1, SLOW, WALL),
    "unique among 20,000": _schema(
        "worker.cpu", {"uniqueItems": True}, [{"a": number} for number in range(20_000)], SLOW, WALL
    ),
    "search that backtracks": _search("worker.cpu", "^(a+)+$", VICTIM, SLOW, WALL),
    "search with a reference back": _search("worker.cpu", r"^(a*)*\1$", VICTIM, SLOW, WALL),
    "glob of stars": _glob("worker.cpu", "*a" * 12 + "b", "a" * 400, SLOW, WALL),
    "glob of braces": _glob("worker.cpu", "{*,**}" * 12 + "x", "ab" * 100, SLOW, WALL),
    "ignore file of stars": _ignored("worker.cpu", "*a" * 15 + "b\n", "a" * 300, SLOW, WALL),
    "ignore file of a million lines": _ignored("worker.cpu", "a\n" * 1_000_000, "x", SLOW, WALL + "|MB|memory"),
    "search that holds memory": _search(
        "worker.memory", "(?:(a)|(b)|(c))+?d", "a" * 1_900_000, "more memory|256 MB|0.4 s", r"^\[\]$|" + WALL
    ),
    "reference to the web": _schema(
        "worker.references", lambda _, port: {"$ref": f"http://127.0.0.1:{port}/s"}, 1, "is not local", "connected"
    ),
    "reference to a file": _schema(
        "worker.references", lambda folder, _: {"$ref": f"file://{folder}/schema"}, 1, "is not local", "was expected"
    ),
    "identity that moves references": _schema(
        "worker.anchors", {"properties": {"a": {"$id": "http://127.0.0.1/x"}}}, {}, r"only the whole schema", "Verdict"
    ),
    "deep schema": _schema("worker.depth", _nested(190), [], "64 levels", "nested too deeply"),
    "wide schema": _schema("worker.parts", {"enum": list(range(30_000))}, 5, "20,000 parts", "Verdict"),
    "dialect from the web": _schema("worker.dialects", {"$schema": "urn:strange"}, 1, "not a dialect", "Verdict"),
    "defaults of megabytes": _schema(
        "worker.result",
        {"properties": {f"a{number}": {"default": "x" * 100_000} for number in range(80)}},
        {},
        "too large",
        "Verdict",
        fill_defaults=True,
    ),
}

#: What a worker that was taken over says, and how that is told.
LIES = {
    "lie.number": "its evaluation went wrong",
    "lie.negative": "its evaluation went wrong",
    "lie.repeat": "its evaluation went wrong",
    "lie.type": "its evaluation went wrong",
    "lie.deep": "its evaluation went wrong",
    "lie.garbage": "its evaluation went wrong",
    "lie.huge": "went wrong",
    "lie.twice": "its evaluation went wrong",
    "lie.exit": "brought down the process",
}


def _said(attack: WorkerAttack, guard: WorkerGuard) -> str:
    """The answer or the refusal, and what happened outside."""

    async def main() -> str:
        zygote = start_weakened_zygote(guard.weaknesses)
        try:
            async with open_checker(zygote, layers=guard.layers, request_s=guard.request_s) as checker:
                with bait() as trap:
                    (trap.folder / "schema").write_text('{"const": 5}', encoding="ascii")
                    try:
                        said = str(await attack.ask(checker, trap))
                    except ValueError as error:
                        said = str(error)
                    return said[:2_000] + "; ".join(trap.outside_signs())
        finally:
            zygote.close()

    with guard.patch():
        return trio.run(main)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_worker_is_refused_in_words(name: str) -> None:
    said = _said(ATTACKS[name], WorkerGuard())
    assert re.search(ATTACKS[name].refused, said)
    assert "connected" not in said


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_worker_gets_through_without_its_guard(name: str) -> None:
    patience_s = _ENDLESS_S if ATTACKS[name].off == WALL else _HANGS_S
    with mock.patch.object(worker_client, "_REQUEST_WALL_S", patience_s):
        said = _said(ATTACKS[name], GUARDS[ATTACKS[name].guard])
    assert re.search(ATTACKS[name].off, said)
    assert not re.search(ATTACKS[name].refused, said)


def _ask_a_liar(lie: str, work: Callable[[LockedChecker], Awaitable[None]]) -> None:
    async def main() -> None:
        zygote = start_weakened_zygote((lie,))
        try:
            async with open_checker(zygote, request_s=_REQUEST_S) as checker:
                await work(checker)
        finally:
            zygote.close()

    trio.run(main)


@pytest.mark.parametrize("lie", LIES)
def test_a_worker_that_lies_is_not_believed_and_not_asked_again(lie: str) -> None:
    async def work(checker: LockedChecker) -> None:
        with pytest.raises(ValueError, match=LIES[lie]):
            await checker.match_paths("*", ["a", "b"])
        assert not checker._idle["text"] or lie in ("lie.number", "lie.negative", "lie.repeat")

    _ask_a_liar(lie, work)


def test_a_worker_that_lies_about_lines_is_not_believed() -> None:
    async def work(checker: LockedChecker) -> None:
        with pytest.raises(ValueError, match="its evaluation went wrong"):
            await checker.search("x", [("f", "x")], ignore_case=False, limit=1)

    _ask_a_liar("lie.line", work)


def test_a_worker_that_hangs_without_using_its_time_is_given_up() -> None:
    async def work(checker: LockedChecker) -> None:
        with pytest.raises(ValueError, match=SLOW):
            await checker.match_paths("*", ["a"])

    with mock.patch.object(worker_client, "_REQUEST_WALL_S", 0.5):
        _ask_a_liar("lie.hang", work)


def test_a_poisoned_request_does_not_change_the_answer_to_the_next_one() -> None:
    async def work(checker: LockedChecker) -> None:
        honest: Any = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/a"}
        honest |= {"$defs": {"a": {"type": "string", "pattern": "^b"}}}
        poisons: list[Any] = [
            {"$id": "https://json-schema.org/draft/2020-12/schema", "type": "integer"},
            {"$id": honest["$schema"], "$defs": {"a": {}}, "$ref": "#/$defs/a"},
            {"$id": "#/$defs/a", "$anchor": "a", "$dynamicAnchor": "meta"},
            {"pattern": "(?i)^b"},
        ]
        for poison in poisons:
            with trio.move_on_after(20):
                await checker.check_schema(poison)
            assert (await checker.validate(honest, "a")).problems == ("'a' does not match '^b'",)
            assert (await checker.validate(honest, "b")).problems == ()

    async def main() -> None:
        zygote = start_weakened_zygote(())
        try:
            async with open_checker(zygote, request_s=2.0) as checker:
                await work(checker)
        finally:
            zygote.close()

    trio.run(main)
