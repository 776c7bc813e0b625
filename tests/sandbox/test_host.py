"""The host against hostile children: whatever a process does, the run has one typed end, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sandbox import QUICK, NoLimits, RecordingEngine, run_native, running_forker
from vibe_workflows.sandbox import limits as wire
from vibe_workflows.sandbox.cleaning import clean
from vibe_workflows.sandbox.ending import Ended, Misbehaved
from vibe_workflows.sandbox.errors import SandboxUnavailable
from vibe_workflows.sandbox.forker import Forker, open_forker
from vibe_workflows.sandbox.host import open_host
from vibe_workflows.sandbox.inbound import Inbound, Splitter
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.ledger import Ledger
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, PIDFD, SECCOMP, ChildLimits, HostLimits

#: Puts `send` into the namespace of a native script: a frame as the wire has it.
SEND = """
import json, os
def raw(*bodies):
    data = b"".join(len(body).to_bytes(4, "little") + body for body in bodies)
    while data: data = data[os.write(3, data):]
def send(**frame): raw(json.dumps(frame).encode())
def receive():
    size = int.from_bytes(os.read(3, 4), "little")
    data = b""
    while len(data) < size: data += os.read(3, size - len(data))
    return json.loads(data)
def call(id, scope=0): send(t="call", id=id, scope=scope, line=1, col=1, m="agent", p={})
def open_scope(id, parent=0, kind="phase", **more): send(t="open", id=id, parent=parent, kind=kind, **more)
"""


def with_forker(work: Callable[[Forker], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running_forker() as forker:
            await work(forker)

    trio.run(main)


def ending_of(source: str, *, limits: HostLimits = QUICK, engine: RecordingEngine | None = None) -> Ended:
    """How a native script ends that may send what it wants."""
    ends = []

    async def work(forker: Forker) -> None:
        ended, _ = await run_native(forker, SEND + source, limits=limits, engine=engine)
        ends.append(ended)

    with_forker(work)
    return ends[0]


# ---------------------------------------------------------------- what an honest child gets


def test_a_child_that_calls_gets_its_answers_and_its_result_arrives() -> None:
    engine = RecordingEngine(reply=lambda call, _method, _params: b'{"number":%d}' % call)
    ended = ending_of(
        """
