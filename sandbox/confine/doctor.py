"""Attacks a really confined command, and judges by what comes of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..doctor import Probe
from ..errors import SandboxUnavailable
from ..level import Level
from . import census
from .layers import ALL_LAYERS, OVERLAY
from .policy import CommandNotStarted, Confinement, ConfinementRefused, NoOverlay
from .runner import run_confined

_TIMEOUT_S = 30.0
_PYTHON = os.path.realpath(sys.executable)
#: Each attack runs in one confined Python, after the other, and tells what came of it.
_ATTACKS = """\
import ctypes, os, socket, subprocess, sys
def chmod_outside(): os.chmod(FOLDER + "/canary", 0o777)
def read_home(): open(FOLDER + "/home/.ssh/id").read()
def write_outside(): open(FOLDER + "/new", "w").close()
def write_protected(): open(PROJECT + "/.git/config", "a").close()
def write_view(): open(PROJECT + "/file", "w").close()
def make_protected(): open(PROJECT + "/vibe.yaml", "w").close()
def tcp(): socket.create_connection(("127.0.0.1", TCP), 2)
def udp(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", UDP))
def unix_socket(): socket.socket(socket.AF_UNIX).connect(FOLDER + "/socket")
def abstract_socket(): socket.socket(socket.AF_UNIX).connect("\\0" + NAME)
def engine_environment(): open(f"/proc/{ENGINE}/environ").read()
def kill(): os.kill(VICTIM, 9)
def user_namespace():
    if ctypes.CDLL(None).unshare(0x10000000): raise PermissionError("unshare: denied")
def own_secret():
    if "VIBE_DOCTOR_CANARY" not in os.environ: raise PermissionError("not there")
def leave_daemon():
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)", NAME], start_new_session=True, **quiet)
for name in NAMES:
    try:
        globals()[name]()
        print(name, "through", sep="\\t")
    except BaseException as error:
        print(name, f"{type(error).__name__}: {error}", sep="\\t")
