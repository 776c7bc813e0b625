"""What is known of a tree: of each folder which names count, and of each file what it was made into.

A file is known by its *mark*: a letter for its kind and a digest of what is in it. A mark holds as long as the
*signature* of the file does, which is all that the system says about it without opening it. That includes the time of
its last change as the system keeps it (ctime), which no program can set back.

A file that was written a moment ago may be written once more within the same tick of the file system's clock, and have
the same signature. As git does with what it calls racily clean, the mark of such a file is not kept: it is read again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeAlias

from msgspec import Struct

from ..keys import DIGEST_BYTES

Signature: TypeAlias = tuple[int, ...]

#: Of a file that is read again whatever the system says about it.
UNSETTLED: Signature = ()


class Known(Struct, frozen=True, array_like=True, gc=False):
    """A file that counts."""

    signature: Signature
    mark: bytes


class FolderRecord(Struct, frozen=True, array_like=True, gc=False):
    """A folder as it was found."""

    rules: bytes  # digest of the ignore rules that decided which names count
    files: dict[str, Known]  # whatever is no folder, by name
    folders: frozenset[str]
    ignored: frozenset[str]  # those of folders end in a slash
    digest: bytes  # of its own files that count; empty where one of them is read again


def signature_of(found: os.stat_result) -> Signature:
    return found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def mark_of(mode: int, digest: bytes) -> bytes:
    """`digest` is that of the contents, or of a link's target."""
    if stat.S_ISLNK(mode):
        return b"l" + digest
    if stat.S_ISREG(mode):
        return (b"x" if mode & stat.S_IXUSR else b"f") + digest
    return b"o" + content_mark(str(stat.S_IFMT(mode)).encode())


def unreadable_mark(found: os.stat_result | None) -> bytes:
    """Of what cannot be opened. A command cannot either, but it may see size and times."""
    return b"u" + content_mark(b"" if found is None else repr(signature_of(found)).encode())


def content_mark(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()


def folder_digest(marks: Iterable[tuple[str, bytes]]) -> bytes:
    """Of (name, mark) pairs, in any order. A name holds no NUL, and a mark is always as long."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    digest.update(b"".join(b"%s\0%s" % (os.fsencode(name), mark) for name, mark in sorted(marks)))
    return digest.digest()


def tree_digest(folders: Iterable[tuple[str, bytes]]) -> str:
    """Of the folders that hold files which count, and the digests of these. In hex."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    digest.update(b"".join(b"%s\0%s" % (os.fsencode(path), own) for path, own in sorted(folders)))
    return digest.hexdigest()
