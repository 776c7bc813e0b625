"""Files and folders that a command makes for a person: nothing is replaced, and no link is written through."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vibe_workflows.engine.errors import ConfigError

_CAREFUL = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def make_folder(folder: Path) -> bool:
    """Make a folder and those above it; False where it is there. Raises ConfigError."""
    if folder.is_dir():
        return False
    with _explained(folder):
        _refuse_dead_link(folder)
        folder.mkdir(parents=True)
    return True


def make_file(path: Path, text: str) -> bool:
    """Make a file, whole or not at all; False where something of its name is there. Raises ConfigError."""
    with _explained(path):
        _refuse_dead_link(path)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL, 0o666)
        except FileExistsError:
            if path.is_dir():
                raise ConfigError(f"{path}: a folder, where a file is to be; move it away") from None
            return False
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
    return True


def add_lines(path: Path, lines: str, *, most: int) -> None:
    """Append to a file, in its own kind of line ends; it is at most `most` bytes long. Raises ConfigError."""
    with _explained(path), open(os.open(path, os.O_RDWR | os.O_APPEND | _CAREFUL), "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{path}: not a regular file; move it away")
        held = file.read(most)
        end = b"\r\n" if b"\r\n" in held else b"\n"
        before = b"" if not held else end if held.endswith(b"\n") else end * 2
        file.write(before + lines.encode().replace(b"\n", end))


def _refuse_dead_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"{path}: a link to {os.readlink(path)}, where nothing is; remove the link")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConfigError(
            f"{_named(error, path)}: in the way, since a folder is to be there; move it away, or name another folder"
        ) from error
    except NotADirectoryError as error:
        raise ConfigError(f"{path}: something on its way is no folder; move that away") from error
    except OSError as error:
        raise ConfigError(f"{_named(error, path)}: cannot be written: {error.strerror}; {_advice(error)}") from error


def _named(error: OSError, path: Path) -> str:
    return os.fspath(error.filename) if isinstance(error.filename, str | Path) else str(path)


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "mend the permissions of its folder, or choose another place"
    return "choose another place"
