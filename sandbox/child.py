"""What runs inside of the locked child: one script, from its start frame to its last.

Only the standard library and this package are imported here, all of it before the lock.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, NoReturn

from .advice import advice_on_result, with_advice
from .blocks import BUDGET_METHODS, Budget
from .branch_random import random_functions
from .channel import Channel, NotJson, encode
from .facades import Module, register
from .guards import allow_attributes, allow_dynamic, make_globals
from .namespace import lock_codecs
from .policy import CompiledScript, ScriptRefused, compile_script
from .primitives import ANNOTATIONS, Primitives
from .script_errors import ERRORS, READABLE, ScriptFault, error_text, misuse
from .sites import Sites
from .spending import ScriptScopes
from .strands import called
from .trampoline import Trampoline
from .tripwire import Tripwire
from .values import STEP_RESULT_FIELDS, Args, StepResult, make_args, read_args

_MESSAGE_CHARS = 4_000
_NOTES = 20


def serve(fd: int = 3) -> NoReturn:
    """Run the script that the host sends over `fd`, tell how it ended, and end the process."""
    channel = Channel(fd)
    start = channel.receive()
    try:
        compiled = compile_script(start["source"], start["filename"])
    except ScriptRefused as refused:
        problems = [
            {"line": problem.line, "column": problem.column, "message": problem.message} for problem in refused.problems
        ]
        channel.send({"t": "refused", "problems": problems})
    else:
        _Script(channel, start, compiled).run()
    channel.flush()
    os._exit(0)


class _Script:
    """One script with all that it can reach."""

    def __init__(self, channel: Channel, start: dict[str, Any], compiled: CompiledScript) -> None:
        self._channel = channel
        self._code = compiled.code
        self._args = make_args(start["args"])
        self._tripwire = Tripwire(self._report_violation)
        self._sites = Sites(start["filename"], self._tripwire)
        limits = {unit: limit for unit, limit in start["limits"].items() if limit is not None}
        self._trampoline = Trampoline(channel, self._sites, ScriptScopes(channel, limits))
        self._never_awaited: list[tuple[str, int]] = []  # name and line of coroutines that were dropped
        self._globals = self._make_globals(start)

    def _make_globals(self, start: dict[str, Any]) -> dict[str, Any]:
        _teach_guards()
        primitives = Primitives(self._trampoline, now=start["now"], has_model=start["has_model"])
        functions = random_functions(self._trampoline, start["seed"])
        names = {**primitives.names(), "args": self._args, "random": Module("random", functions)}
        register("random", functions)
        register("vibe_workflows.script", {**ANNOTATIONS, **names})
        return make_globals({**names, "print": primitives.print}, filename=start["filename"])

    def run(self) -> None:
        """Run it to its end, and send the last frame. The tripwire stays armed: `finally` blocks may still run."""
        try:
            text = self._run()
        except MemoryError:
            self._globals.clear()
            message = "the script ran out of memory; hold less at once"
            last: dict[str, Any] = {"t": "error", "type": "MemoryError", "message": message}
        except Exception as error:  # noqa: BLE001 - whatever the script raised
            last = self._error_frame(error)
        else:
            self._channel.send_text(f'{{"t":"done","value":{text}}}')
            return
        self._channel.send(last)

    def _run(self) -> str:
        self._prepare_interpreter()
        self._channel.send({"t": "started"})
        self._channel.flush()
        # Made before the tripwire is armed: making a function is an event that it ends the process for.
        module_body = FunctionType(self._code, self._globals)
        self._tripwire.armed = True
        module_body()
        value = self._trampoline.run(called(self._main()))
        try:
            text = encode(value, "the result")
        except NotJson as error:
            raise TypeError(f"{error}; {advice_on_result(str(error))}") from None
        del value
        self._check_nothing_left_behind()
        return text

    def _main(self) -> Callable[[], Any]:
        main = self._globals.get("main")
        if type(main) is not FunctionType:
            raise misuse("the workflow has no body: write `async def main(args): ...`, or top-level code")
        positional, _, takes_all = self._sites.parameters(main)
        return partial(main, self._args) if positional or takes_all else main

    def _check_nothing_left_behind(self) -> None:
        """Raise where work was made and never done: the result is not what its author thinks."""
        for work in self._trampoline.forgotten:
            line, column = work.site
            forgotten = f"the {work.name} of line {line} was never started: `await` it, or hand it to parallel()"
            raise _NeverDone(forgotten, line, column)
        # What the script still holds ends here, so that a coroutine in a global is noticed, too.
        self._globals.clear()
        for name, line in self._never_awaited:
            dropped = f"{name}() of line {line} was never awaited: write `await {name}(...)`, or hand it to parallel()"
            if not self._trampoline.saw_error:
                raise _NeverDone(dropped, line, 0)
            # It may be the error that kept the script from awaiting it, so it does not fail the run.
            fields = {"level": "warning"}
            self._channel.send({"t": "log", "scope": 0, "line": line, "message": dropped, "fields": fields})

    # ------------------------------------------------------------ the interpreter around the script

    def _prepare_interpreter(self) -> None:
        lock_codecs()
        warnings.simplefilter("ignore")
        # The interpreter calls this for a coroutine that is dropped and was never awaited.
        warnings._warn_unawaited_coroutine = self._note_never_awaited  # type: ignore[attr-defined]
        sys.set_coroutine_origin_tracking_depth(1)
        sys.unraisablehook = lambda _: None
        self._tripwire.install()

    def _note_never_awaited(self, coroutine: Any) -> None:
        if not self._trampoline.excused and len(self._never_awaited) < _NOTES:
            origin = coroutine.cr_origin
            self._never_awaited.append((coroutine.__name__, origin[0][1] if origin else 0))

    def _report_violation(self, event: str) -> None:
        self._channel.send({"t": "violation", "event": event})
        self._channel.flush()

    # ------------------------------------------------------------ errors

    def _error_frame(self, error: Exception) -> dict[str, Any]:
        message = error_text(error, _MESSAGE_CHARS)
        frame: dict[str, Any] = {"t": "error", "type": type(error).__name__, "trace": self._sites.trace(error)}
        if isinstance(error, ScriptFault):
            if error.fault is not None:
                frame["fault"] = error.fault
        elif isinstance(error, _NeverDone):
            frame["type"] = "SetupError"
            frame["trace"] = [{"line": error.line, "col": error.column, "name": "main"}]
            frame["fault"] = misuse(message).fault
        else:
            message = with_advice(error, message)
        frame["message"] = message
        return frame


class _NeverDone(Exception):
    """Work was made and never done; the script did not fail by itself."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def _teach_guards() -> None:
    """What a script may read of the values that it gets from here."""
    for error in ERRORS.values():
        allow_attributes(error, READABLE)
    allow_attributes(StepResult, STEP_RESULT_FIELDS)
    allow_attributes(Budget, BUDGET_METHODS)
    allow_dynamic(Args, read_args)
