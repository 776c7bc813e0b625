"""Where a store comes from. One that came with a repository could hold answers that a stranger chose.

So each store has a random id, and the user's state folder lists the ids of the stores that this user has made.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from msgspec import Struct

from ..errors import StoreError
from .failures import os_words
from .git_index import tracked_by_git
from .locks import folder_lock
from .whole_file import write_whole

_FILE = "stores.json"


class _Origin(Struct, frozen=True, kw_only=True):
    path: str  # where it was, for people
    trusted: bool  # by the user's own word, whoever made it


class StoreOrigins:
    """The stores that this user has made or trusted: `stores.json` in the user's state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir
        self.path = state_dir / _FILE

    def known(self, store_id: str) -> bool:
        """Raises StoreError where the list cannot be read."""
        return store_id in self._read()

    def record(self, store_id: str, path: Path, *, trusted: bool = True) -> None:
        """Add a store, for good. `trusted` is the user's word, which also covers another owner and a file in git.

        Atomic, and safe while other processes record theirs. Raises StoreError.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with folder_lock(self._folder):
                origins = self._read()
                before = origins.get(store_id)
                trusted = trusted or (before is not None and before.trusted)
                origins[store_id] = _Origin(path=str(path.absolute()), trusted=trusted)
                self._write(origins)
        except OSError as error:
            words = os_words(error, "the list of your stores must be writable")
            raise StoreError(f"{self.path}: {words}") from error

    def problem(self, store_id: str, path: Path) -> str | None:
        """Why the store at `path` must not answer steps, in words; None if it may. Raises StoreError."""
        origin = self._read().get(store_id)
        if origin is not None and origin.trusted:
            return None
        if origin is None:
            why = "was not made by you on this machine"
        elif (owner := path.stat().st_uid) != os.geteuid():
            why = f"belongs to another user (uid {owner})"
        elif tracked_by_git(path):
            why = "is tracked by git, so that others may have filled it"
        else:
            return None
        return f"store {path} {why}: it is shown, but no result is reused from it; `vibe trust` accepts it"

    def _read(self) -> dict[str, _Origin]:
        try:
            stores = json.loads(self.path.read_bytes())["stores"]
            return {
                store_id: _Origin(path=str(origin["path"]), trusted=origin["trusted"] is True)
                for store_id, origin in stores.items()
            }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; the list of your stores must be readable") from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise StoreError(
                f"{self.path}: the list of your stores is damaged ({error}); delete it, then `vibe trust` each store"
            ) from error

    def _write(self, origins: dict[str, _Origin]) -> None:
        stores = {store_id: {"path": each.path, "trusted": each.trusted} for store_id, each in origins.items()}
        write_whole(self.path, json.dumps({"stores": stores}, indent=1), mode=0o600)  # alone: the folder is locked
