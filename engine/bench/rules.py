"""What git ignores of a tree that is no folder of the disk, such as one in layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..agents.tools.walk import MAX_IGNORE_BYTES
from ..agents.tools.workspace import as_text
from ..errors import ToolDenied, ToolFailed
from ..ports import Checker
from ..tree.rules import Rules, ignored_paths
from .before import folders_above
from .copying import RULES


async def ignored_of(checker: Checker, read: Callable[[str], bytes | None], paths: Sequence[str]) -> set[str]:
    """Which of `paths` git ignores; those of folders end in a slash. `read` gives the file at a path, or None.

    What cannot be told is not ignored: a name that is no UTF-8, and all where the rules take too long.
    """
    asked = [path for path in paths if is_utf8(path)]
    folders = {folder for path in asked for folder in ("", *folders_above(path.rstrip("/")))}
    decided = await ignored_paths(checker, [(Rules(texts=_texts(read, folders)), asked)])
    return {path for path, ignored in decided.items() if ignored}


def is_utf8(path: str) -> bool:
    return path.isascii() or path.encode("utf-8", "replace").decode() == path


def _texts(read: Callable[[str], bytes | None], folders: Iterable[str]) -> dict[str, str]:
    """By folder as rules are asked for: "" or ending in a slash."""
    texts: dict[str, str] = {}
    for folder in folders:
        prefix = folder and folder + "/"
        try:
            data = read(prefix + RULES)
        except (ToolFailed, ToolDenied):
            continue
        if data is not None and len(data) <= MAX_IGNORE_BYTES:
            texts[prefix] = as_text(data) or ""
    return texts