call(1); call(2)
first, second = receive(), receive()
send(t="done", value=[first["ok"], second["ok"]])
while True: os.read(3, 1)
""",
        engine=engine,
    )
    assert (ended.outcome, ended.value) == ("returned", b'[{"number": 1}, {"number": 2}]')
    assert [frame[:3] for frame in engine.frames] == [("call", 1, 0), ("call", 2, 0)]


def test_limits_reach_the_engine_as_its_own_class() -> None:
    engine = RecordingEngine()
    ending_of('send(t="open", id=1, parent=0, kind="budget", limits={"tokens": 5})', engine=engine)
    assert engine.frames[0][5] == NoLimits(tokens=5)


def test_text_for_a_terminal_loses_its_control_characters() -> None:
    engine = RecordingEngine()
    ending_of(
        r'send(t="log", scope=0, line=1, message="a\x1b[31mb\r\n\u202ec\x9b", fields={"k\x07": ["\x1b]0;x"]})',
        engine=engine,
    )
    assert engine.frames[0][3:] == ("a[31mb\nc", {"k": ["]0;x"]})


def test_an_error_of_the_engine_ends_the_run_and_comes_out_bare() -> None:
    class Broken(Exception):
        pass

    def fail(*_: object) -> bytes:
        raise Broken("no")

    with pytest.raises(Broken):
        ending_of("call(1)\nwhile True: pass", engine=RecordingEngine(reply=fail))


def test_an_answer_to_a_cancelled_call_goes_nowhere() -> None:
    engine = RecordingEngine(reply=lambda *_: None)

    class Late(RecordingEngine):
        def cancel_call(self, call: int) -> None:
            super().cancel_call(call)
            self.sink.answer(call, b'"late"', order=None, tokens=0, microusd=0, seconds=0.0)
            self.sink.answer(2, b'"in time"', order=None, tokens=0, microusd=0, seconds=0.0)

    engine = Late(reply=lambda *_: None)
    ended = ending_of(
        'call(1); call(2); send(t="cancel", call=1); send(t="done", value=receive())\nos.read(3, 1)', engine=engine
    )
    assert msgspec.json.decode(ended.value)["id"] == 2


# ---------------------------------------------------------------- what a hostile child gets

#: What it is, why it dies, what it runs.
HOSTILE = {
    "no object": ("protocol", "raw(b'null')"),
    "no text": ("protocol", "raw(b'\\xff\\xfe')"),
    "nothing": ("protocol", "raw(b'')"),
    "unknown frame": ("protocol", "send(t='launch')"),
    "started twice": ("protocol", "send(t='started')"),
    "unknown field": ("protocol", "send(t='idle', taken=0, extra=1)"),
    "took what it never got": ("protocol", "send(t='idle', taken=1)"),
    "wrong type": ("protocol", "send(t='call', id=True, scope=0, line=1, col=1, m='agent', p={})"),
    "unknown method": ("protocol", "send(t='call', id=1, scope=0, line=1, col=1, m='exec', p={})"),
    "a call twice": ("protocol", "call(1); call(1)"),
    "calls out of order": ("protocol", "call(2); call(1)"),
    "absurd id": ("protocol", "call(1 << 60)"),
    "call in no scope": ("protocol", "call(1, scope=7)"),
    "negative scope": ("protocol", "call(1, scope=-1)"),
    "cancel of no call": ("protocol", "send(t='cancel', call=1)"),
    "close of the run": ("protocol", "send(t='close', id=0)"),
    "close of no scope": ("protocol", "send(t='close', id=4)"),
    "call in a closed scope": ("protocol", "open_scope(1); send(t='close', id=1); call(1, scope=1)"),
    "closed twice": ("protocol", "open_scope(1); send(t='close', id=1); send(t='close', id=1)"),
    "scope twice": ("protocol", "open_scope(1); open_scope(1)"),
    "parent of no scope": ("protocol", "open_scope(1, parent=9)"),
    "unknown kind": ("protocol", "open_scope(1, kind='zoo')"),
    "endless branches": ("protocol", "open_scope(1, kind='race', branches=10**9)"),
    "minus budget": ("protocol", "open_scope(1, kind='budget', limits={'tokens': -1})"),
    "deep scopes": ("protocol", "for i in range(1, 99): open_scope(i, parent=i - 1)"),
    "deep JSON": ("protocol", "raw(b'{\"t\":\"done\",\"value\":' + b'[' * 10**6 + b'}')"),
    "many lists": ("protocol", "raw(b'{\"t\":\"done\",\"value\":[' + b'[],' * 10**6 + b'0]}')"),
    "infinite number": ("protocol", 'raw(b\'{"t":"done","value":1e999}\')'),
    "lone surrogate": ("protocol", 'raw(b\'{"t":"done","value":"\\\\ud800"}\')'),
    "no UTF-8": ("protocol", 'raw(b\'{"t":"done","value":"\\xed\\xa0\\x80"}\')'),
    "goes on after its end": ("protocol", 'raw(b\'{"t":"done","value":1}\', b\'{"t":"idle"}\')'),
    "frame of a gigabyte": ("oversize", "os.write(3, (1 << 30).to_bytes(4, 'little'))"),
    "log flood": ("flood", "while True: send(t='log', scope=0, line=1, message='x')"),
    "call flood": ("flood", "for i in range(1, 10**6): call(i)"),
    "endless stream": ("flood", 'while True: raw(*[b\'{"t":"idle"}\'] * 9999)'),
    "tripwire": ("violation", "send(t='violation', event='os.system')"),
    "half a frame, then busy": ("cpu", "os.write(3, b'\\x10\\0\\0\\0{')\nwhile True: pass"),
    "half a frame, then silence": ("stalled", "os.write(3, b'\\x10\\0\\0\\0{')\nos.read(3, 1)"),
    "idle for ever": ("stalled", "send(t='idle', taken=0)\nos.read(3, 1)"),
    "never reads": ("cpu", "for i in range(1, 900): call(i)\nwhile True: pass"),
    "leaves without a word": ("crashed", "os._exit(0)"),
    "segmentation fault": ("crashed", "import ctypes; ctypes.string_at(0)"),
    "forbidden system call": ("violation", "os.kill(os.getpid(), 9)"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_child_that_does_what_no_honest_one_does_is_killed_for_it(what: str) -> None:
    reason, source = HOSTILE[what]
    limits = HostLimits(
        child=ChildLimits(cpu_s=1),
        stall_s=0.3 if reason == "stalled" else 60.0,  # a second of CPU time is long on a busy machine
        wall_s=120.0,
        logs=500,
        calls=2_000,
        received_bytes=4 * wire.MIB,
    )
    ended = ending_of(f"{source}\nwhile os.read(3, 1 << 20): pass", limits=limits)
    assert (ended.outcome, ended.reason) == ("killed", reason)
    assert ended.message


def test_a_child_that_lets_answers_pile_up_is_killed() -> None:
    big = b'"' + b"x" * 1_000_000 + b'"'
    ended = ending_of(
        "for i in range(1, 90): call(i)\nwhile True: pass",
        engine=RecordingEngine(reply=lambda *_: big),
        limits=HostLimits(unread_bytes=8_000_000),
    )
    assert (ended.outcome, ended.reason) == ("killed", "unresponsive")
    assert "7 MB of answers unread" in ended.message


def test_a_child_that_reads_no_answer_for_long_is_killed() -> None:
    big = b'"' + b"x" * 5_000_000 + b'"'
    for stall_s in (0.4, 10.0):  # on a busy machine the first may be over before the child has asked
        ended = ending_of(
            "call(1)\nwhile True: pass",
            engine=RecordingEngine(reply=lambda *_: big),
            limits=HostLimits(stall_s=stall_s),
        )
        if ended.reason != "stalled":
            break
    assert (ended.outcome, ended.reason) == ("killed", "unresponsive")


def test_silence_is_no_stall_while_the_engine_owes_an_answer() -> None:
    for stall_s in (0.1, 4.0):  # on a busy machine the first may be over before the child has asked
        ended = ending_of(
            "call(1)\nreceive()",
            engine=RecordingEngine(reply=lambda *_: None),
            limits=HostLimits(stall_s=stall_s, wall_s=5 * stall_s),
        )
        if ended.reason == "timeout":
            break
    assert ended.reason == "timeout"


def test_a_script_that_fills_its_memory_hears_of_it_and_the_host_does_too() -> None:
    ended = ending_of("x = bytearray(1 << 30)")
    assert (ended.outcome, ended.error_type) == ("raised", "MemoryError")


def test_a_process_that_dies_for_want_of_memory_is_reported_so() -> None:
    source = """
