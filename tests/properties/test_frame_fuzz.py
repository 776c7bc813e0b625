"""Hostile byte streams against the listening half of the engine, with a model that checks what reaches the engine.

Frames are drawn from honest sequences that are then shuffled, repeated, cut, bent and mixed with noise, in any pieces,
while the engine answers. Whatever comes, it is Misbehaved or a typed end, and the engine is told nothing untrue.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sandbox import NoLimits, run_native, running_forker
from vibe_workflows.sandbox import replies
from vibe_workflows.sandbox.ending import Ended, Misbehaved
from vibe_workflows.sandbox.inbound import Inbound, Splitter
from vibe_workflows.sandbox.ledger import Ledger
from vibe_workflows.sandbox.limits import MAX_FRAME, ChildLimits, HostLimits
from vibe_workflows.sandbox.outbox import Answers, Outbox

_LIMITS = HostLimits(
    child=ChildLimits(cpu_s=2),
    stall_s=0.3,
    wall_s=20.0,
    calls=60,
    open_calls=20,
    scopes=300,
    branches=20,
    scope_depth=5,
    logs=30,
    log_bytes=20_000,
    received_bytes=300_000,
    unread_bytes=50_000,
    message_chars=200,
)
_OUTCOMES = {"returned", "raised", "refused", "killed"}


class Forged(AssertionError):
    """The engine was told what cannot be so."""


class ModelEngine:
    """The engine's side, which knows in the plainest way what may come next, and answers as `chance` has it."""

    def __init__(self, chance: random.Random) -> None:
        self.sink: Any = None
        self.told = 0
        self.kept_bytes = 0
        self._chance = chance
        self._starts = 0
        self._parents: dict[int, int | None] = {0: None}
        self._open = {0}
        self._named_closed: set[int] = set()
        self._calls: dict[int, int] = {}
        self._last_call = 0
        self._last_scope = 0
        self._ordered = 0
        self._taken = 0

    def _expect(self, is_so: bool, what: str) -> None:
        self.told += 1
        if not is_so or self._starts != 1:
            raise Forged(what)

    def started(self, sink: Any) -> None:
        self._starts += 1
        self.sink = sink
        self._expect(True, "started")

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None:
        self._expect(self._last_call < call < 1 << 53, f"call {call} after {self._last_call}")
        self._expect(scope in self._open, f"call in scope {scope}")
        self._expect(method in ("agent", "tool") and 0 <= line < 1 << 31 and 0 <= column < 1 << 31, "its fields")
        json.loads(params)
        self._last_call = call
        self._calls[call] = scope
        self.kept_bytes += len(params)
        self._expect(len(self._calls) <= _LIMITS.open_calls, "open calls")
        self._act()

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: Any,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None:
        self._expect(self._last_scope < scope < 1 << 53, f"scope {scope} after {self._last_scope}")
        self._expect(parent in self._open and 0 <= branches <= _LIMITS.branches, f"scope below {parent}")
        self._expect(isinstance(limits, NoLimits) and len(title or "") <= 500, "its fields")
        for each in range(scope, scope + branches + 1):
            self._open.add(each)
            self._parents[each] = parent if each == scope else scope
        self._last_scope = scope + branches
        self._expect(self._depth(scope) <= 2 * _LIMITS.scope_depth, "depth")
        self.kept_bytes += len(title or "") + len(model or "")

    def close(self, scope: int) -> None:
        self._expect(scope in self._parents and scope != 0 and scope not in self._named_closed, f"close of {scope}")
        self._named_closed.add(scope)
        gone = {each for each in self._parents if scope in self._above(each)}
        self._open -= gone
        self._calls = {call: at for call, at in self._calls.items() if at not in gone}

    def cancel_call(self, call: int) -> None:
        self._expect(call in self._calls, f"cancel of {call}")
        del self._calls[call]

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, Any]) -> None:
        self._expect(scope in self._parents, f"log in {scope}")
        self._expect(len(message) <= _LIMITS.message_chars and "\x1b" not in f"{message}{fields}", "its text")
        self.kept_bytes += len(message) + len(str(fields))

    def idle(self, taken: int) -> None:
        self._expect(self._taken <= taken <= self._ordered, f"took {taken} of {self._ordered}")
        self._taken = taken
        self.sink.go(self._last_call)

    def _act(self) -> None:
        """Answer one that is open, or one that is gone, or none."""
        call = self._chance.choice([*self._calls, self._last_call + 1])
        order = self._chance.choice((None, call))
        if self._chance.randrange(3):
            if call in self._calls and order is not None:
                self._ordered += 1
            self._calls.pop(call, None)
            self.sink.answer(call, b'"x"', order=order, tokens=1, microusd=0, seconds=0.0)

    def _above(self, scope: int) -> Iterator[int]:
        at: int | None = scope
        while at is not None:
            yield at
            at = self._parents[at]

    def _depth(self, scope: int) -> int:
        return sum(1 for _ in self._above(scope)) - 1


