"""Plays a script against the store alone: agents are named, not asked, and it ends where only they could lead on.

A Rehearsal stands between the script's process and its session. That all is answered that can be is told by a count: it
gives every answer and error in the recorded order, as stored answers are, and the child says how many of them it took.
Read-only tools do run: they cost nothing, and lead on. So do steps whose files cannot be had: they fail as they begin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio
from msgspec.structs import replace

from .answers import FIRST
from .errors import StepFault
from .executors.local import LocalExecutor
from .live_step import LiveStep
from .model import JSON, FilePart, StepKind
from .ports import AnswerSink, Executor, LimitsShape, ScriptCalls

#: A tool takes its time.
_LAST = 2**53


class Rehearsal:
    """Implements `ScriptCalls` and `AnswerSink` in front of a session, and its `Executor`.

    `over` is called once nothing but the steps in `live` could let the script go on. `look` looks at attached files.
    """

    def __init__(
        self, over: Callable[[], None], look: Callable[[Sequence[str]], Awaitable[tuple[FilePart, ...]]]
    ) -> None:
        self.live: dict[int, LiveStep] = {}  # by call, in the order in which they would begin
        self.files: dict[int, tuple[FilePart, ...]] = {}  # of those of them that have some
        self.tools = 0  # that ran
        self._over = over
        self._look = look
        self._calls: ScriptCalls | None = None
        self._sink: AnswerSink | None = None
        self._local: Executor[LiveStep] | None = None
        self._run: Callable[[LiveStep], Awaitable[None]] | None = None  # in the session
        self._running: set[int] = set()  # tools, and looks at files
        self._resting = False  # the script waits for those that run
        self._last_call = 0
        self._sent = 0  # answers and errors, stored ones among them ...
        self._stored = 0
        self._taken = 0  # ... and how many the child has handed to the script

    def serving(self, session: ScriptCalls) -> Rehearsal:
        """This, in front of `session`, whose executor and whose `at_rest` it is."""
        self._calls = session
        return self

    # ------------------------------------------------------------ the executor

    def executor(
        self, nursery: trio.Nursery, capacity: int, run: Callable[[LiveStep], Awaitable[None]]
    ) -> Executor[LiveStep]:
        self._run = run
        self._local = LocalExecutor(nursery, capacity, self._work)
        return self

    def submit(self, number: int, item: LiveStep) -> None:
        if item.spec.kind is StepKind.TOOL and all(tool.observes for tool in item.tools):
            self.tools += 1
        else:
            self.live[number] = item
            if not item.spec.files:
                return
        self._running.add(number)
        self._executor.submit(number, item)

    def cancel(self, number: int) -> None:
        self.live.pop(number, None)
        self._running.discard(number)
        self._executor.cancel(number)

    async def _work(self, item: LiveStep) -> None:
        assert self._run is not None
        if item.spec.kind is StepKind.TOOL:
            await self._run(item)
            return
        try:
            self.files[item.number] = await self._look(item.spec.files)
        except StepFault as error:
            self.live.pop(item.number, None)
            await self._run(replace(item, refused=error))
            return
        self._running.discard(item.number)
        if self._resting:
            self._resting = False
            self.at_rest()

    def at_rest(self) -> None:
        """All calls so far were looked up, and what has no stored answer was submitted."""
        if self._taken < self._sent:
            self._to_child.go(self._last_call)
        elif self._running:
            self._resting = True
        else:
            self._over()

    # ------------------------------------------------------------ what the script asks

    def started(self, sink: AnswerSink) -> None:
        self._sink = sink
        self._session.started(self)

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None:
        self._last_call = call
        self._session.call(call, scope, line, column, method, params)

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: LimitsShape | None,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None:
        self._session.open(scope, parent, kind, branches, limits, title, model, line)

    def close(self, scope: int) -> None:
        self._session.close(scope)

    def cancel_call(self, call: int) -> None:
        self._session.cancel_call(call)

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, JSON]) -> None:
        self._session.log(scope, line, message, fields)

    def idle(self, taken: int) -> None:
        self._taken = taken
        waiting = self._sent - taken
        self._session.idle(self._stored - waiting)  # to the session, all that was given is stored

    # ------------------------------------------------------------ what it is told

    def answer(self, call: int, value: bytes, *, order: int | None, tokens: int, microusd: int, seconds: float) -> None:
        rank = _LAST if order is None else order
        self._to_child.answer(call, value, order=rank, tokens=tokens, microusd=microusd, seconds=seconds)
        self._stored += order is not None
        self._told(call)

    def fault(
        self,
        call: int,
        fault_type: str,
        message: str,
        kind: str,
        fields: Mapping[str, JSON],
        *,
        tokens: int,
        microusd: int,
        steps: int,
        seconds: float,
        order: int | None = None,
    ) -> None:
        self._to_child.fault(
            call,
            fault_type,
            message,
            kind,
            fields,
            tokens=tokens,
            microusd=microusd,
            steps=steps,
            seconds=seconds,
            order=FIRST if order is None else order,
        )
        self._stored += order is not None
        self._told(call)

    def go(self, calls: int) -> None:
        self._to_child.go(calls)

    def _told(self, call: int) -> None:
        self._sent += 1
        self._running.discard(call)
        if self._resting:
            self._resting = False
            self._to_child.go(self._last_call)

    # ------------------------------------------------------------ set before the script runs

    @property
    def _session(self) -> ScriptCalls:
        assert self._calls is not None
        return self._calls

    @property
    def _to_child(self) -> AnswerSink:
        assert self._sink is not None
        return self._sink

    @property
    def _executor(self) -> Executor[LiveStep]:
        assert self._local is not None
        return self._local
