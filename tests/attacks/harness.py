"""Runs the corpus of attacks in really locked processes and looks for every sign that one got through.

A script begins with a header:

    # attack: what it tries
    # expect: how it ends (see ENDS), and the reason where it matters: `killed cpu`
    # guard: what stops it (see guards.py); `none` for what no guard is needed for
    # ends: exactly how it ends, where `expect` says less: `killed flood`, `raised TypeError`
    # off: how it ends without its guard, where that shows in no other sign: `killed violation`, `raised NameError`
    # why: why no guard is needed, or none can be switched off, where the guard is `none`
    # args: JSON of the workflow's arguments, where it has some
    # needs: `root`, where an ordinary user has nothing to gain

Before it runs, ENGINE_PID, CANARY_DIR and PORT in its text become this process, a folder that anybody may write to, and
a listening port. Scripts named `native_*` run with all builtins, as if wall 1 had fallen; `wire_*` do, too, with the
functions of `wire.py` to speak to the host. What such a script forges has the number 666666 or the text FORGED.
"""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import trio

from tests.attacks.guards import Switches, start_weakened_zygote, switched_off
from tests.attacks.wire import PRELUDE
from tests.support.sandbox import RecordingEngine, Script
from vibe_workflows.catalog.metadata import build_metadata
from vibe_workflows.cli.render import sanitize
from vibe_workflows.sandbox.checker import LockedChecker
from vibe_workflows.sandbox.conversation import converse
from vibe_workflows.sandbox.ending import Ended
from vibe_workflows.sandbox.forker import Forker, open_forker
from vibe_workflows.sandbox.limits import MIB, ChildLimits, HostLimits

SCRIPTS = Path(__file__).parent / "scripts"

#: What a run may end as, by the first word of what is expected. A stronger wall may refuse what a header lets run.
ENDS = {
    "refused": {"refused"},
    "runtime-denied": {"refused", "raised", "returned"},
    "killed": {"killed"},
    "contained": {"refused", "raised", "returned", "killed"},
    "harmless": {"raised", "returned"},
}
#: Of a native attack wall 1 is gone: only `killed` asks for one certain end.
NATIVE_ENDS = ENDS | dict.fromkeys(("refused", "harmless"), ENDS["contained"])

#: An endless loop ends soon, by its CPU time; what is expected to end by itself gets all the time that it may need.
LIMITS = HostLimits(child=ChildLimits(cpu_s=1), stall_s=60.0, wall_s=300.0, received_bytes=64 * MIB)
#: What a host holds for a child can be filled by a test.
SMALL = LIMITS._replace(
    calls=3_000,
    open_calls=1_000,
    open_bytes=4 * MIB,
    logs=500,
    log_bytes=4 * MIB,
    scopes=20_000,
    branches=1_000,
    received_bytes=24 * MIB,
    unread_bytes=8 * MIB,
)
#: And silence ends soon, where it is what is expected.
HASTY = SMALL._replace(stall_s=0.6)
PATIENT = LIMITS._replace(child=ChildLimits(cpu_s=20))
#: What ends an attack whose own guard is off.
LAST_RESORT = LIMITS._replace(stall_s=3.0, wall_s=6.0)
#: As it, for what is silent or fills something: the guards that an attack does not name stay where they are.
SHORT_RESORT = SMALL._replace(stall_s=1.5, wall_s=3.0)
#: One for all, so that it lies in the environment before a zygote starts.
_SECRET = f"S3CR3T_CANARY_{secrets.token_hex(8)}"
_FORGED = re.compile("666666|FORGED")
_AT_ONCE = 3
_CHILD_SUBREAPER = 36
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    name: str
    title: str
    expected: str
    guards: tuple[str, ...]
    source: str
    with_guards: str = ""
    without_guards: str = ""
    why: str = ""
    args: str = "{}"
    needs: str = ""

    @property
    def role(self) -> str:
        """What it attacks: native (which includes the wire), metadata or script."""
        kind = self.name.partition("_")[0]
        return "native" if kind == "wire" else kind if kind in ("native", "metadata") else "script"

    @property
    def is_small(self) -> bool:
        return self.name.startswith("wire_") or self.is_silent

    @property
    def is_silent(self) -> bool:
        return "stalled" in self.expected

    def gets_through(self, report: Report) -> bool:
        """Without its guards. Where its end tells, another guard notices it, or the end alone shows the difference."""
        return report.end == self.without_guards if self.without_guards else report.signs != []

    def ends_as_expected(self, ended: Ended) -> bool:
        if self.with_guards and Report(ended).end != self.with_guards:
            return False
        outcome, *reason = self.expected.partition(":")[0].replace("/", " ").split()
        table = NATIVE_ENDS if self.role == "native" else ENDS
        return ended.outcome in table[outcome] and (outcome != "killed" or reason in ([], [ended.reason]))


@dataclass(slots=True)
class Report:
    """How one attack ended, and what it gave away."""

    ended: Ended
    signs: list[str] = field(default_factory=list)

    @property
    def end(self) -> str:
        text = f"{self.ended.outcome} {self.ended.reason or self.ended.error_type}".strip()
        return f"{text} (engine)" if self.ended.fault_type not in ("", "SetupError") else text


