"""Does git track a file? Read from the index: running git in a strange repository would run what that configures."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_FIXED_BYTES = 42  # of an entry: times, ids, mode and size (40), flags (2); the object's hash is between them
_NAME_LENGTH = 0x0FFF
_EXTENDED = 0x4000


def tracked_by_git(path: Path) -> bool:
    """Whether a repository around `path` has it in its index. False where that cannot be told."""
    path = path.resolve()
    for folder in path.parents:
        git_dir = _git_dir(folder / ".git")
        if git_dir is not None:
            name = bytes(path.relative_to(folder))
            # A split index keeps most of its entries in a shared one.
            if any(_holds(index, name, git_dir) for index in (git_dir / "index", *git_dir.glob("sharedindex.*"))):
                return True
    return False


def _git_dir(dot_git: Path) -> Path | None:
    if dot_git.is_dir():
        return dot_git
    try:  # in a worktree or submodule it is a file that names the folder
        key, _, target = dot_git.read_text(encoding="utf-8").partition(":")
    except (OSError, ValueError):
        return None
    return dot_git.parent / target.strip() if key == "gitdir" else None


def _holds(index: Path, name: bytes, git_dir: Path) -> bool:
    try:
        data = index.read_bytes()
        signature, version, count = struct.unpack_from(">4sII", data)
        if signature != b"DIRC":
            return False
        if version == 4:
            return name in _compressed_names(data, count, _hash_bytes(git_dir))
    except (OSError, IndexError, ValueError, struct.error):
        return False
    return _has_entry(data, name)


def _has_entry(data: bytes, name: bytes) -> bool:
    """Versions 2 and 3: the name stands in full, after its length; between them may be two bytes of more flags."""
    at = data.find(name + b"\0")
    while at >= 0:
        flags = struct.unpack_from(">HH", data, at - 4)
        if any(each & _NAME_LENGTH == min(len(name), _NAME_LENGTH) for each in flags):
            return True
        at = data.find(name + b"\0", at + 1)
    return False


def _compressed_names(data: bytes, count: int, hash_bytes: int) -> Iterator[bytes]:
    """Version 4: each name is what differs from the one before, after the number of bytes to drop from that."""
    at, name = 12, b""
    for _ in range(count):
        at += _FIXED_BYTES + hash_bytes
        (flags,) = struct.unpack_from(">H", data, at - 2)
        at += 2 if flags & _EXTENDED else 0
        dropped, at = _varint(data, at)
        end = data.index(b"\0", at)
        name = name[: len(name) - dropped] + data[at:end]
        at = end + 1
        yield name


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1


def _hash_bytes(git_dir: Path) -> int:
    try:
        config = (git_dir / "config").read_bytes().lower()
    except OSError:
        return 20
    return 32 if b"sha256" in config else 20
