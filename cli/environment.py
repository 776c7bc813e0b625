"""What the terminal and its environment ask for. Settings of Vibe itself are read in engine/config.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from .render.near import Near


class Screen(NamedTuple):
    """How to draw on a stream."""

    terminal: bool
    redraws: bool  # lines can be drawn over: a live view makes sense
    colour: bool
    width: int | None  # columns; None where nobody looks at columns, and nothing is cut

    @property
    def columns(self) -> int:
        return self.width or 100


def screen(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Screen:
    """How to draw on `stream`, by https://no-color.org and TERM."""
    try:
        terminal = stream.isatty()
    except ValueError:  # closed
        terminal = False
    if not terminal:
        return Screen(terminal=False, redraws=False, colour=False, width=None)
    dumb = environ.get("TERM", "") in ("", "dumb")
    plain = dumb or bool(environ.get("NO_COLOR"))
    return Screen(terminal=True, redraws=not plain, colour=not plain, width=_columns(stream, environ))


def debugging(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a traceback is wanted with an error (VIBE_DEBUG=1)."""
    return environ.get("VIBE_DEBUG", "") not in ("", "0")


def near() -> Near:
    """What paths are shown in relation to."""
    from .render.near import Near

    return Near(cwd=Path.cwd(), home=Path(os.path.expanduser("~")))


def stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _columns(stream: TextIO, environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
