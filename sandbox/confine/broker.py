"""Changes modes and times of the project's files on behalf of a command that may not, where no mounts protect the rest.

The kernel stops a process in such a call and asks here. The answer never is "go on": the broker opens the file itself,
looks where it really lies, and makes the change through what it opened, so that there is nothing left to swap.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Sequence
from typing import Final

from . import census, kernel
from .paths import holds
from .syscalls import NUMBERS

_RECEIVE, _SEND, _STILL_VALID = 0xC050_2100, 0xC018_2101, 0x4008_2102
_QUESTION = struct.Struct("=QII iIQ6Q")  # id, pid, flags; number, arch, address, arguments
_ANSWER = struct.Struct("=QqiI")
_CONTINUE: Final = 1
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW = -100, 0x100
_SET_ID_BITS = 0o6000
_PATH_MAX = 4096


class Broker:
    """Answers one question at a time, about files below `writable` but not below `protected`."""

    def __init__(self, listener: int, *, writable: Sequence[str], protected: Sequence[str]) -> None:
        self.listener = listener
        self._writable = writable
        self._protected = protected
        self._names = {number: name for name, number in NUMBERS[os.uname().machine].items()}

    def answer(self) -> None:
        """Take one question and answer it. One whose asker is gone is dropped."""
        buffer = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, buffer)
        except OSError:
            return
        question, pid, _, number, _, _, *arguments = _QUESTION.unpack(buffer)
        flags, error = 0, 0
        try:
            flags = self._do(question, pid, self._names[number], arguments)
        except OSError as problem:
            error = -(problem.errno or errno.EPERM)
        except (ValueError, KeyError, OverflowError):
            error = -errno.EPERM
        try:
            fcntl.ioctl(self.listener, _SEND, _ANSWER.pack(question, 0, error, flags))
        except OSError:
            return

    def _do(self, question: int, pid: int, name: str, arguments: list[int]) -> int:
        """Make the change; returns the flags of the answer. Raises OSError with what the asker is to see."""
        match name:
            case "fchmod":
                self._chmod(self._open_fd(question, pid, arguments[0]), arguments[1])
            case "chmod":
                self._chmod(self._open(question, pid, _AT_FDCWD, arguments[0], follow=True), arguments[1])
            case "fchmodat":
                self._chmod(self._open(question, pid, arguments[0], arguments[1], follow=True), arguments[2])
            case "utimensat":
                self._utime(question, pid, arguments)
            case _:
                return self._signal(name, arguments)
        return 0

    def _chmod(self, fd: int, mode: int) -> None:
        try:
            self._check(fd)
            if mode & _SET_ID_BITS:
                raise PermissionError(errno.EPERM, "setuid")
            os.chmod(f"/proc/self/fd/{fd}", mode & 0o1777)
        finally:
            os.close(fd)

    def _utime(self, question: int, pid: int, arguments: list[int]) -> None:
        folder, path, times, flags = arguments[:4]
        if flags & ~_AT_SYMLINK_NOFOLLOW & 0xFFFF_FFFF:
            raise OSError(errno.EINVAL, "flags")
        stamps = self._read(question, pid, times, 32) if times else None
        fd = self._open(question, pid, folder, path, follow=not flags) if path else self._open_fd(question, pid, folder)
        try:
            self._check(fd)
            # The empty path: a symbolic link's own times, too.
            number = NUMBERS[os.uname().machine]["utimensat"]
            kernel.syscall("utimensat", number, fd, b"", stamps, 0x1000)
        finally:
            os.close(fd)

    def _signal(self, name: str, arguments: list[int]) -> int:
        """To the command's own processes only; a number is enough, since nothing in memory decides."""
        target = ctypes.c_int(arguments[0] & 0xFFFF_FFFF).value
        if name == "kill" and target < -1:
            target = -target  # a process group, named after its first process
        # The first below the supervisor is the warden: no business of the command's.
        ours = [pid for pid in census.descendants(os.getpid()) if census.parent_of(pid) != os.getpid()]
        if target not in ours:
            raise PermissionError(errno.EPERM, "not yours")
        return _CONTINUE

    def _check(self, fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if any(holds(each, path) for each in self._protected) or not any(holds(each, path) for each in self._writable):
            raise PermissionError(errno.EPERM, path)

    def _open_fd(self, question: int, pid: int, fd: int) -> int:
        found = os.open(f"/proc/{pid}/fd/{ctypes.c_int(fd & 0xFFFF_FFFF).value}", os.O_PATH | os.O_CLOEXEC)
        self._still_asked(question, found)
        return found

    def _open(self, question: int, pid: int, folder: int, address: int, *, follow: bool) -> int:
        """The file that the asker means, as an O_PATH descriptor."""
        raw = self._read(question, pid, address, _PATH_MAX, partial=True)
        path, end, _ = raw.partition(b"\0")
        if not end:
            raise OSError(errno.ENAMETOOLONG, "path")
        if not path:
            raise FileNotFoundError(errno.ENOENT, "empty path")
        number = ctypes.c_int(folder & 0xFFFF_FFFF).value
        if path.startswith((b"/proc/self/", b"/dev/fd/")):
            # Ours would be meant, not the asker's.
            path = f"/proc/{pid}/".encode() + (b"fd/" + path[8:] if path.startswith(b"/dev/") else path[11:])
        base = "cwd" if number == _AT_FDCWD else f"fd/{number}"
        start = os.open(f"/proc/{pid}/{base}", os.O_PATH | os.O_CLOEXEC)
        try:
            found = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW), dir_fd=start)
        finally:
            os.close(start)
        self._still_asked(question, found)
        return found

    def _read(self, question: int, pid: int, address: int, size: int, *, partial: bool = False) -> bytes:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            self._still_asked(question)
            # Up to the end of a page first: the next one may not be there.
            first = min(size, 4096 - address % 4096)
            data = os.pread(memory.fileno(), first, address)
            if len(data) < size and (not partial or b"\0" not in data):
                data += os.pread(memory.fileno(), size - first, address + first)
        if len(data) < size and not partial:
            raise OSError(errno.EFAULT, "address")
        return data

    def _still_asked(self, question: int, fd: int = -1) -> None:
        """Make sure that the process number still is the asker's."""
        try:
            fcntl.ioctl(self.listener, _STILL_VALID, struct.pack("=Q", question))
        except OSError:
            if fd >= 0:
                os.close(fd)
            raise
