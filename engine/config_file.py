"""Reads one config file. Imported only where such a file exists. A project's may come from a stranger."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigError
from .plain_yaml import Entry, read_entries

MAX_BYTES = 64 * 1024


class ConfigFile(NamedTuple):
    """`content` is what `entries` was parsed from: a digest of it names exactly what was read."""

    path: Path
    content: bytes
    entries: tuple[Entry, ...]


def read_config_file(path: Path, sections: frozenset[str]) -> ConfigFile | None:
    """The file's entries in order; None where there is no file. Keys of `sections` are flattened to dotted names."""
    content = _read(path)
    if content is None:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    return ConfigFile(path=path, content=content, entries=read_entries(str(path), text, sections))


def _read(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before opening: a link to a pipe would block
            raise ConfigError(f"{path}: not a regular file; rename or remove it, or put a config file there")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; mend its permissions, or remove it") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1024} KB, which no config file needs to be")
    return content