def load(pattern: str) -> list[Attack]:
    return [parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(SCRIPTS.glob(pattern))]


def parse(name: str, source: str) -> Attack:
    header = {}
    for line in source.splitlines():
        key, colon, value = line.removeprefix("# ").partition(": ")
        if not line.startswith("# ") or not colon:
            break
        header[key] = value
    guards = header["guard"]
    if name.startswith("wire_"):
        source = PRELUDE + source
    return Attack(
        name=name,
        title=header["attack"],
        expected=header["expect"],
        guards=() if guards == "none" else tuple(guards.split(", ")),
        source=source,
        with_guards=header.get("ends", ""),
        without_guards=header.get("off", ""),
        why=header.get("why", ""),
        args=header.get("args", "{}"),
        needs=header.get("needs", ""),
    )


class BaitedEngine(RecordingEngine):
    """Answers each call; one whose parameters say BIG with a megabyte."""

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None:
        self.frames.append(("call", call, scope, line, column, method, params[:200]))
        if b"NEVER" not in params:
            answer = b'"' + b"x" * (1 << 20) + b'"' if b"BIG" in params else b'"answer"'
            self.sink.answer(call, answer, order=None, tokens=0, microusd=0, seconds=0.0)

    def signs(self) -> list[str]:
        return [
            f"the engine was told {frame!r}"
            for frame in self.frames[:500] + self.frames[-500:]
            if _FORGED.search(repr(frame))
        ][:1]