import ctypes
malloc = ctypes.CDLL(None).malloc; malloc.restype = ctypes.c_void_p
hold = []
while (block := malloc(1 << 16)): ctypes.memset(ctypes.c_void_p(block), 1, 1 << 16)
os._exit(1)
"""
    assert ending_of(source, limits=HostLimits(child=ChildLimits(memory_bytes=96 * wire.MIB))).reason == "memory"


def test_a_start_that_is_too_large_is_refused_with_what_to_do() -> None:
    ended = ending_of("#" + "x" * (wire.MAX_FRAME + 1))
    assert ended.outcome == "refused"
    assert "pass the path of a file" in ended.problems[0].message


def test_an_answer_that_is_too_large_becomes_an_error_in_the_script() -> None:
    big = b'"' + b"x" * wire.MAX_FRAME + b'"'
    ended = ending_of(
        "call(1)\nsend(t='done', value=receive()['fault'])\nos.read(3, 1)", engine=RecordingEngine(reply=lambda *_: big)
    )
    assert msgspec.json.decode(ended.value)["type"] == "AgentError"


# ---------------------------------------------------------------- fuzzing


class Sink:
    def answer(self, *_: Any, **__: Any) -> None: ...


def fresh_inbound() -> Inbound:
    limits = HostLimits(calls=50, logs=50)
    return Inbound(RecordingEngine(reply=lambda *_: None), Sink(), Ledger(limits), limits, NoLimits)


FRAME_TYPES = (
    "started", "call", "open", "close", "cancel", "log", "idle", "done", "error", "refused", "violation",
)  # fmt: skip

_small = st.integers(-3, 6)
_json = st.recursive(
    st.none() | st.booleans() | _small | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
_frames = st.fixed_dictionaries(
    {"t": st.sampled_from([*FRAME_TYPES, "x"])},
    optional={
        "id": _small, "scope": _small, "parent": _small, "line": _small, "col": _small, "call": _small, "taken": _small,
        "m": st.sampled_from(["agent", "tool", "x"]), "p": _json, "value": _json, "message": st.text(max_size=5),
        "kind": st.sampled_from(["parallel", "race", "phase", "x"]), "branches": _small, "fields": _json,
        "limits": _json, "event": st.text(max_size=3), "type": st.text(max_size=3), "problems": _json, "trace": _json,
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_frames.map(msgspec.json.encode) | st.binary(max_size=40), max_size=7))
def test_whatever_frames_come_the_end_is_typed(bodies: list[bytes]) -> None:
    inbound = fresh_inbound()
    with contextlib.suppress(Misbehaved):
        inbound.take(b'{"t":"started"}')
        for body in bodies:
            ended = inbound.take(body)
            assert ended is None or ended.outcome in ("returned", "raised", "refused", "killed")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=8))
def test_whatever_bytes_come_and_however_they_are_cut_the_frames_are_the_same(data: bytes, cuts: list[int]) -> None:
    def bodies(parts: list[bytes]) -> list[bytes]:
        splitter = Splitter(10_000)
        found: list[bytes] = []
        with contextlib.suppress(Misbehaved):
            for part in parts:
                found += splitter.feed(part)
        return found

    framed = b"".join(len(part).to_bytes(4, "little") + part for part in data.split(b"\x00")) + data
    parts, at = [], 0
    for cut in cuts:
        parts.append(framed[at : at + cut])
        at += cut
    assert bodies([*parts, framed[at:]]) == bodies([framed])


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_cleaned_text_has_no_character_that_moves_a_cursor(text: str) -> None:
    assert all(char in "\t\n" or (ord(char) >= 0x20 and not 0x7F <= ord(char) <= 0x9F) for char in clean(text, 50))


def test_an_unfinished_string_full_of_quotes_is_checked_in_time_that_grows_with_its_length() -> None:
    with pytest.raises(Misbehaved):
        fresh_inbound().take(b'{"t":"log","message":"' + b'\\"[' * 2_000_000)


# ---------------------------------------------------------------- nothing is left


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def processes() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def children_of(pid: int) -> set[int]:
    found = set()
    for each in processes():
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{each}/stat").read_text(encoding="ascii", errors="replace")
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.add(each)
    return found


def test_two_hundred_runs_leave_no_process_no_file_descriptor_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # of its own: other tests make files of the same names
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = open_fds()

    async def work(forker: Forker) -> None:
        await run_native(forker, "pass")
        held = open_fds()
        for number in range(200):
            source = "pass" if number % 2 else "os.abort()"
            ended, _ = await run_native(forker, SEND + source)
            assert ended.outcome == ("returned" if number % 2 else "killed")
        assert open_fds() == held
        (zygote,) = children_of(os.getpid()) - others
        assert children_of(zygote) == set()

    others = children_of(os.getpid())
    with_forker(work)
    assert children_of(os.getpid()) == others
    assert open_fds() == before
    assert os.listdir(tmp_path) == []


def test_fifty_children_at_once_all_end() -> None:
    async def work(forker: Forker) -> None:
        async def one() -> None:
            ended, _ = await run_native(forker, SEND + "call(1)\nreceive()")
            ends.append(ended.outcome)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(one)

    ends: list[str] = []
    with_forker(work)
    assert ends == ["returned"] * 50


@pytest.mark.parametrize("layers", [ALL_LAYERS, ALL_LAYERS - {PIDFD}], ids=["pidfd", "through the zygote"])
def test_a_cancelled_run_kills_its_child_first(layers: frozenset[str]) -> None:
    async def work(forker: Forker) -> None:
        engine = RecordingEngine(reply=lambda *_: started.set())
        started = trio.Event()
        ours = children_of(os.getpid())  # the forker, and what has nothing to do with it
        before = {child for pid in ours for child in children_of(pid)}
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                source = SEND + "call(1)\nwhile True: pass"
                await run_native(forker, source, engine=engine, layers=layers, limits=HostLimits())

            nursery.start_soon(run)
            await started.wait()
            assert {child for pid in ours for child in children_of(pid)} - before
            nursery.cancel_scope.cancel()
        assert not {child for pid in ours for child in children_of(pid)} - before

    with_forker(work)


def test_a_fork_that_is_cancelled_on_its_way_leaves_nothing() -> None:
    async def work(forker: Forker) -> None:
        before = open_fds()
        for _ in range(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(forker.fork, "native", ChildLimits())
                await trio.testing.wait_all_tasks_blocked()  # asked for, and not there yet
                nursery.cancel_scope.cancel()
        child = await forker.fork("native", ChildLimits())  # behind them in the zygote's queue
        await child.release()
        with trio.fail_after(5):
            while open_fds() != before:
                await trio.lowlevel.checkpoint()

    with_forker(work)


def gone(pid: int) -> bool:
    """Whether a process of somebody else ends within some seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


