"""The audit hook of a child: while the script runs, the interpreter does nothing that only an escape would need."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

#: What C code of the standard library tries by itself; it gets an error, and the script goes on.
_DENIED = frozenset({"import", "open", "os.listdir", "os.scandir"})
_HARMLESS = frozenset({"builtins.id", "sys.unraisablehook"})
_VIOLATION_EXIT = 86


class Tripwire:
    """Ends the process at the first forbidden event while it is `armed`. An installed hook cannot be removed.

    `with tripwire.paused:` surrounds what the sandbox itself must look at in frames and code objects.
    """

    __slots__ = ("_report", "armed", "paused")

    def __init__(self, report: Callable[[str], None]) -> None:
        self.armed = False
        self.paused = _Pause()
        self._report = report

    def install(self) -> None:
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _args: tuple[object, ...]) -> None:
        if not self.armed or self.paused.depth or event in _HARMLESS:
            return
        if event in _DENIED:
            raise RuntimeError(f"{event} is not available in workflow scripts")
        self.armed = False
        try:
            self._report(event)
        finally:
            os._exit(_VIOLATION_EXIT)


class _Pause:
    """No script code may run inside. One pause within another ends with the outer one.

    The collector is off meanwhile: it would run the `finally` blocks of generators that the script let go.
    """

    __slots__ = ("depth",)

    def __init__(self) -> None:
        self.depth = 0

    def __enter__(self) -> None:
        gc.disable()
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.depth == 0:
            gc.enable()
