"""Run a command as on a kernel that lacks some system calls: `python older_kernel.py LAYER ... -- COMMAND ...`.

LAYER is landlock, seccomp, or pidfd. All that is started below sees ENOSYS, as on an older kernel; with `LAYER=EPERM`
that error, as in a container whose profile forbids the calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_NUMBERS = {
    "x86_64": {"landlock": (444, 445, 446), "seccomp": (317,), "pidfd": (424, 434)},
    "aarch64": {"landlock": (444, 445, 446), "seccomp": (277,), "pidfd": (424, 434)},
}
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def hide(layers: list[str]) -> None:
    code = [(_LOAD, 0, 0, 0)]
    for layer, _, answer in (each.partition("=") for each in layers):
        error = getattr(errno, answer or "ENOSYS")
        for number in _NUMBERS[os.uname().machine][layer]:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]
    code.append((_RETURN, 0, 0, _ALLOW))
    program = _Program(len(code), b"".join(struct.pack("=HBBI", *line) for line in code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0), (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program))):
        if libc.prctl(*arguments, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    at = sys.argv.index("--")
    hide(sys.argv[1:at])
    os.execv(sys.argv[at + 1], sys.argv[at + 1 :])
