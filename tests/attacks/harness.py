"""Runs the corpus of attacks in really locked processes and looks for every sign that one got through.

The first two lines of a script name the attack and its expected end. Before it runs, ENGINE_PID, CANARY_DIR and PORT in
its text become this process, a folder that anybody may write to, and a listening port.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tests.support.sandbox import RecordingEngine, Script
from vibe_workflows.sandbox.conversation import converse
from vibe_workflows.sandbox.ending import Ended
from vibe_workflows.sandbox.forker import Forker, open_forker
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, MIB, ChildLimits, HostLimits

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

#: An endless loop ends soon; what is expected to end by itself gets the time for it.
LIMITS = HostLimits(child=ChildLimits(cpu_s=1), stall_s=20.0, wall_s=60.0, received_bytes=64 * MIB)
PATIENT = LIMITS._replace(child=ChildLimits(cpu_s=20))
_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    name: str
    title: str
    expected: str
    source: str

    @property
    def role(self) -> str:
        return "native" if self.name.startswith("native_") else "script"

    @property
    def ends(self) -> set[str]:
        table = NATIVE_ENDS if self.role == "native" else ENDS
        return table[self.expected.split()[0].rstrip(":")]


@dataclass(slots=True)
class Report:
    """How one attack ended, and what it gave away."""

    ended: Ended
    signs: list[str] = field(default_factory=list)


def load(pattern: str) -> list[Attack]:
    attacks = []
    for path in sorted(SCRIPTS.glob(pattern)):
        source = path.read_text(encoding="utf-8")
        title, expected = source.splitlines()[:2]
        attacks.append(
            Attack(
                name=path.stem,
                title=title.removeprefix("# attack: "),
                expected=expected.removeprefix("# expect: "),
                source=source,
            )
        )
    return attacks


class Bait:
    """What attacks are after: a secret in the environment and in a file, a folder, a port, and this process itself."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.secret = f"S3CR3T_CANARY_{secrets.token_hex(8)}"
        self.folder = folder
        self.listener = listener
        self.signals = 0
        (folder / "canary").write_text(self.secret, encoding="ascii")

    def arm(self, source: str) -> str:
        port = str(self.listener.getsockname()[1])
        return (
            source.replace("ENGINE_PID", str(os.getpid())).replace("CANARY_DIR", str(self.folder)).replace("PORT", port)
        )

    def signs(self, ended: Ended, logs: Sequence[str]) -> list[str]:
        """Of one run: what it says, and where the secret shows."""
        found = [line for line in logs if line.startswith(("PWNED", "INTROSPECT"))]
        if self.secret in "\n".join([ended.message, ended.value.decode(errors="replace"), *logs]):
            found.append("the secret came out")
        return found

    def outside_signs(self) -> list[str]:
        """Of all runs together: what happened to this machine."""
        found = []
        if os.listdir(self.folder) != ["canary"] or (self.folder / "canary").read_text(encoding="ascii") != self.secret:
            found.append(f"the folder was changed: {os.listdir(self.folder)}")
        try:
            self.listener.accept()[0].close()
            found.append("something connected to the port")
        except BlockingIOError:
            pass
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
        os.environ["VIBE_TEST_CANARY"] = trap.secret
        try:
            yield trap
        finally:
            os.environ.pop("VIBE_TEST_CANARY", None)
            signal.signal(signal.SIGUSR1, before)


async def run_attack(forker: Forker, trap: Bait, attack: Attack, *, layers: frozenset[str] = ALL_LAYERS) -> Report:
    limits = PATIENT if attack.expected.startswith("harmless") and attack.role == "script" else LIMITS
    engine = RecordingEngine()
    child = await forker.fork(attack.role, limits.child, layers=layers)
    ended = await converse(child, Script(source=trap.arm(attack.source)), engine, limits)
    return Report(ended, trap.signs(ended, engine.logs))


def run_all(trap: Bait, attacks: Sequence[Attack]) -> dict[str, Report]:
    """Every attack in a process of its own, a few at a time."""
    reports: dict[str, Report] = {}

    async def one(forker: Forker, attack: Attack, slots: trio.CapacityLimiter) -> None:
        async with slots:
            reports[attack.name] = await run_attack(forker, trap, attack)

    async def main() -> None:
        zygote = start_zygote()
        try:
            async with open_forker(zygote) as forker, trio.open_nursery() as nursery:
                slots = trio.CapacityLimiter(_AT_ONCE)
                for attack in attacks:
                    nursery.start_soon(one, forker, attack, slots)
        finally:
            zygote.close()

    trio.run(main)
    return reports
