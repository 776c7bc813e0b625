"""Copies the files of a tree that count: as clones where the file system has them, or as links to an earlier copy.

What a copy holds is digested while it is made, so that nobody has to believe that the tree rested meanwhile. Kept of a
file are contents, the time of their last change (build tools look at it) and whether it is executable; of a link where
it leads. Whatever cannot be read is not there, as it would not be for a command.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from hashlib import blake2b

import trio
from msgspec import Struct
from msgspec.structs import replace

from ..agents.tools.descent import FILE_FLAGS, Place, open_folder, open_parent
from ..errors import ToolFailed
from ..keys import DIGEST_BYTES
from ..tree.records import FolderRecord, Known, content_mark, folder_digest, mark_of, signature_of, tree_digest

RULES = ".gitignore"

_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1024 * 1024
_FICLONE = 0x4004_9409
_NO_CLONES = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)
_MTIME = 4  # in a signature


class Copied(Struct, frozen=True, kw_only=True):
    """A copy of a tree, which nobody has changed since: `folders` say of its files what a look would."""

    root: str
    folders: Mapping[str, FolderRecord]  # by path: "", or ending in a slash

    @property
    def digest(self) -> str:
        """As `FILE_TREE` gives it."""
        return tree_digest(
            (prefix, folder_digest((name, file.mark) for name, file in folder.files.items()))
            for prefix, folder in self.folders.items()
            if folder.files
        )

    def known(self, path: str) -> Known | None:
        folder, _, name = path.rpartition("/")
        record = self.folders.get(folder and folder + "/")
        return record.files.get(name) if record is not None else None


def copy_tree(source: str, target: str, folders: Mapping[str, FolderRecord], base: Copied | None = None) -> Copied:
    """Copy what `folders` say of `source` into the empty folder `target`. Blocking, for a thread.

    Files that are in `base` with the same contents and time become links to it. Raises ToolFailed where the disk is
    full, or cannot be written.
    """
    copier = _Copier(base)
    made: dict[str, FolderRecord] = {}
    try:
        for prefix in sorted(folders):  # those above come first
            trio.from_thread.check_cancelled()
            if not prefix or _above(prefix) in made:
                files = _copy_folder(copier, source, target, prefix, folders[prefix])
                if files is not None:
                    made[prefix] = replace(
                        folders[prefix], files=files, ignored=folders[prefix].ignored & {RULES}, digest=b""
                    )
    except OSError as error:
        raise ToolFailed(f"the project cannot be copied to {target}: {error.strerror}") from error
    return Copied(root=target, folders=made)


def _copy_folder(
    copier: _Copier, source: str, target: str, prefix: str, record: FolderRecord
) -> dict[str, Known] | None:
    with ExitStack() as opened:
        try:
            theirs = opened.enter_context(open_folder(source, place_of(prefix)))
        except ToolFailed as error:
            if prefix and isinstance(error.__cause__, OSError):
                return None  # gone by now, or nobody may look into it
            raise
        if prefix:
            with open_parent(target, place_of(prefix)) as (parent, name):
                os.mkdir(name, 0o755, dir_fd=parent)
        return copier.copy_folder(record, theirs, opened.enter_context(open_folder(target, place_of(prefix))), prefix)


def _above(prefix: str) -> str:
    folder = prefix[:-1].rpartition("/")[0]
    return folder and folder + "/"


class _Copier:
    def __init__(self, base: Copied | None) -> None:
        self._base = base
        self._clones = True
        self._device: int | None = None

    def copy_folder(self, record: FolderRecord, theirs: int, ours: int, prefix: str) -> dict[str, Known]:
        files: dict[str, Known] = {}
        base = self._base
        old = base.folders.get(prefix) if base is not None else None
        with ExitStack() as opened:
            earlier = opened.enter_context(open_folder(base.root, place_of(prefix))) if base and old else -1
            for name, known in record.files.items():
                held = old.files.get(name) if old is not None else None
                if held is not None and _is_same(held, known) and _link(name, earlier, ours):
                    files[name] = held
                    continue
                with suppress(FileNotFoundError, PermissionError):  # gone by now; or as good as not there
                    copy = self._copy(name, known, theirs, ours)
                    if copy is not None:
                        files[name] = copy
        if RULES in record.ignored:  # they hold all the same
            with suppress(FileNotFoundError, PermissionError):
                self._copy(RULES, None, theirs, ours)
        return files

    def _copy(self, name: str, known: Known | None, theirs: int, ours: int) -> Known | None:
        found = os.stat(name, dir_fd=theirs, follow_symlinks=False)
        mode = found.st_mode
        if stat.S_ISREG(mode):
            return self._copy_file(name, known, theirs, ours)
        if stat.S_ISLNK(mode):
            leads = os.readlink(name, dir_fd=theirs)
            os.symlink(leads, name, dir_fd=ours)
            mark = mark_of(mode, content_mark(os.fsencode(leads)))
        elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            os.mknod(name, stat.S_IFMT(mode) | 0o600, dir_fd=ours)
            mark = mark_of(mode, b"")
        else:
            return None
        return Known(signature_of(os.stat(name, dir_fd=ours, follow_symlinks=False)), mark)

    def _copy_file(self, name: str, known: Known | None, theirs: int, ours: int) -> Known | None:
        source = os.open(name, FILE_FLAGS, dir_fd=theirs)
        try:
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                return None  # it has just become something else
            mode = 0o755 if found.st_mode & stat.S_IXUSR else 0o644
            copy = os.open(name, _NEW_FLAGS, 0o600, dir_fd=ours)
            try:
                digest = self._fill(copy, source, found.st_size)
                if digest is None and known is not None and known.signature == signature_of(os.fstat(source)):
                    mark = known.mark  # it rested since it was read, and so the clone is what was read
                else:
                    mark = mark_of(found.st_mode, digest or _digest(name, ours))
                os.fchmod(copy, mode)
                os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
                return Known(signature_of(os.fstat(copy)), mark)
            finally:
                os.close(copy)
        finally:
            os.close(source)

    def _fill(self, copy: int, source: int, size: int) -> bytes | None:
        """The digest of what was copied, at most `size` bytes; None for a clone, which has all of it."""
        if self._clones:
            try:
                fcntl.ioctl(copy, _FICLONE, source)
                return None
            except OSError as error:
                if error.errno not in _NO_CLONES:
                    raise
                self._clones = False
        digest = blake2b(digest_size=DIGEST_BYTES)
        left = size
        while left > 0 and (piece := os.read(source, min(left, _PIECE_BYTES))):
            digest.update(piece)
            left -= len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(copy, view) :]
            if len(piece) == _PIECE_BYTES:
                trio.from_thread.check_cancelled()
        return digest.digest()


def _is_same(held: Known, now: Known) -> bool:
    """Whether an earlier copy is what a copy would be. One that was just written is read anyway, and copied."""
    return held.mark == now.mark and len(now.signature) > _MTIME and held.signature[_MTIME] == now.signature[_MTIME]


def _link(name: str, earlier: int, ours: int) -> bool:
    try:
        os.link(name, name, src_dir_fd=earlier, dst_dir_fd=ours, follow_symlinks=False)
    except OSError:  # a file system has a limit of links
        return False
    return True


def _digest(name: str, folder: int) -> bytes:
    digest = blake2b(digest_size=DIGEST_BYTES)
    file = os.open(name, FILE_FLAGS, dir_fd=folder)
    try:
        while piece := os.read(file, _PIECE_BYTES):
            digest.update(piece)
    finally:
        os.close(file)
    return digest.digest()


def place_of(prefix: str) -> Place:
    """Of a folder by its path: "", or ending in a slash."""
    return Place(path=prefix[:-1] or ".", parts=tuple(prefix[:-1].split("/")) if prefix else ())
