"""What a job did, sorted: files that the engine makes as edits, what lies beside them, and what nobody may do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..agents.tools.secrets import refusal, write_refusal
from ..agents.tools.workspace import visible
from ..errors import ToolDenied, ToolFailed
from ..ports import FileMade
from ..ports.commands import MAX_FILES, MAX_FILES_BYTES
from .before import NEW_FILE_MODE, Before, folders_above, read_file
from .found import Found, Kind
from .left_out import LeftOut
from .rules import is_utf8


class Effects(Struct, frozen=True, kw_only=True):
    """See `ports.Worked`."""

    files: tuple[FileMade, ...]
    beside: tuple[str, ...]
    refused: tuple[str, ...]
    to_put: tuple[Found, ...]  # what `put_beside` makes, parents first
    modes: tuple[Found, ...]  # files of which it only sets the mode


def sorted_out(
    before: Before,
    top: str,
    after: Iterable[Found],
    counted: Collection[str],
    protected: Sequence[str] = (),
    left_out: LeftOut | None = None,
) -> Effects:
    """`after` are names that may be otherwise, of which contents lie below `top`; `counted` those that git shows.

    What lies at or below a path of `protected`, or is `left_out`, is refused, as secrets are. Blocking, for a thread.
    """
    sorting = _Sorting(before, top, counted, protected, left_out or LeftOut())
    for found in sorted(after, key=lambda each: each.path):
        sorting.take(found)
    return sorting.effects()


class _Sorting:
    def __init__(
        self, before: Before, top: str, counted: Collection[str], protected: Sequence[str], left_out: LeftOut
    ) -> None:
        self._before = before
        self._top = top
        self._counted = counted
        self._protected = tuple(path + "/" for path in protected)
        self._left_out = left_out
        self._bytes = 0
        self._files: list[FileMade] = []
        self._beside: set[str] = set()
        self._refused: list[str] = []
        self._gone: set[str] = set()  # folders
        self._folders: list[str] = []  # that came or went
        self._in_the_way: set[str] = set()  # files that no edit removes
        self._to_put: dict[str, Found] = {}
        self._modes: list[Found] = []

    def take(self, found: Found) -> None:
        """Those above it were taken before."""
        was = self._before.at(found.path)
        if self._is_protected(found.path):
            self._refuse(found)
        elif Kind.FOLDER in (found.kind, was.kind):
            self._take_folder(found, was)
        elif found.path not in self._counted:
            if not self._before.is_like(found, self._top):
                self._put(found)
        elif Kind.FILE in (found.kind, was.kind):
            self._take_file(found, was)
        elif not self._before.is_like(found, self._top):
            self._put_beside(found)

    def effects(self) -> Effects:
        self._keep_emptied()
        made = {*(each.path for each in self._files), *self._beside}
        filled = {folder for path in made for folder in folders_above(path)}
        alone = {folder for folder in self._folders if folder in self._counted and folder not in filled}
        return Effects(
            files=tuple(self._files),
            beside=tuple(map(visible, sorted(self._beside | alone))),
            refused=tuple(map(visible, self._refused)),
            to_put=tuple(self._to_put[path] for path in sorted(self._to_put)),
            modes=tuple(self._modes),
        )

    def _is_protected(self, path: str) -> bool:
        parts = path.split("/")
        if refusal(parts) or write_refusal(parts) or self._left_out.holds(path):
            return True
        return (path + "/").startswith(self._protected)

    def _refuse(self, found: Found) -> None:
        """A new folder once, and not what is in it."""
        if self._refused and found.path.startswith(self._refused[-1] + "/"):
            return
        if not self._before.is_like(found, self._top) and not (
            found.kind is self._before.at(found.path).kind is Kind.FOLDER
        ):
            self._refused.append(found.path)

    def _take_folder(self, found: Found, was: Found) -> None:
        if found.kind is was.kind:
            if found.mode != was.mode:
                self._put_beside(found)
            return
        self._folders.append(found.path)
        if was.kind is Kind.FOLDER:
            self._gone.add(found.path)
        if was.kind is Kind.FILE and found.path in self._counted and not self._make(found, was):
            self._in_the_way.add(found.path)
        if was.kind in (Kind.GONE, Kind.FILE) or found.kind is Kind.GONE:
            self._put(found)
        else:
            self._put_beside(found)

    def _take_file(self, found: Found, was: Found) -> None:
        """One that counts, before or after."""
        is_file = found.kind is Kind.FILE
        if was.kind is Kind.FILE and not is_file:
            if not self._make(found, was):
                self._in_the_way.add(found.path)
            if found.kind is not Kind.GONE:
                self._put_beside(found)
            return
        if is_file and was.kind is Kind.FILE and was.size == found.size and self._before.holds(found, self._top):
            if found.mode != was.mode:
                self._set_mode(found)
            return
        mode = was.mode if was.kind is Kind.FILE else NEW_FILE_MODE
        if self._make(found, was) and is_file and found.mode != mode:
            self._set_mode(found)

    def _make(self, found: Found, was: Found) -> bool:
        """Have the engine make the change of a file; or else put it beside. Whether the engine makes it."""
        made = self._made(found, was)
        if made is None:
            self._put_beside(found)
            return False
        self._bytes += _weight(made)
        self._files.append(made)
        return True

    def _made(self, found: Found, was: Found) -> FileMade | None:
        """None where it is too much, or no edit can make it."""
        path = found.path
        if was.kind not in (Kind.GONE, Kind.FILE) or not is_utf8(path) or len(self._files) >= MAX_FILES:
            return None
        if any(folder in self._in_the_way or self._is_led_away(folder) for folder in folders_above(path)):
            return None
        try:
            before = self._before.read(path) if was.kind is Kind.FILE else None
            after = read_file(self._top, path) if found.kind is Kind.FILE else None
        except (ToolFailed, ToolDenied):
            return None
        made = FileMade(path=path, before=before, after=after)
        return made if self._bytes + _weight(made) <= MAX_FILES_BYTES else None

    def _is_led_away(self, folder: str) -> bool:
        return self._before.at(folder).kind in (Kind.LINK, Kind.OTHER)

    def _set_mode(self, found: Found) -> None:
        self._beside.add(found.path)
        self._modes.append(found)

    def _put(self, found: Found) -> None:
        if found.kind is not Kind.OTHER:
            self._to_put[found.path] = found

    def _put_beside(self, found: Found) -> None:
        self._put(found)
        if found.path in self._counted:
            self._beside.add(found.path)

    def _keep_emptied(self) -> None:
        """An edit that removes the last file of a folder removes the folder; the job may have left it."""
        for made in self._files:
            if made.after is None:
                for folder in folders_above(made.path):
                    was = self._before.at(folder)
                    if was.kind is Kind.FOLDER and folder not in self._gone:
                        self._to_put.setdefault(folder, replace(was, path=folder))


def _weight(made: FileMade) -> int:
    return len(made.before or b"") + len(made.after or b"")