class Bait:
    """What an attack is after: a secret in the environment and in a file, a folder, a port, and this process itself."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.secret = _SECRET
        self.folder = folder
        self.listener = listener
        self.signals = 0
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0vibe-attack-{listener.getsockname()[1]}")
        self.abstract.listen()
        self.abstract.setblocking(False)
        (folder / "canary").write_text(self.secret, encoding="ascii")
        self._looks = self._look()

    def _look(self) -> tuple[object, ...]:
        canary = self.folder / "canary"
        if not canary.exists():
            return ()
        found = canary.stat()
        return found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_mtime_ns, os.listxattr(canary)

    def arm(self, source: str) -> str:
        port = str(self.listener.getsockname()[1])
        return (
            source.replace("ENGINE_PID", str(os.getpid())).replace("CANARY_DIR", str(self.folder)).replace("PORT", port)
        )

    def signs(self, ended: Ended, logs: Sequence[str]) -> list[str]:
        """What a run says of itself, and where the secret shows."""
        found = [line for line in logs if line.startswith(("PWNED", "INTROSPECT"))]
        said = "\n".join([ended.message, ended.value.decode(errors="replace"), *logs])
        if self.secret in said:
            found.append("the secret came out")
        if _UNFIT.search(said):
            found.append("a control character came out")
        if len(said) > LIMITS.log_bytes:
            found.append("more came out than a log may hold")
        return found

    def outside_signs(self) -> list[str]:
        """What happened to this machine."""
        found = []
        if os.listdir(self.folder) != ["canary"] or (self.folder / "canary").read_text(encoding="ascii") != self.secret:
            found.append(f"the folder was changed: {os.listdir(self.folder)}")
        if self._look() != self._looks:
            found.append("the file was changed")
        for listener in (self.listener, self.abstract):
            with suppress(BlockingIOError):
                listener.accept()[0].close()
                found.append("something connected to the port")
        if self.signals:
            found.append("a signal reached this process")
        return found


@contextmanager
def bait() -> Iterator[Bait]:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        os.chmod(folder, 0o777)
        listener.setblocking(False)
        trap = Bait(Path(folder), listener)

        def count(*_: object) -> None:
            trap.signals += 1

        before = signal.signal(signal.SIGUSR1, count)
        before_urgent = signal.signal(signal.SIGURG, count)  # to a whole process group: others ignore it
        os.environ["VIBE_TEST_CANARY"] = trap.secret
        try:
            yield trap
        finally:
            os.environ.pop("VIBE_TEST_CANARY", None)
            signal.signal(signal.SIGUSR1, before)
            signal.signal(signal.SIGURG, before_urgent)
            trap.abstract.close()


async def run_attack(
    forker: Forker, trap: Bait, attack: Attack, switches: Switches, limits: HostLimits | None = None
) -> Report:
    is_patient = attack.role == "script" and (attack.expected.startswith("harmless") or "memory" in attack.with_guards)
    limits = limits or (PATIENT if is_patient else HASTY if attack.is_silent else SMALL if attack.is_small else LIMITS)
    limits = switches.limits(limits)
    if attack.role == "metadata":
        return await _read_metadata(forker, trap, attack, switches)
    engine = BaitedEngine()
    child = await forker.fork(attack.role, limits.child, layers=switches.layers)
    ended = await converse(child, Script(source=trap.arm(attack.source), args=attack.args), engine, limits)
    fields = [f"{name}: {value}" for frame in engine.frames if frame[0] == "log" for name, value in frame[4].items()]
    return Report(ended, trap.signs(ended, [*engine.logs, *fields]) + engine.signs())


async def _read_metadata(forker: Forker, trap: Bait, attack: Attack, switches: Switches) -> Report:
    """As `vibe list` and `vibe show` read and print what a file says of itself."""
    checker = LockedChecker(forker, layers=switches.layers)
    (report,) = await checker.read_metadata([("flow.py", trap.arm(attack.source))])
    metadata = build_metadata("flow", report)
    texts = (metadata.name, metadata.description, metadata.when_to_use, *metadata.phases, *metadata.phases_used)
    problems = "\n".join(sanitize.one_line(problem.message) for problem in metadata.problems)
    ended = Ended(outcome="refused" if problems else "returned", message=problems)
    return Report(ended, trap.signs(ended, [sanitize.one_line(text) for text in texts]))


def run_all(trap: Bait, attacks: Sequence[Attack], limits: HostLimits | None = None) -> dict[str, Report]:
    """Every attack in a process of its own, behind all guards, a few at a time."""
    reports: dict[str, Report] = {}

    async def one(forker: Forker, attack: Attack, slots: trio.CapacityLimiter) -> None:
        async with slots:
            reports[attack.name] = await run_attack(forker, trap, attack, switched_off(()), limits)

    async def main() -> None:
        zygote = start_weakened_zygote(())
        try:
            async with open_forker(zygote) as forker, trio.open_nursery() as nursery:
                slots = trio.CapacityLimiter(_AT_ONCE)
                for attack in attacks:
                    nursery.start_soon(one, forker, attack, slots)
        finally:
            zygote.close()

    trio.run(main)
    return reports


def run_without(
    guards: Sequence[str], attacks: Sequence[Attack], limits: HostLimits | None = None
) -> dict[str, Report]:
    """Each attack with `guards` switched off.

    Those of which the end tells run a few at a time; the others one after the other: what happens outside is theirs.
    What did not get through in the time that usually suffices is tried again with more of it, in a zygote of its own.
    """
    switches = switched_off(guards)
    with switches.patched():
        reports = trio.run(_run_without, switches, attacks, lambda attack: limits or _last_resort(attack))
        late = [attack for attack in attacks if not attack.gets_through(reports[attack.name])]
        if late and limits is None:
            reports |= trio.run(_run_without, switches, late, _in_more_time)
    return reports


async def _run_without(
    switches: Switches, attacks: Sequence[Attack], limits: Callable[[Attack], HostLimits]
) -> dict[str, Report]:
    reports: dict[str, Report] = {}

    async def run(forker: Forker, trap: Bait, attack: Attack) -> Report:
        return await run_attack(forker, trap, attack, switches, limits(attack))

    async def one(forker: Forker, trap: Bait, attack: Attack, slots: trio.CapacityLimiter) -> None:
        async with slots:
            reports[attack.name] = await run(forker, trap, attack)

    with bait():
        zygote = start_weakened_zygote(switches.weaknesses)
    try:
        async with open_forker(zygote) as forker:
            slots = trio.CapacityLimiter(_AT_ONCE)
            with bait() as trap:
                async with trio.open_nursery() as nursery:
                    for attack in (attack for attack in attacks if attack.without_guards):
                        nursery.start_soon(one, forker, trap, attack, slots)
            for attack in (attack for attack in attacks if not attack.without_guards):
                with bait() as trap, adopting() as orphans:
                    report = await run(forker, trap, attack)
                    report.signs += trap.outside_signs() + orphans.signs(zygote.process.pid)
                reports[attack.name] = report
    finally:
        zygote.close()
    return reports


def _in_more_time(attack: Attack) -> HostLimits:
    """What not even a machine with others to serve reaches, if anything is to come."""
    return _last_resort(attack)._replace(stall_s=30.0, wall_s=150.0)


def _last_resort(attack: Attack) -> HostLimits:
    """What ends it once its guard is off."""
    if "stalled" in attack.without_guards or "timeout" in attack.without_guards:
        return SHORT_RESORT
    if attack.without_guards and "limit.cpu" not in attack.guards:  # it ends by itself, or by its CPU time
        return SMALL if attack.is_small else PATIENT if "memory" in attack.without_guards else LIMITS
    if attack.is_small:
        return SHORT_RESORT
    if attack.role == "native" or "limit.cpu" in attack.guards:
        return LAST_RESORT
    return PATIENT if "memory" in attack.without_guards else LIMITS


class Orphans:
    """Processes that outlive the child that started them come to this process, which ends them.

    Those that it had before are of other tests.
    """

    def __init__(self) -> None:
        self._before = {process.pid for process in psutil.Process().children(recursive=True)}

    def signs(self, zygote: int) -> list[str]:
        known = {*self._before, zygote}
        left = [process for process in psutil.Process().children(recursive=True) if process.pid not in known]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)
        return [f"a process was left: {process.name() if process.is_running() else process.pid}" for process in left]


@contextmanager
def adopting() -> Iterator[Orphans]:
    """Within the block, this process is the one that orphans below it come to."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield Orphans()
    finally:
        libc.prctl(_CHILD_SUBREAPER, 0, 0, 0, 0)
