"""Where in the script something happens: line and column, without opening a file."""

from __future__ import annotations

import gc
import sys
from itertools import islice
from types import CodeType, CoroutineType, FrameType, TracebackType
from typing import Any, NamedTuple

from .tripwire import Tripwire

_TRACE_POINTS = 50


class Site(NamedTuple):
    line: int
    column: int  # from 1; 0 where it is unknown


NOWHERE = Site(0, 0)


class Sites:
    """Positions in one script. Reading frames is an audited event, so the tripwire is paused meanwhile."""

    def __init__(self, filename: str, tripwire: Tripwire) -> None:
        self._filename = filename
        self._paused = tripwire.paused
        self._known: dict[tuple[int, int], Site] = {}
        self._codes: dict[int, CodeType] = {}  # keeps the code objects, and so their ids, alive

    def here(self, skip: int = 2) -> Site:
        """The innermost position of the script that led to this call, not looking at the `skip` latest frames."""
        with self._paused:
            frame: FrameType | None = sys._getframe(skip)
            while frame is not None:
                code = frame.f_code
                if code.co_filename == self._filename:
                    return self._site(code, frame.f_lasti)
                frame = frame.f_back
            return NOWHERE

    def trace(self, error: BaseException) -> list[dict[str, object]]:
        """The lines of the script that an error came through, the deepest last."""
        points: list[dict[str, object]] = []
        with self._paused:
            entry: TracebackType | None = error.__traceback__
            while entry is not None:
                code = entry.tb_frame.f_code
                if code.co_filename == self._filename:
                    site = self._site(code, entry.tb_lasti)
                    points.append({"line": site.line, "col": site.column, "name": code.co_name})
                entry = entry.tb_next
        return points[-_TRACE_POINTS:]

    def release(self, error: BaseException) -> None:
        """Let go of what the frames of a caught error hold; its lines stay known."""
        frames: list[FrameType] = []
        with self._paused:
            entry = error.__traceback__
            while entry is not None:
                if _has_ended(entry.tb_frame):
                    frames.append(entry.tb_frame)
                entry = entry.tb_next
        # Clearing may run `finally` blocks of the script, so the tripwire is on again.
        for frame in frames:
            try:
                frame.clear()
            except RuntimeError:
                continue  # it runs, or waits

    def is_fresh(self, coroutine: CoroutineType[Any, Any, Any]) -> bool:
        """Whether nobody has awaited `coroutine` yet."""
        with self._paused:
            return not coroutine.cr_running and not coroutine.cr_suspended and coroutine.cr_frame is not None

    def parameters(self, code_owner: Any) -> tuple[int, int, bool]:
        """Of a Python function: positional parameters, those without a default, and whether it takes `*args`."""
        with self._paused:
            code, defaults = code_owner.__code__, code_owner.__defaults__
        return code.co_argcount, code.co_argcount - len(defaults or ()), bool(code.co_flags & _VARARGS)

    def _site(self, code: CodeType, instruction: int) -> Site:
        key = (id(code), instruction)
        site = self._known.get(key)
        if site is None:
            self._codes[id(code)] = code
            line, _, column, _ = next(islice(code.co_positions(), instruction // 2, None), (None, None, None, None))
            site = self._known[key] = Site(line or 0, 0 if column is None else column + 1)
        return site


def _has_ended(frame: FrameType) -> bool:
    """Whether clearing `frame` harms nobody: before Python 3.13 it would close a coroutine that waits.

    An error that was raised before, elsewhere, still names the frames of that time. A frame that has ended owns its
    variables and its code; until then they belong to the coroutine, or to the thread.
    """
    code = frame.f_code
    return sys.version_info >= (3, 13) or any(owned is code for owned in gc.get_referents(frame))


_VARARGS = 0x04  # CO_VARARGS