BUSY_ENGINE = """
import os, sys, trio
from tests.support.sandbox import RecordingEngine, run_native, running_forker
from vibe_workflows.sandbox.limits import HostLimits
class Engine(RecordingEngine):
    def log(self, *_):
        print("busy", flush=True)
async def main():
    async with running_forker() as forker:
        await run_native(forker, "log('up')\\nwhile True: pass", engine=Engine(), limits=HostLimits())
trio.run(main)
"""


@pytest.mark.parametrize("victim", ["engine", "zygote"])
def test_no_child_outlives_its_engine_or_its_zygote(victim: str) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", BUSY_ENGINE], cwd=root, stdout=subprocess.PIPE) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"busy\n"
        (zygote,) = children_of(engine.pid)
        (child,) = children_of(zygote)
        os.kill(engine.pid if victim == "engine" else zygote, signal.SIGKILL)
        assert gone(child)
        assert gone(zygote)
        assert engine.wait(10) == (-signal.SIGKILL if victim == "engine" else 0)


def test_the_zygote_gets_nothing_from_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBE_SECRET_KEY", "hush")
    zygote = start_zygote()
    try:
        deadline = time.monotonic() + 10
        environ = Path(f"/proc/{zygote.process.pid}/environ")
        while not (held := environ.read_bytes()) and time.monotonic() < deadline:
            pass  # the kernel tells us that the program was started before it has laid out its environment
        environment = held.split(b"\0")
    finally:
        zygote.close()
    assert sorted(environment) == [b"", b"LC_ALL=C.UTF-8", b"PYTHONHASHSEED=0", b"PYTHON_JIT=0", b"TZ=UTC"]


