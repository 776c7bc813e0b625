"""Ways to change a project. On a copy-on-write view none does, and what is written is told; in place, each does.

Each is Python that runs in a folder of its own in a project, both made by `overlay_harness`. ROOT is the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vibe_workflows.sandbox.confine.layers import LANDLOCK, SECCOMP
from vibe_workflows.sandbox.confine.upper import WrittenKind

FILE, FOLDER, OPAQUE = WrittenKind.FILE, WrittenKind.FOLDER, WrittenKind.OPAQUE
LINK, GONE, OTHER = WrittenKind.LINK, WrittenKind.GONE, WrittenKind.OTHER

HEAD = """\
import contextlib, ctypes, fcntl, mmap, os, shutil, socket, stat, struct
libc = ctypes.CDLL(None, use_errno=True)
def write(path, text="x"):
    with open(path, "a") as file: file.write(text)
def attempt(number, source):
    if os.fork() == 0:
        os.chdir(number)
        exec(source)
        os._exit(0)
    print(number, os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""
ODD_NAMES = ("new\nline", "back\\slash", "co:lon", "com,ma", " ", "-rf", "*", "\udcff\udc80", "é", "n" * 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayAttack:
    source: str
    written: Mapping[str, WrittenKind]
    off: frozenset[str] = field(default_factory=frozenset)  # layers that would stop it, too


_NATIVE = frozenset({SECCOMP, LANDLOCK})


def _attack(
    source: str, written: Mapping[str, WrittenKind] | None = None, off: frozenset[str] = frozenset()
) -> OverlayAttack:
    return OverlayAttack(source=source, written={"a": FILE} if written is None else written, off=off)


ATTACKS: dict[str, OverlayAttack] = {
    # contents
    "append": _attack("write('a')"),
    "write anew": _attack("open('a', 'w').close()"),
    "truncate by name": _attack("os.truncate('a', 1)"),
    "truncate by opening to read": _attack("os.open('a', os.O_RDONLY | os.O_TRUNC)"),
    "punch a hole": _attack(
        "assert not libc.fallocate(os.open('a', os.O_RDWR), 3, ctypes.c_long(0), ctypes.c_long(5))"
    ),
    "copy a range": _attack("os.copy_file_range(os.open('b', os.O_RDONLY), os.open('a', os.O_RDWR), 2)"),
    "send a file": _attack("os.sendfile(os.open('a', os.O_RDWR), os.open('b', os.O_RDONLY), 0, 2)"),
    "a shared mapping": _attack("mmap.mmap(os.open('a', os.O_RDWR), 4)[0:1] = b'x'"),
    "a mapping that outlives its file": _attack(
        "m = mmap.mmap(os.open('a', os.O_RDWR), 4); os.unlink('a'); m[0:1] = b'x'; m.flush()", {"a": GONE}
    ),
    "a descriptor opened anew": _attack("write(f'/proc/self/fd/{os.open(\"a\", os.O_RDONLY)}')"),
    "by /dev/fd": _attack("write(f'/dev/fd/{os.open(\"a\", os.O_RDONLY)}')"),
    "by the working folder in /proc": _attack("write('/proc/self/cwd/a')"),
    "by the roots in /proc": _attack(
        "for who in ('1', 'self', 'thread-self', str(os.getppid())):\n"
        "    for way in ('root' + os.getcwd(), 'cwd'):\n"
        "        with contextlib.suppress(OSError): write(f'/proc/{who}/{way}/a')"
    ),
    "by a folder that was opened before": _attack(
        "fd = os.open('.', os.O_RDONLY); os.chdir('/'); os.open('a', os.O_RDWR | os.O_TRUNC, dir_fd=fd)"
    ),
    "by the link of the project": _attack("write('link')"),
    "one of two names of a file": _attack("write('twin1')", {"twin1": FILE}),
    "a file without a name, named": _attack(
        "fd = os.open('.', os.O_TMPFILE | os.O_RDWR); os.write(fd, b'x')\n"
        "assert not libc.linkat(-100, f'/proc/self/fd/{fd}'.encode(), -100, b'new', 0x400)",
        {"new": FILE},
    ),
    "a huge sparse file": _attack("write('big', ''); os.truncate('big', 1 << 40)", {"big": FILE}),
    # names
    "remove": _attack("os.unlink('a')", {"a": GONE}),
    "rename over": _attack("os.rename('b', 'a')", {"a": FILE, "b": GONE}),
    "exchange": _attack("assert not libc.renameat2(-100, b'a', -100, b'b', 2)", {"a": FILE, "b": FILE}),
    "rename and leave a whiteout": _attack("libc.renameat2(-100, b'a', -100, b'c', 4)", {}),
    "make a whiteout": _attack(
        "with contextlib.suppress(OSError): os.mknod('w', stat.S_IFCHR | 0o600, 0)", {}, _NATIVE
    ),
    "a hard link, written": _attack("os.link('a', 'new'); write('new')", {"a": FILE, "new": FILE}),
    "a hard link in a folder": _attack("os.link('a', 'd/new')", {"a": FILE, "d": FOLDER, "d/new": FILE}),
    "remove a folder": _attack("shutil.rmtree('d')", {"d": GONE}),
    "make a folder anew": _attack(
        "shutil.rmtree('d'); os.mkdir('d'); write('d/new')", {"d": OPAQUE, "d/new": FILE}
    ),
    "a file where a folder was": _attack("shutil.rmtree('d'); write('d')", {"d": FILE}),
    "a folder where a file was": _attack("os.unlink('a'); os.mkdir('a')", {"a": OPAQUE}),
    "move a folder": _attack(
        "shutil.move('d', 'moved')",
        {"d": GONE, "moved": FOLDER, "moved/e": FOLDER, "moved/e/z": FILE, "moved/x": FILE},
    ),
    "swap a link": _attack(
        "os.unlink('link'); os.symlink('d', 'link'); write('link/x')", {"d": FOLDER, "d/x": FILE, "link": LINK}
    ),
    "swap a folder for a link to what is protected": _attack(
        "shutil.rmtree('d'); os.symlink(ROOT + '/.git', 'd')\n"
        "with contextlib.suppress(OSError): write('d/config')",
        {"d": LINK},
    ),
    "a pipe and a socket": _attack(
        "os.mkfifo('pipe'); socket.socket(socket.AF_UNIX).bind('socket')", {"pipe": OTHER, "socket": OTHER}
    ),
    "odd names": _attack(
        f"for name in {ODD_NAMES!r}: write(name)", dict.fromkeys(ODD_NAMES, FILE)
    ),
    "many files": _attack(
        "for i in range(1000): write(f'd/{i}')", {"d": FOLDER} | {f"d/{i}": FILE for i in range(1000)}
    ),
    "deep folders": _attack(
        "for i in range(60): os.mkdir('n'); os.chdir('n')",
        {"n" + "/n" * i: FOLDER for i in range(60)},
    ),
    # what files are like
    "mode": _attack("os.chmod('a', 0o600)"),
    "mode of a folder": _attack("os.chmod('d', 0)", {"d": FOLDER}),
    "a closed folder with something in it": _attack(
        "os.mkdir('closed'); write('closed/file'); os.chmod('closed/file', 0); os.chmod('closed', 0)",
        {"closed": FOLDER, "closed/file": FILE},
    ),
    "times": _attack("os.utime('a', (1, 1))"),
    "times of a link": _attack("os.utime('link', (1, 1), follow_symlinks=False)", {"link": LINK}),
    "owner": _attack("os.chown('a', os.getuid(), os.getgid())"),
    "attributes": _attack("os.setxattr('a', 'user.note', b'new')"),
    "flags": _attack("fcntl.ioctl(os.open('a', os.O_RDONLY), 0x40086602, struct.pack('=q', 0x40))"),
    "marks of an overlay": _attack(
        "for kind in ('user.overlay.', 'trusted.overlay.'):\n"
        "    for name in ('opaque', 'whiteout', 'redirect', 'metacopy', 'origin', 'upper', 'nlink', 'impure'):\n"
        "        for path in ('a', 'd', '.'):\n"
        "            for value in (b'y', b'x', b'/b'):\n"
        "                with contextlib.suppress(OSError): os.setxattr(path, kind + name, value)",
        {"a": FILE, "d": FOLDER},
    ),
    # the view itself
    "unmount, then write": _attack(
        "root, here = ROOT.encode(), os.getcwd()\n"
        "for flags in (2, 8, 0): libc.umount2(root, flags)\n"
        "libc.mount(None, root, None, 32, b'lowerdir=/')\n"
        "libc.mount(b'/proc/self/cwd', b'/tmp', None, 0x1000, None)\n"
        "libc.syscall(428, -100, root, 1)\n"
        "os.chdir('/'); os.chdir(here); write('a')",
        off=_NATIVE,
    ),
    "mount in a namespace of its own, then write": _attack(
        "libc.unshare(0x10020000); os.mkdir('/tmp/m')\n"
        "libc.mount(b'overlay', b'/tmp/m', b'overlay', 0, b'userxattr,lowerdir=.,upperdir=d,workdir=d/e')\n"
        "libc.mount(b'.', b'/tmp/m', None, 0x1000, None); write('a')",
        off=_NATIVE,
    ),
}  # fmt: skip