# ---------------------------------------------------------------- streams

_ODD: tuple[object, ...] = (
    *(-1, 0, 1, 2, 3, 7, 1 << 31, 1 << 53, 1 << 63, 1 << 64, 10**30, 1.5, 1e308, None, True, "1", "", [], {}),
    *("\x1b[31m", "x" * 300, "\ud800", [[[]]], {"a": {"a": 1}}, "agent", "race", {"tokens": -1}, {"tokens": 5}),
)
_NOISE = (
    *(b"", b"{}", b"null", b"[]", b'{"t":"idle"', b'{"t":"idle"} {"t":"idle"}', b'{"t":"idle","t":"started"}'),
    *(b'{"t":"call","id":1,"id":2,"scope":0,"line":1,"col":1,"m":"agent","p":{}}', b'{"t":"done","value":NaN}'),
    *(b'{"t":"done","value":1e400}', b'{"t":"done","value":"\\ud800"}', b'{"t":"done","value":"\xed\xa0\x80"}'),
    *(b"[" * 5_000, b'{"t":"done","value":' + b"[" * 300 + b"]" * 300 + b"}", b'"' + b"\\" * 99, b"\xff\xfe"),
    *(b'{"t":"log","scope":0,"line":1,"message":"\xf0\x9f\x98\x80\\u0000\\u001b"}', b'{"t":"idle","taken":9}'),
    *(b'{"t":"call","id":1,"scope":0,"line":1,"col":1,"m":"agent","p":01}', b'{"t":"error","type":"","message":""}'),
)


def honest(chance: random.Random) -> list[dict[str, Any]]:
    """What a script might send, in order."""
    frames: list[dict[str, Any]] = [{"t": "started"}]
    call = scope = 0
    opened = [0]
    for _ in range(chance.randrange(25)):
        match chance.randrange(6):
            case 0 | 1:
                call += 1
                frames.append(
                    {
                        "t": "call",
                        "id": call,
                        "scope": chance.choice(opened),
                        "line": 1,
                        "col": 1,
                        "m": "agent",
                        "p": {},
                    }
                )
            case 2:
                branches = chance.randrange(4)
                parent = chance.choice(opened)
                frames.append(
                    {"t": "open", "id": scope + 1, "parent": parent, "kind": "parallel", "branches": branches}
                )
                opened += range(scope + 1, scope + branches + 2)
                scope += branches + 1
            case 3 if len(opened) > 1:
                frames.append({"t": "close", "id": opened.pop()})
            case 4 if call:
                frames.append({"t": "cancel", "call": chance.randrange(1, call + 1)})
            case _:
                frames.append(
                    chance.choice(
                        ({"t": "idle", "taken": 0}, {"t": "log", "scope": 0, "line": 1, "message": "\x1b[1mhi"})
                    )
                )
    frames.append(
        chance.choice(({"t": "done", "value": [1]}, {"t": "error", "type": "E", "message": "m"}, {"t": "idle"}))
    )
    return frames


def stream(seed: int, hostility: int) -> bytes:
    """The frames of an honest script, `hostility` times bent."""
    chance = random.Random(seed)
    frames = honest(chance)
    bodies = [json.dumps(frame).encode("utf-8", "replace") for frame in frames]
    for _ in range(hostility):
        at = chance.randrange(len(bodies))
        match chance.randrange(7):
            case 0:
                bodies.insert(at, chance.choice(bodies))
            case 1:
                other = chance.randrange(len(bodies))
                bodies[at], bodies[other] = bodies[other], bodies[at]
            case 2:
                bodies.insert(at, chance.choice(_NOISE))
            case 3 | 4:
                bodies[at] = _bent(chance, bodies[at])
            case 5:
                bodies[at] = bodies[at][: chance.randrange(len(bodies[at]) + 1)]
            case 6:
                bodies.append(chance.randbytes(chance.randrange(40)))
    data = b"".join(len(body).to_bytes(4, "little") + body for body in bodies)
    if chance.randrange(8) == 0:  # a length that is none
        at = chance.randrange(len(data))
        data = data[:at] + chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\x01", chance.randbytes(4))) + data[at:]
    return data[: chance.randrange(len(data))] if chance.randrange(8) == 0 else data