"""
_WORDS = {
    "read_home": "read a key in your home",
    "write_outside": "write outside of the project",
    "chmod_outside": "change a file's mode outside of the project",
    "write_protected": "write into .git",
    "make_protected": "create a vibe.yaml",
    "write_view": "change the project through its view of it",
    "tcp": "connect to a local TCP port",
    "udp": "send to a local UDP port",
    "unix_socket": "connect to a unix socket such as docker.sock",
    "abstract_socket": "connect to an abstract unix socket",
    "engine_environment": "read the engine's environment",
    "user_namespace": "become root of a user namespace",
    "own_secret": "find secrets in its environment",
    "leave_daemon": "leave a process behind",
    "kill": "kill another of your processes",
}
#: Judged by what is seen outside: a datagram to nobody, a file of a private folder or of a copy-on-write view, a number
#: that means another process there, or a process that is killed with the command, is no success.
_SEEN_OUTSIDE = ("udp", "leave_daemon", "write_outside", "write_view", "kill")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfineReport:
    """What commands are held by here: the level that was proved, the layers, and each attack with what came of it."""

    level: Level
    layers: Mapping[str, str]  # empty for one that is not in force, `no LAYER` with the reason
    probes: tuple[Probe, ...]

    @property
    def open(self) -> tuple[Probe, ...]:
        """The attacks that got through."""
        return tuple(found for found in self.probes if not found.blocked)

    def to_json(self) -> dict[str, Any]:
        return {"level": str(self.level), "layers": dict(self.layers), "probes": [asdict(each) for each in self.probes]}


async def probe_confinement(*, layers: frozenset[str] = ALL_LAYERS) -> ConfineReport:
    """Try every attack in a confined command. Never raises for a system that cannot confine: the report says why."""
    if sys.platform != "linux":
        return _nothing(f"commands are confined on Linux only, and this is {sys.platform}")
    try:
        with tempfile.TemporaryDirectory(prefix="vibe-doctor-") as folder, _bait(Path(folder)) as bait:
            return await _probe(bait, layers)
    except (SandboxUnavailable, ConfinementRefused, CommandNotStarted) as error:
        return _nothing(str(error))


def _nothing(why: str) -> ConfineReport:
    return ConfineReport(level=Level.WEAK, layers={"no layers": why}, probes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bait:
    folder: Path
    name: str
    victim: subprocess.Popen[bytes]
    tcp: socket.socket
    udp: socket.socket


@contextmanager
def _bait(folder: Path) -> Iterator[_Bait]:
    """What the attacks are after, and a process to kill."""
    with ExitStack() as stack:
        for name in ("home/.ssh", "project/.git"):
            (folder / name).mkdir(parents=True)
        for name in ("home/.ssh/id", "canary", "project/.git/config", "project/file"):
            (folder / name).write_text("canary", encoding="ascii")
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        name = f"vibe-doctor-{folder.name}"
        for address in (str(folder / "socket"), "\0" + name):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        yield _Bait(folder=folder, name=name, victim=stack.enter_context(_victim()), tcp=tcp, udp=udp)


@contextmanager
def _victim() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield process


async def _probe(bait: _Bait, layers: frozenset[str]) -> ConfineReport:
    """On a copy-on-write view, where one can be had: what is tried there is one attack more."""
    why = ""
    if OVERLAY in layers:
        try:
            return await _attack(bait, layers, upper=bait.folder / "upper")
        except NoOverlay as error:
            why = str(error)
    found = await _attack(bait, layers, upper=None)
    return replace(found, layers={**found.layers, f"no {OVERLAY}": why}) if why else found


async def _attack(bait: _Bait, layers: frozenset[str], *, upper: Path | None) -> ConfineReport:
    project = bait.folder / "project"
    attacks = {name: words for name, words in _WORDS.items() if upper or name != "write_view"}
    values = {
        "FOLDER": str(bait.folder),
        "PROJECT": str(project),
        "NAME": bait.name,
        "NAMES": list(attacks),
        "ENGINE": os.getpid(),
        "VICTIM": bait.victim.pid,
        "TCP": bait.tcp.getsockname()[1],
        "UDP": bait.udp.getsockname()[1],
    }
    source = "".join(f"{name} = {value!r}\n" for name, value in values.items()) + _ATTACKS
    before = os.environ.get("VIBE_DOCTOR_CANARY")
    os.environ["VIBE_DOCTOR_CANARY"] = "canary"  # what a key in the engine's environment would be
    try:
        end = await run_confined(
            [_PYTHON, "-S", "-B", "-c", source],
            cwd=project,
            policy=Confinement(project=project, upper=upper),
            timeout_s=_TIMEOUT_S,
            at_least=Level.WEAK,
            layers=layers,
        )
    finally:
        os.environ.pop("VIBE_DOCTOR_CANARY", None)
        if before is not None:
            os.environ["VIBE_DOCTOR_CANARY"] = before
    said = dict(line.split("\t", 1) for line in end.stdout.decode(errors="replace").splitlines() if "\t" in line)
    seen = _outside(bait)
    probes = tuple(_judge(name, words, said, seen) for name, words in attacks.items())
    level = Level.WEAK if any(not found.blocked for found in probes) else end.level
    return ConfineReport(level=level, layers=end.layers, probes=probes)


def _judge(name: str, words: str, said: Mapping[str, str], seen: set[str]) -> Probe:
    outcome = said.get(name, "the command ended before it came to that")
    through = name in seen if name in _SEEN_OUTSIDE else outcome == "through" or name not in said
    if outcome == "through":
        outcome = "it got through" if through else "it led nowhere"
    return Probe(name=name, words=words, critical=True, blocked=not through, outcome=outcome)


def _outside(bait: _Bait) -> set[str]:
    """What of the attacks arrived: a datagram, a process that outlives the command (it is killed here)."""
    seen = set()
    if (bait.folder / "new").exists():
        seen.add("write_outside")
    if (bait.folder / "project/file").read_text(encoding="ascii") != "canary":
        seen.add("write_view")
    if bait.victim.poll() is not None:
        seen.add("kill")
    try:
        bait.udp.recv(16)
        seen.add("udp")
    except BlockingIOError:
        pass
    if not census.is_possible():
        return seen | {"leave_daemon"}  # nobody could tell
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = Path(entry.path, "cmdline").read_bytes()
        except OSError:
            continue
        if bait.name.encode() in command.split(b"\0"):
            seen.add("leave_daemon")
            os.kill(int(entry.name), 9)
    return seen
