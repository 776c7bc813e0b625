"""`race`: branches that run side by side until one of them gives a result that will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .fanout import ABANDONED, FanOut
from .script_errors import AgentError, ScriptFault, describe, misuse
from .sites import Site
from .steps import Work
from .strands import is_awaitable

if TYPE_CHECKING:
    from .trampoline import Task

NO_WINNER = "no_winner"


class Race(FanOut):
    """The first branch whose value `until` takes wins, and the others are cancelled.

    A branch that failed has not won. What ends other fan-outs ends a race: a misuse at once, a budget that is used up
    when no branch under way has won.
    """

    __slots__ = ("_until",)

    def __init__(self, maker: Task, site: Site, elements: list[Any], *, until: Callable[[Any], Any] | None = None):
        super().__init__("race", maker, site, elements, on_error="return")
        self._until = until

    def begin(self, owner: Task) -> None:
        self.owner = owner
        if not self._elements:
            raise self._no_winner()
        super().begin(owner)

    def branch_ended(self, index: int, value: Any, error: Exception | None) -> None:
        if error is None:
            try:
                wins = self._wins(value)
            except Exception as raised:  # noqa: BLE001 - an error of the script, in what it gave as `until`
                del self._live[index]
                self._fail(raised)
                return
            if wins:
                del self._live[index]
                self._end(index, value)
                return
        super().branch_ended(index, value, error)

    def _wins(self, value: Any) -> bool:
        if self._until is None:
            return value is not None
        trampoline = self.maker.trampoline
        # What the function logs, or makes by mistake, is its caller's, whichever branch ran last.
        current, trampoline.current = trampoline.current, self._waiting_task()
        try:
            verdict = self._until(value)
            if is_awaitable(verdict):
                self._discard(verdict)
                raise misuse(
                    "race: until= is a plain function that gives True or False, such as "
                    "`lambda found: found is not None`; this one gave something to await"
                )
            return bool(verdict)
        finally:
            trampoline.current = current

    def _discard(self, work: Any) -> None:
        if isinstance(work, Work):
            work.claim(self.site)
            work.cancel()
        else:
            self.maker.trampoline.close(work, self._waiting_task())

    def _end(self, index: int, value: Any) -> None:
        """Cancel the other branches and give the value. What they were answered is no part of how it came about."""
        self.cancel()
        scopes, scope = self.maker.trampoline.scopes, self._scope
        assert scope is not None
        for other in range(len(self._results)):
            if other != index:
                scopes.close_branch(scope, other)
        self._close()
        owner = self._waiting_task()
        if self.stopping is ABANDONED:
            owner.trampoline.drop(owner)
        else:
            owner.trampoline.resume(owner, value, None)

    def _conclude(self, owner: Task) -> None:
        self._raise(self._no_winner())

    def _no_winner(self) -> ScriptFault:
        failed, count = len(self._errors), len(self._results)
        refused = count - failed
        told = [
            *([f"{failed} failed, first {describe(self._errors[min(self._errors)])}"] if failed else []),
            *([f"{refused} gave {'None' if self._until is None else 'what until= refused'}"] if refused else []),
        ]
        message = f"race (line {self.site.line}): none of {count} won: {'; '.join(told) or 'there was nothing to race'}"
        error = AgentError(message, kind=NO_WINNER)
        error.fault = {"type": "AgentError", "message": message, "kind": NO_WINNER, "fields": {}}
        return error