def _bent(chance: random.Random, body: bytes) -> bytes:
    try:
        frame = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(frame, dict) and frame:
        name = chance.choice([*frame, "extra"])
        frame[name] = chance.choice(_ODD)
        if chance.randrange(4) == 0:
            del frame[name]
    return json.dumps(frame).encode()


class _Deaf:
    """Stands for a socket that nothing is ever written to."""


async def listen(data: bytes, cuts: random.Random) -> tuple[Ended | None, ModelEngine]:
    """As a conversation does it, without a process: bytes in pieces, until the end or a misdeed."""
    engine = ModelEngine(cuts)
    ledger = Ledger(_LIMITS)
    misdeeds: list[Misbehaved] = []
    outbox = Outbox(_Deaf(), _LIMITS.unread_bytes)  # type: ignore[arg-type]
    answers = Answers(outbox, ledger, misdeeds.append)
    inbound = Inbound(engine, answers, ledger, _LIMITS, NoLimits)
    splitter = Splitter(_LIMITS.received_bytes)
    at = 0
    try:
        while at < len(data):
            size = cuts.choice((1, 3, 50, 5_000))
            for body in splitter.feed(data[at : at + size]):
                ended = inbound.take(body)
                if ended is not None or misdeeds:
                    return ended, engine
            at += size
            assert splitter.waiting <= at
            assert splitter.waiting <= MAX_FRAME + 4
            assert engine.kept_bytes <= 20 * at + 4_000
            assert outbox.unread <= _LIMITS.unread_bytes
    except Misbehaved:
        return None, engine
    return None, engine


_seeds = st.integers(0, 1 << 32)


@settings(max_examples=settings().max_examples * 10)
@given(_seeds, st.integers(0, 6))
def test_the_engine_is_told_nothing_that_is_not_so(seed: int, hostility: int) -> None:
    ended, _ = trio.run(listen, stream(seed, hostility), random.Random(seed))
    assert ended is None or ended.outcome in _OUTCOMES


@given(st.binary(max_size=400), _seeds)
def test_noise_tells_the_engine_nothing(data: bytes, seed: int) -> None:
    _, engine = trio.run(listen, data, random.Random(seed))
    assert engine.told == 0


def test_honest_streams_pass_and_hostile_ones_still_tell_the_engine_much() -> None:
    """Else the model above would have nothing to check."""
    told = [trio.run(listen, stream(seed, seed % 4), random.Random(seed))[1].told for seed in range(300)]
    assert sum(told) > 3_000
    ends = [trio.run(listen, stream(seed, 0), random.Random(seed))[0] for seed in range(100)]
    assert sum(ended is not None and ended.outcome in ("returned", "raised") for ended in ends) > 30


