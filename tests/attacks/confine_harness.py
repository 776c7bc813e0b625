"""Runs attacks as confined commands and looks for every sign that one got through.

An attack is a Python file whose header names it, what is expected, and the guards that stop it: each of them alone;
with all of them off it gets through. `floor guard` is the same where no namespaces can be had; `-` where nothing stops
it or nothing is there to attack. Words in capitals in its text become places of a bait that is made for each run.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from vibe_workflows.sandbox.confine import (
    CommandEnd,
    CommandLimits,
    CommandNotStarted,
    Confinement,
    Level,
    run_confined,
)

FOLDER = Path(__file__).parent / "confine"
MIB = 1 << 20
LIMITS = CommandLimits(processes=60, memory_bytes=250 * MIB, file_bytes=8 * MIB, scratch_bytes=16 * MIB)
_VICTIM = """\
import ctypes, sys
text = ctypes.create_string_buffer(b"engine's memory!")
print(ctypes.addressof(text), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    name: str
    title: str
    guards: frozenset[str]
    floor_guards: frozenset[str]
    needs: frozenset[str]
    source: str


def load() -> list[Attack]:
    attacks = []
    for path in sorted(FOLDER.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        header = dict(line[2:].split(": ", 1) for line in source.splitlines() if line.startswith("# "))
        attacks.append(
            Attack(
                name=path.stem,
                title=header["attack"],
                guards=_names(header["guard"]),
                floor_guards=_names(header["floor guard"]),
                needs=_names(header.get("needs", "-")),
                source=source,
            )
        )
    return attacks


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split(", ")) - {"-"}


def missing(needs: frozenset[str]) -> str:
    """What this machine lacks for an attack to mean anything; empty if nothing."""
    there = {
        "root": os.geteuid() == 0,
        "disk": any(os.access(path, os.R_OK) and _opens(path) for path in glob("/dev/[sv]da")),
        "io_uring": _has_io_uring(),
        "xattr": _has_xattr(),
        "file flags": _has_file_flags(),
    }
    return ", ".join(sorted(need for need in needs if not there[need]))


def _opens(path: str) -> bool:
    with suppress(OSError):  # a container's devices may be there, and closed
        os.close(os.open(path, os.O_RDONLY))
        return True
    return False


def _has_io_uring() -> bool:
    fd = ctypes.CDLL(None).syscall(425, 4, ctypes.create_string_buffer(120))
    if fd >= 0:
        os.close(fd)
    return bool(fd >= 0)


def _has_file_flags() -> bool:
    with tempfile.NamedTemporaryFile() as file, suppress(OSError):
        fcntl.ioctl(file.fileno(), 0x40086602, struct.pack("=q", 0x40))
        return True
    return False


def _has_xattr() -> bool:
    with suppress(OSError):
        os.setxattr(FOLDER, "user.vibe-test", b"x")
        os.removexattr(FOLDER, "user.vibe-test")
        return True
    return False


@dataclass(slots=True)
class Bait:
    """What one attack is after: a home, a folder, sockets, shared memory, and a process that stands for the engine."""

    folder: Path
    secret: str
    serial: str
    engine: subprocess.Popen[bytes] | None  # for the attacks that mention it
    engine_address: str
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket
    abstract: socket.socket
    segment_key: int
    before: dict[str, object] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def mark(self) -> str:
        return f"vibe-attack-{self.serial}"

    def arm(self, source: str) -> str:
        words = {
            "HOME_DIR": str(self.folder / "home"),
            "OUTSIDE": str(self.folder / "outside"),
            "READABLE": str(self.folder / "readable"),
            "PROJECT": str(self.project),
            "ENGINE_PID": str(self.engine.pid if self.engine else 0),
            "ENGINE_ADDRESS": self.engine_address,
            "TCP_PORT": str(self.tcp.getsockname()[1]),
            "UDP_PORT": str(self.udp.getsockname()[1]),
            "SHM_KEY": str(self.segment_key),
            "MARK": self.mark,
            "SERIAL": self.serial,
        }
        for word, value in words.items():
            source = source.replace(word, value)
        return source

    def signs(self, end: CommandEnd | None) -> list[str]:
        """All that shows that the attack got through."""
        found = []
        said = (end.stdout + end.stderr).decode(errors="replace") if end else ""
        if self.secret in said or "PWNED" in said:
            found.append(f"it said {said!r}")
        after = snapshot(self.folder)
        changed = {
            name for name in self.before.keys() | after.keys() if self.before.get(name) != after.get(name)
        } - _own(after)
        found += [f"changed: {name}" for name in sorted(changed)]
        found += [f"set-id: {path}" for path in self.project.rglob("*") if path.lstat().st_mode & 0o6000]
        found += [f"reached: {name}" for name in ("tcp", "udp", "unix", "abstract") if _reached(getattr(self, name))]
        if self.engine and self.engine.poll() is not None:
            found.append("the engine is dead")
        left = processes_with(f"300.{self.serial}")
        found += [f"left: process {pid}" for pid in left]
        for pid in left:
            os.kill(pid, 9)
        if os.path.exists(f"/tmp/{self.mark}"):
            os.unlink(f"/tmp/{self.mark}")
            found.append("a file in /tmp")
        return found


def _own(after: dict[str, object]) -> set[str]:
    """What a command may do: change the project, but for what is protected."""
    kept = ("project/.git", "project/.vibe", "project/.claude", "project/vibe.yaml")
    return {name for name in after if name == "project" or (name.startswith("project/") and not name.startswith(kept))}


def snapshot(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() and status.st_size < MIB else b""
        names = os.listxattr(path, follow_symlinks=False)
        stamp = 0 if path.is_dir() else status.st_mtime_ns  # of folders, what is in them says more
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, stamp, content, names)
    return found


def processes_with(text: str) -> list[int]:
    found = []
    for path in glob("/proc/[0-9]*/cmdline"):
        with suppress(OSError):
            if text.encode() in Path(path).read_bytes():
                found.append(int(path.split("/")[2]))
    return found


def _reached(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(16)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextmanager
def bait(folder: Path, *, with_engine: bool) -> Iterator[Bait]:
    serial = str(secrets.randbelow(10**12) + 10**12)
    secret = f"S3CR3T_{serial}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(shutil.rmtree, str(folder) + ".moved", ignore_errors=True)
        _write_files(folder, secret)
        engine, address = _start_engine(stack, secret) if with_engine else (None, "0")
        trap = Bait(
            folder=folder,
            secret=secret,
            serial=serial,
            engine=engine,
            engine_address=address,
            tcp=stack.enter_context(socket.create_server(("127.0.0.1", 0))),
            udp=stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
            unix=stack.enter_context(socket.socket(socket.AF_UNIX)),
            abstract=stack.enter_context(socket.socket(socket.AF_UNIX)),
            segment_key=_share(stack, secret),
        )
        trap.udp.bind(("127.0.0.1", 0))
        trap.unix.bind(str(folder / "outside" / "docker.sock"))
        trap.unix.listen()
        trap.abstract.bind("\0" + trap.mark)
        trap.abstract.listen()
        for listener in (trap.tcp, trap.udp, trap.unix, trap.abstract):
            listener.setblocking(False)
        trap.before = snapshot(folder)
        yield trap


def _write_files(folder: Path, secret: str) -> None:
    texts = {
        "home/.ssh/id_ed25519": secret,
        "outside/canary": secret,
        "readable/file": "readable",
        "project/.git/config": "[core]\n",
        "project/.git/hooks/sample": "#!/bin/sh\n",
        "project/sub/file": "file",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="ascii")
    (folder / "project/link").symlink_to("../outside/canary")


def _start_engine(stack: ExitStack, secret: str) -> tuple[subprocess.Popen[bytes], str]:
    """A process that is all that the engine is to an attack, but has no privilege that would protect it."""
    argv = [sys.executable, "-S", "-c", _VICTIM]
    if os.geteuid() == 0:
        argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *argv]
    engine = subprocess.Popen(
        argv, env={**os.environ, "API_KEY": secret}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    stack.enter_context(engine)
    stack.callback(engine.kill)
    assert engine.stdout is not None
    return engine, engine.stdout.readline().decode().strip()


def _share(stack: ExitStack, secret: str) -> int:
    """A segment of shared memory with the secret in it; returns its key."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    key = secrets.randbelow(1 << 30) + 1
    segment = libc.shmget(key, 4096, 0o1600)
    stack.callback(libc.shmctl, segment, 0, None)
    address = libc.shmat(segment, None, 0)
    ctypes.memmove(address, secret.encode() + b"\0", len(secret) + 1)
    libc.shmdt(ctypes.c_void_p(address))
    return key


async def run_attack(
    trap: Bait, attack: Attack, layers: frozenset[str], *, upper: Path | None = None
) -> tuple[list[str], CommandEnd | None]:
    """Run `attack` behind `layers`; returns the signs that it got through, and how it ended."""
    policy = Confinement(project=trap.project, readable=(trap.folder / "readable",), limits=LIMITS, upper=upper)
    end = None
    with suppress(CommandNotStarted):
        end = await run_confined(
            interpreter(trap.arm(attack.source)),
            cwd=trap.project,
            policy=policy,
            timeout_s=120,
            at_least=Level.WEAK,
            layers=layers,
        )
    return trap.signs(end), end


def interpreter(source: str) -> Sequence[str]:
    return [os.path.realpath(sys.executable), "-S", "-B", "-c", source]