def test_a_zygote_that_is_killed_is_named_at_the_next_fork() -> None:
    async def main() -> None:
        zygote = start_zygote()
        try:
            async with open_forker(zygote) as forker:
                await (await forker.fork("native", ChildLimits())).release()
                zygote.process.kill()
                zygote.process.wait()
                with pytest.raises(SandboxUnavailable, match="helper process ended"):
                    await forker.fork("native", ChildLimits())
        finally:
            zygote.close()

    trio.run(main)


def test_a_block_that_is_cancelled_in_the_middle_of_a_fork_leaves_the_next_one_alone() -> None:
    async def main() -> None:
        zygote = start_zygote()
        try:
            for _ in range(3):
                with trio.CancelScope() as scope:
                    async with open_forker(zygote) as forker, trio.open_nursery() as nursery:
                        nursery.start_soon(forker.fork, "native", ChildLimits())
                        await trio.testing.wait_all_tasks_blocked()  # the zygote has been asked, and has not answered
                        scope.cancel()
                async with open_forker(zygote) as forker:
                    await (await forker.fork("native", ChildLimits())).release()
        finally:
            zygote.close()

    trio.run(main)


def test_the_level_follows_the_layers_that_the_host_asked_for() -> None:
    async def main() -> None:
        zygote = start_zygote()
        try:
            for layers, level in ((ALL_LAYERS - {LANDLOCK}, "good"), (ALL_LAYERS - {SECCOMP}, "weak")):
                async with open_host(zygote, layers=layers) as host:
                    assert host.level == level
        finally:
            zygote.close()

    trio.run(main)