@pytest.mark.parametrize("guard", ["begin", "open", "close", "cancel", "idle"])
def test_the_model_notices_when_the_engine_is_told_a_lie(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one check of the ledger off, a bent stream gets a forged frame through, and the model says so."""
    from vibe_workflows.sandbox.scopes import Scopes

    owner: type = Ledger if guard == "idle" else Scopes
    monkeypatch.setattr(owner, guard, lambda *_: True)
    with pytest.raises((Forged, KeyError)):
        listen_to_many(3_000)


def listen_to_many(count: int) -> None:
    for seed in range(count):
        trio.run(listen, stream(seed, 4), random.Random(seed))


def test_hostile_streams_of_a_real_child_end_its_run_and_never_the_engine() -> None:
    async def main() -> None:
        async with running_forker() as forker:
            for seed in range(40):
                data = stream(seed, seed % 7)[40:] if seed % 2 else stream(seed, seed % 7)[21:]  # `started` is sent
                engine = ModelEngine(random.Random(seed))
                source = f"import os\ndata = {data!r}\nwhile data: data = data[os.write(3, data):]\nos._exit(0)"
                ended, _ = await run_native(forker, source, engine=engine, limits=_LIMITS)  # type: ignore[arg-type]
                assert ended.outcome in _OUTCOMES
                assert ended.outcome != "killed" or ended.reason

    trio.run(main)


# ---------------------------------------------------------------- replies of workers

_REPLIES = (
    *(b"", b"{}", b"null", b"[]", b'{"ok":[0]}', b'{"ok":[-1]}', b'{"ok":[99]}', b'{"ok":[1e400]}', b'{"ok":[true]}'),
    *(b'{"ok":[[0,0,"a"]]}', b'{"ok":[[9,0,"a"]]}', b'{"ok":[[-1,-5,"a"]]}', b'{"problem":"\\u001b[31m"}', b"[" * 999),
    *(b'{"ok":{"value":NaN,"problems":[]}}', b'{"ok":{"value":1,"problems":["\\u001b"]}}', b'{"ok":"\\ud800"}'),
    *(b'{"problem":1}', b'{"ok":1,"x":2}', b'{"ok":' + b"[" * 400 + b"]" * 400 + b"}", b'{"ok":["\xed\xa0\x80"]}'),
    *(b'{"ok":[18446744073709551616]}', b'{"ok":[0,0,0,0]}', b'{"ok":[[0,9223372036854775807,"a"]]}'),
    *(b'{"ok":{"value":"\\ud800","problems":[]}}', b'{"ok":{"value":1e999,"problems":[]}}'),
)

_KINDS = (tuple[int, ...], tuple[str, ...], tuple[tuple[int, int, str], ...], list[replies.Metadata], replies.Validated)


def use(reply: bytes, kind: Any) -> None:
    """As the checker uses a reply to a request about three items."""
    said = replies.read_reply(reply, "the thing")
    if said.problem is not None:
        raise ValueError(said.problem)
    value: Any = replies.read_value(said.ok, "the thing", kind)
    match kind:
        case replies.Validated:
            msgspec.json.decode(value.value)
            assert "\x1b" not in "".join(value.problems)
        case _ if kind == tuple[int, ...]:
            assert set(replies.chosen(["a", "b", "c"], value, "the thing")) <= {"a", "b", "c"}
        case _ if kind == tuple[tuple[int, int, str], ...]:
            replies.check_hits(value, ["a", "b", "c"], 2, "the thing")
            assert all(0 <= number < 3 and line >= 0 for number, line, _ in value)


@settings(max_examples=settings().max_examples * 3)
@given(
    st.sampled_from(_REPLIES) | st.binary(max_size=80),
    st.sampled_from(_KINDS),
    st.integers(0, 200),
    st.binary(max_size=2),
)
def test_a_hostile_reply_of_a_worker_is_a_value_error_or_a_sound_value(
    reply: bytes, kind: Any, at: int, patch: bytes
) -> None:
    for each in (reply, reply[:at] + patch + reply[at + len(patch) :]):
        said = ""
        try:
            use(each, kind)
        except ValueError as error:
            said = str(error)
        assert "\x1b" not in said


@pytest.mark.parametrize("reply", [b'{"ok":[0,0]}', b'{"ok":[-1]}', b'{"ok":[3]}', b'{"ok":[1,0]}'])
def test_a_worker_cannot_choose_what_was_not_sent(reply: bytes) -> None:
    with pytest.raises(ValueError, match="went wrong"):
        use(reply, tuple[int, ...])


@pytest.mark.parametrize(
    "reply", [b'{"ok":[[3,0,"a"]]}', b'{"ok":[[0,-1,"a"]]}', b'{"ok":[[0,1,""],[0,2,""],[0,3,""]]}']
)
def test_a_worker_cannot_find_lines_where_there_are_none(reply: bytes) -> None:
    with pytest.raises(ValueError, match="went wrong"):
        use(reply, tuple[tuple[int, int, str], ...])


def test_a_validated_value_that_is_no_json_is_refused() -> None:
    for value in (b"1e999", b'"\\ud800"', b"NaN"):
        with pytest.raises(ValueError, match="went wrong"):
            use(b'{"ok":{"value":' + value + b',"problems":[]}}', replies.Validated)
