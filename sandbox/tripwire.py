"""The audit hook of a child: while the script runs, the interpreter does nothing that only an escape would need."""

from __future__ import annotations

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
        self.paused = _Pause(self)
        self._report = report

    def install(self) -> None:
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _args: tuple[object, ...]) -> None:
        if not self.armed or event in _HARMLESS:
            return
        if event in _DENIED:
            raise RuntimeError(f"{event} is not available in workflow scripts")
        self.armed = False
        try:
            self._report(event)
        finally:
            os._exit(_VIOLATION_EXIT)


class _Pause:
    """No script code may run inside, and no second pause."""

    __slots__ = ("_armed", "_tripwire")

    def __init__(self, tripwire: Tripwire) -> None:
        self._tripwire = tripwire
        self._armed = False

    def __enter__(self) -> None:
        self._armed = self._tripwire.armed
        self._tripwire.armed = False

    def __exit__(self, *_: object) -> None:
        self._tripwire.armed = self._armed
