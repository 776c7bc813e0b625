"""Starts the zygote: the one place of the sandbox that builds an environment.

It is called before trio is imported, so that the zygote gets ready meanwhile: only cheap imports here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import count

from .errors import SandboxUnavailable

#: What the zygote may import beside the standard library, found where this process would find it.
_RESTRICTED = "RestrictedPython"
_LIBRARIES = (_RESTRICTED, "jsonschema", "pathspec")

#: Makes `vibe_workflows.sandbox` importable under its name wherever its folder lies (a wheel, or a mapped checkout),
#: without site-packages' start-up hooks. A user's own `vibe_workflows` or `sandbox` never comes in. RestrictedPython
#: comes without what its package imports for others: that takes 5 ms, and only its transformer is used. The
#: collector is off from the first line: what is imported is no garbage, and looking for some takes a tenth of the time.
_BOOTSTRAP = """\
import gc, sys, types
gc.disable()
control, folder, scripts, restricted, *libraries = sys.argv[1:]
sys.path += libraries
for name, path in (("vibe_workflows", scripts), ("vibe_workflows.sandbox", folder), ("RestrictedPython", restricted)):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [path]
sys.modules["vibe_workflows"].sandbox = sys.modules["vibe_workflows.sandbox"]
from vibe_workflows.sandbox.zygote import main
main(int(control))
"""


class Zygote:
    """A running zygote and this process's end of its control socket. It dies with this process, or by `close`."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.process = process
        self.control = control
        self.tags: Iterator[int] = count(1)  # of fork requests

    def close(self) -> None:
        """End the zygote and with it every child. Blocks for a moment; safe to repeat."""
        self.control.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_zygote() -> Zygote:
    """Start the fork server. Returns at once: it gets ready while the caller does something else.

    Raises SandboxUnavailable where this system has no fork, or Python does not start.
    """
    if not hasattr(os, "fork"):
        raise SandboxUnavailable("the sandbox needs Linux or macOS; on Windows, run vibe inside WSL 2")
    # macOS has no packet sockets between processes; its datagrams are reliable, too.
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM) if sys.platform == "linux" else socket.SOCK_DGRAM
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    try:
        process = subprocess.Popen(
            [sys.executable, *interpreter_flags(), "-c", _BOOTSTRAP, str(theirs.fileno()), *_folders()],
            pass_fds=[theirs.fileno()],
            env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHON_JIT": "0"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C at the terminal is the engine's to handle
        )
    except OSError as error:
        ours.close()
        raise SandboxUnavailable(f"the sandbox's helper process did not start: {error}") from error
    finally:
        theirs.close()
    return Zygote(process, ours)


def interpreter_flags() -> list[str]:
    """How every helper process is started: no site, no user paths, UTF-8."""
    # Not -I or -E: they would ignore PYTHONHASHSEED, and the environment is ours anyway.
    flags = ["-S", "-P", "-X", "utf8"]
    if sys.version_info >= (3, 14):
        flags += ["-X", "disable_remote_debug"]
    # Bytecode is kept as this process keeps it: without it, each start would compile the sandbox anew.
    if sys.dont_write_bytecode:
        flags.append("-B")
    if sys.pycache_prefix:
        flags += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return flags


def _folders() -> list[str]:
    folder = os.path.dirname(os.path.abspath(__file__))
    scripts = folder if os.path.isdir(os.path.join(folder, "script")) else os.path.dirname(folder)
    libraries = {name: entry for name in _LIBRARIES if (entry := _entry_of(name))}
    restricted = os.path.join(libraries.get(_RESTRICTED, ""), _RESTRICTED)
    return [folder, scripts, restricted, *dict.fromkeys(libraries.values())]


def _entry_of(package: str) -> str:
    """The folder of sys.path that holds a package; "" where none does."""
    for entry in sys.path:
        if os.path.isabs(entry) and os.path.isfile(os.path.join(entry, package, "__init__.py")):
            return entry
    return ""
