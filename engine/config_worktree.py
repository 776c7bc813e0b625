"""Parsers of the config keys about worktrees: folders that they share with the project, and how they are set up."""

from __future__ import annotations

from collections.abc import Sequence

from .config_values import from_json, names, shown


def inner_folders(value: object, text: bool) -> tuple[str, ...]:
    """Paths from the project root, such as `.venv` or `web/node_modules`."""
    found: dict[str, None] = {}
    for name in names(value, text):
        folder = name.removesuffix("/")
        if not {"", ".", ".."}.isdisjoint(folder.split("/")) or "\0" in folder:
            raise ValueError(f"{shown(name)} is no folder in the project, such as `.venv` or `web/node_modules`")
        found[folder] = None
    return tuple(found)


def commands(value: object, text: bool) -> tuple[tuple[str, ...], ...]:
    """Each a program and its arguments; from the environment, a list of lists in JSON."""
    held = from_json(value) if text else value
    if not isinstance(held, list | tuple) or not all(map(_is_command, held)):
        raise ValueError(
            f"a list of commands is needed, each a list of texts, such as `[[npm, ci, --offline]]`, not {shown(value)}"
        )
    return tuple(tuple(argv) for argv in held)


def _is_command(argv: object) -> bool:
    return (
        isinstance(argv, Sequence)
        and not isinstance(argv, str | bytes)
        and bool(argv)
        and all(isinstance(word, str) and "\0" not in word for word in argv)
    )
