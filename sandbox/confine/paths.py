"""Questions about paths."""

from __future__ import annotations

import os


def holds(folder: str, path: str) -> bool:
    """Whether `path` is `folder`, or inside it. Both are absolute and resolved."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def between(root: str, path: str) -> list[str]:
    """The folders on the way from `root` down to `path`, neither included."""
    found = []
    parent = os.path.dirname(path)
    while parent != root:
        found.append(parent)
        parent = os.path.dirname(parent)
    return found[::-1]
