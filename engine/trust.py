"""What this user trusts: project config files, workflows and profiles, by path and content.

Kept in the user's state folder. A changed file is untrusted again. A state folder that cannot be read trusts nothing,
which is the safe side.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigError

_FORMAT = 1
_MAX_BYTES = 4 * 1024 * 1024


class TrustKind(StrEnum):
    CONFIG = "config"  # a project's vibe.yaml: all of its keys count
    WORKFLOW = "workflow"  # a project's workflow that hides a user's or a built-in one: it runs by that name
    PROFILE = "profile"  # a project's profile that hides one of the user's: it is had by that name


class Trusted(NamedTuple):
    kind: TrustKind
    path: str
    digest: str


class RestrictedKey(NamedTuple):
    name: str
    value: object
    line: int


class ConfigOffer(NamedTuple):
    """What trusting a project's config file would let count. `digest` is that of the content shown here."""

    path: Path
    digest: str
    keys: tuple[RestrictedKey, ...]


def trust_digest(content: bytes) -> str:
    """BLAKE2b-256, hex, of a file's content."""
    return blake2b(content, digest_size=32).hexdigest()


def config_offer(file: Path) -> ConfigOffer | None:
    """The keys of a project's config file that count only once it is trusted; None where there is no file.

    Raises ConfigError where the file is no valid config: it is then nothing to trust.
    """
    from .config_file import read_config_file
    from .config_keys import KEYS, SECTIONS, Reach

    read = read_config_file(file, SECTIONS)
    if read is None:
        return None
    keys = tuple(
        RestrictedKey(name=entry.name, value=entry.value, line=entry.line)
        for entry in read.entries
        if entry.value is not None and (key := KEYS.get(entry.name)) is not None and key.reach is not Reach.FREE
    )
    return ConfigOffer(path=file, digest=trust_digest(read.content), keys=keys)


class TrustStore:
    """The user's decisions, one JSON file. Reads are fresh each time; writes are atomic and exclude each other."""

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir
        self._file = state_dir / "trust.json"

    def trusts(self, kind: TrustKind, path: Path, content: bytes) -> bool:
        """Whether exactly this content at this path was trusted."""
        try:
            held = self._load()
        except ConfigError:
            return False
        return held.get((kind, _name(path))) == trust_digest(content)

    def grant(self, kind: TrustKind, path: Path, digest: str) -> None:
        """Trust a file. `digest` is that of the content which the person was shown, not of what lies there now."""
        with self._locked():
            self._save({**self._load(), (kind, _name(path)): digest})

    def revoke(self, path: Path) -> tuple[Trusted, ...]:
        """Trust no longer what lies at `path` or, where it is a folder, below it. Returns what was trusted."""
        name = _name(path)
        with self._locked():
            held = self._load()
            gone = {key: digest for key, digest in held.items() if key[1] == name or _below(key[1], name)}
            if gone:
                self._save({key: digest for key, digest in held.items() if key not in gone})
        return _listed(gone)

    def entries(self) -> tuple[Trusted, ...]:
        """All that is trusted, ordered by path. Raises ConfigError where the file is damaged."""
        return _listed(self._load())

    def _load(self) -> dict[tuple[TrustKind, str], str]:
        try:
            with self._file.open("rb") as file:
                raw = file.read(_MAX_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{self._file}: cannot be read: {error.strerror}; mend its permissions") from error
        try:
            held = json.loads(raw)
            if held["format"] > _FORMAT:
                raise ConfigError(f"{self._file}: written by a newer vibe (format {held['format']}); use that one")
            return {(TrustKind(entry["kind"]), str(entry["path"])): str(entry["digest"]) for entry in held["trusted"]}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{self._file}: damaged; move it away, and run `vibe trust` again") from error

    def _save(self, held: Mapping[tuple[TrustKind, str], str]) -> None:
        import tempfile  # it takes its milliseconds, and only `vibe trust` writes

        trusted = [{"kind": entry.kind.value, "path": entry.path, "digest": entry.digest} for entry in _listed(held)]
        text = json.dumps({"format": _FORMAT, "trusted": trusted}, indent=1) + "\n"
        with self._explained():
            handle, draft = tempfile.mkstemp(dir=self._dir, prefix=".trust-")  # mode 0600
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, self._file)
            except BaseException:
                with suppress(OSError):
                    os.unlink(draft)
                raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two `vibe trust` at once must not lose each other's entry."""
        import fcntl

        with self._explained():
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._dir / "trust.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # held for one small write
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"{self._dir}: cannot be written: {error.strerror}; trust is kept there: mend its permissions, "
                "or set XDG_STATE_HOME"
            ) from error


def _name(path: Path) -> str:
    """Links resolved, and bytes that are not UTF-8 in a form that JSON can hold."""
    return os.path.realpath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _listed(held: Mapping[tuple[TrustKind, str], str]) -> tuple[Trusted, ...]:
    return tuple(
        Trusted(kind=kind, path=path, digest=digest)
        for (kind, path), digest in sorted(held.items(), key=lambda item: (item[0][1], item[0][0]))
    )
