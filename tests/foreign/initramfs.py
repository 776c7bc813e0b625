"""An initramfs, written from a folder: the `newc` format of cpio, without the program of that name."""

from __future__ import annotations

import gzip
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_CONSOLE = (5, 1)


def pack(folder: Path, archive: Path) -> None:
    """Write every file below `folder` to `archive` as root's, with the one device that the first program needs."""
    with gzip.open(archive, "wb", compresslevel=1) as out:
        for number, (name, mode, data, device) in enumerate(_entries(folder), 1):
            out.write(_entry(number, name, mode, data, device))
        out.write(_entry(0, "TRAILER!!!", 0, b"", (0, 0)))


def _entries(folder: Path) -> Iterator[tuple[str, int, bytes, tuple[int, int]]]:
    yield "dev", stat.S_IFDIR | 0o755, b"", (0, 0)
    yield "dev/console", stat.S_IFCHR | 0o600, b"", _CONSOLE
    for where, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(where, name)
            mode = path.lstat().st_mode
            data = b""
            if stat.S_ISLNK(mode):
                data = os.fsencode(os.readlink(path))
            elif stat.S_ISREG(mode):
                data = path.read_bytes()
            yield str(path.relative_to(folder)), mode, data, (0, 0)


def _entry(number: int, name: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    label = os.fsencode(name) + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(label), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + label
    return _padded(header) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
