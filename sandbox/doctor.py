"""Attacks a really locked child as if the interpreter's wall had fallen, and judges by what comes of it."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .conversation import converse
from .ending import Ended
from .forker import Forker, open_forker
from .launcher import Zygote
from .level import Level
from .limits import ALL_LAYERS, ChildLimits, HostLimits
from .report import level_of

_LIMITS = HostLimits(child=ChildLimits(cpu_s=2), stall_s=5.0)

_ATTACK = """\
import ctypes, os, resource, sys, _socket, _thread
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_long
def succeeded(result):
    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
try:
    {attack}
    log("through")
except BaseException as error:
    log(f"{{type(error).__name__}}: {{error}}")
"""


@dataclass(frozen=True, slots=True)
class _Attack:
    """Python for the locked child; FOLDER is a folder that anybody may write to, ENGINE this process's id."""

    name: str
    words: str
    code: str
    critical: bool = True


_ATTACKS = (
    _Attack("read_file", "read a file", 'open("/etc/passwd").read(1)'),
    _Attack("list_folder", "list a folder", 'os.listdir("/")'),
    _Attack("create_file", "create a file", 'open("FOLDER/file", "w").close()'),
    _Attack("make_folder", "make a folder", 'os.mkdir("FOLDER/folder")'),
    _Attack("change_mode", "change a file's mode", 'os.chmod("FOLDER", 0o777)'),
    _Attack("tcp_socket", "open a TCP socket", "_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)"),
    _Attack("udp_socket", "open a UDP socket", "_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)"),
    _Attack("unix_socket", "open a unix socket", "_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)"),
    _Attack("fork", "start a process", "os.fork() or os._exit(0)"),
    _Attack("exec", "become another program", 'os.execv("/bin/sh", ["sh", "-c", "exit 0"])'),
    _Attack("kill_engine", "signal the engine", "os.kill(ENGINE, 0)"),
    _Attack("ptrace", "trace a process", "succeeded(libc.ptrace(0, 0, 0, 0))"),
    _Attack("user_namespace", "make a user namespace", "succeeded(libc.unshare(0x10000000))"),
    _Attack("raise_limit", "raise its own limits", "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"),
    _Attack(
        "environment",
        "find an environment",
        "if not any(os.environ.values()): raise PermissionError('it is empty')",
    ),
    _Attack("much_memory", "take 1 GB of memory", "b'x' * (1 << 30)"),
    _Attack(
        "executable_memory",
        "make memory executable",
        "succeeded(libc.mmap(None, 4096, 5, 0x1002 if sys.platform == 'darwin' else 0x22, -1, 0))",
        critical=False,
    ),
    _Attack("thread", "start a thread", "_thread.start_new_thread(int, ())", critical=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One attack: `words` completes "a script could ...", `outcome` says what came of it."""

    name: str
    words: str
    critical: bool
    blocked: bool
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    level: Level
    layers: Mapping[str, str]  # as the child tells: empty for one that is not in force, `no LAYER` with the reason
    facts: Mapping[str, str]
    probes: tuple[Probe, ...]

    @property
    def open(self) -> tuple[Probe, ...]:
        """The attacks that got through."""
        return tuple(found for found in self.probes if not found.blocked)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def probe(zygote: Zygote, *, layers: frozenset[str] = ALL_LAYERS) -> DoctorReport:
    """Try every attack, each in a locked child of its own. Not while a host is open on `zygote`."""
    with tempfile.TemporaryDirectory(prefix="vibe-doctor-") as folder:
        os.chmod(folder, 0o777)  # noqa: S103 - the child has another uid; only the lock may be what stops it
        async with open_forker(zygote) as forker:
            child = await forker.fork("native", _LIMITS.child, layers=layers)
            installed = child.layers
            await child.release()
            probes = tuple([await _probe(forker, attack, folder, layers) for attack in _ATTACKS])
    return DoctorReport(level=_level(installed, probes), layers=installed, facts=_facts(), probes=probes)


async def _probe(forker: Forker, attack: _Attack, folder: str, layers: frozenset[str]) -> Probe:
    code = attack.code.replace("FOLDER", folder).replace("ENGINE", str(os.getpid()))
    engine = _Listener()
    child = await forker.fork("native", _LIMITS.child, layers=layers)
    ended = await converse(child, _Start(source=_ATTACK.format(attack=code)), engine, _LIMITS)
    blocked, outcome = _judge(ended, engine.said)
    return Probe(name=attack.name, words=attack.words, critical=attack.critical, blocked=blocked, outcome=outcome)


def _judge(ended: Ended, said: list[str]) -> tuple[bool, str]:
    if "through" in said:
        return False, "it got through"
    if ended.outcome == "returned":
        return True, said[-1] if said else "nothing came of it"
    if ended.reason == "violation":
        return True, "the system killed the process for it"
    if ended.reason in ("memory", "cpu"):
        return True, ended.message
    # It ended in a way that no attack of ours ends when it is stopped: by becoming another program, say.
    return False, ended.message


def _level(installed: dict[str, str], probes: tuple[Probe, ...]) -> Level:
    through = [found for found in probes if not found.blocked]
    if any(found.critical for found in through):
        return Level.WEAK
    level = level_of(installed)
    return Level.GOOD if through and level is Level.STRONG else level


def _facts() -> dict[str, str]:
    facts = {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "user": f"uid {os.getuid()}",
    }
    if any(os.path.exists(mark) for mark in ("/.dockerenv", "/run/.containerenv")):
        facts["container"] = "this is one: its own seccomp profile may hide what the kernel has"
    return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoLimits:
    tokens: None = None
    microusd: None = None
    steps: None = None
    seconds: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    source: str
    filename: str = "probe.py"
    args: str = "{}"
    now: float = 0.0
    seed: str = ""
    has_model: bool = False
    limits: _NoLimits = _NoLimits()


class _Listener:
    """The engine of a probe: it hears what the attack logs. A locked child that makes calls gets no answer."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def started(self, sink: Any) -> None: ...

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None: ...

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
    ) -> None: ...

    def close(self, scope: int) -> None: ...

    def cancel_call(self, call: int) -> None: ...

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, Any]) -> None:
        self.said.append(message)

    def idle(self, taken: int) -> None: ...
