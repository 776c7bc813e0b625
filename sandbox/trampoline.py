"""The scheduler of a script: strict first in, first out, so that the order of its calls is the same in every run.

Nothing can be awaited but steps and fan-outs, so there is no clock, no lock and no poll: the script runs until nothing
in it can go on, the host is told, and the next answer is read.
"""

from __future__ import annotations

from collections import deque
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .channel import Channel
from .handover import HandOver
from .script_errors import from_fault, misuse
from .sites import Sites
from .spending import Scope, ScriptScopes
from .steps import Step, Work
from .strands import Strand, called, is_awaitable, run_claimed, wait_for
from .values import StepResult

if TYPE_CHECKING:
    from random import Random

    from .blocks import PhaseBlock
    from .fanout import FanOut

#: Calls on the wire at once; more wait here. The host ends a script that has 20,000 of them open.
OPEN_CALLS = 16_000
_CLEANUPS = 100


class Task:
    """One strand of the script: its body, or one branch of a fan-out."""

    __slots__ = (
        "coroutine",
        "ended",
        "fan_out",
        "fan_outs",
        "index",
        "pending_phase",
        "random",
        "scope",
        "started",
        "trampoline",
        "unstarted",
        "waiting",
    )

    def __init__(
        self, trampoline: Trampoline, scope: Scope, coroutine: Strand | None, fan_out: FanOut | None, index: int
    ) -> None:
        self.trampoline = trampoline
        self.scope = scope
        self.coroutine = coroutine
        self.fan_out = fan_out  # whose branch this is; None for the body
        self.index = index
        self.started = False
        self.ended = False
        self.waiting: Work | None = None
        self.unstarted: dict[Work, None] = {}  # made here and neither awaited nor handed over
        self.pending_phase: PhaseBlock | None = None
        self.fan_outs = 0
        self.random: Random | None = None

    @property
    def path(self) -> str:
        """The place of this strand in the tree of fan-outs, the same in every run."""
        return "" if self.fan_out is None else f"{self.fan_out.path}.{self.index}"


class Trampoline:
    def __init__(self, channel: Channel, sites: Sites, scopes: ScriptScopes) -> None:
        self.channel = channel
        self.sites = sites
        self.scopes = scopes
        self.body = Task(self, scopes.run, None, None, 0)
        self.current = self.body
        #: Whether a coroutine that is dropped now was left behind by an error or a cancellation.
        self.excused = False
        self.saw_error = False  # the script met one, and may have gone on
        self.forgotten: list[Work] = []  # never started, by strands that ended well
        self._ready: deque[tuple[Task, Any, Exception | None]] = deque()
        self._calls: dict[int, Step] = {}
        self._backlog: deque[Step] = deque()
        self._next_call = 1
        self._hand_over = HandOver()
        self._busy = True  # something ran since the last `idle`
        self._outcome: tuple[Any, Exception | None] = (None, None)
        self._undead: list[Strand] = []  # never to be finalized: they would run on

    # ------------------------------------------------------------ the loop

    def run(self, coroutine: Strand) -> Any:
        """Run the body to its end; gives its value or raises its error."""
        self.body.coroutine = coroutine
        self.resume(self.body, None, None)
        self._run_ready()
        while not self.body.ended:
            frame = self.channel.buffered()
            if frame is None:
                if not self._calls:
                    raise RuntimeError("the script waits for something that can never happen")
                self._tell_idle()
                frame = self.channel.receive()
            self._take(frame)
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def resume(self, task: Task, value: Any, error: Exception | None) -> None:
        """Let `task` go on with a value or an error, in its turn."""
        self._ready.append((task, value, error))

    def _run_ready(self) -> None:
        ready = self._ready
        while ready:
            task, value, error = ready.popleft()
            if not task.ended:
                self._advance(task, value, error)

    def _advance(self, task: Task, value: Any, error: Exception | None) -> None:
        self.current = task
        task.waiting = None
        strand = task.coroutine
        assert strand is not None
        if not task.started:
            task.started = True
            if type(strand) is CoroutineType and not self.sites.is_fresh(strand):
                self._end(task, None, misuse("the same coroutine was used twice; call the function again per element"))
                return
        try:
            if error is None:
                wanted = strand.send(value)
            else:
                # What was made before an error may be left behind because of it.
                task.unstarted.clear()
                self.excused = self.saw_error = True
                wanted = strand.throw(error)
        except StopIteration as stop:
            self._end(task, stop.value, None)
        except Exception as raised:  # noqa: BLE001 - any error of the script is the end of its strand
            self._end(task, None, raised)
        else:
            self._wait(task, wanted)
        finally:
            self.excused = False

    def _wait(self, task: Task, wanted: object) -> None:
        if not isinstance(wanted, Work):
            error = misuse("only steps, fan-outs and your own async functions can be awaited")
            self.resume(task, None, error)
        elif task.fan_out is not None and task.fan_out.stopping is not None:
            wanted.cancel()
            self.drop(task)
        else:
            task.waiting = wanted
            try:
                wanted.begin(task)
            except Exception as error:  # noqa: BLE001 - raised where the script awaits
                task.waiting = None
                wanted.cancel()
                self.resume(task, None, error)

    def _end(self, task: Task, value: Any, error: Exception | None) -> None:
        if is_awaitable(value):
            # A function may return the step that gives its result.
            task.coroutine = wait_for(value)
            self.resume(task, None, None)
            return
        task.ended = True
        self.open_pending_phase(task)
        if error is None and task.unstarted:
            self.forgotten.extend(task.unstarted)
        if task.fan_out is None:
            self._outcome = (value, error)
            return
        if error is not None:
            self.excused = self.saw_error = True
            self.sites.release(error)
        task.fan_out.branch_ended(task.index, value, error)

    def start_branch(self, fan_out: FanOut, index: int, scope: Scope, element: Any) -> Task:
        """Begin a branch that needs a strand of its own; it runs in its turn."""
        if isinstance(element, Work):
            strand: Strand = run_claimed(element)
        elif type(element) is CoroutineType:
            strand = element
        else:
            strand = called(element)
        task = Task(self, scope, strand, fan_out, index)
        self.resume(task, None, None)
        return task

    # ------------------------------------------------------------ calls and answers

    def call(self, step: Step, scope: Scope, scope_id: int) -> None:
        """Send the call of a step that stands in `scope`."""
        step.scope = scope
        step.scope_id = scope_id
        if len(self._calls) >= OPEN_CALLS:
            self._backlog.append(step)
        else:
            self._send(step)

    def _send(self, step: Step) -> None:
        number = step.call = self._next_call
        self._next_call = number + 1
        self._calls[number] = step
        site = step.site
        self.channel.send_text(
            f'{{"t":"call","id":{number},"scope":{step.scope_id},"line":{site.line},"col":{site.column},'
            f'"m":"{step.method}","p":{step.params}}}'
        )

    def forget(self, step: Step) -> None:
        """Nobody waits for this step any more. Its scope is closed next, which cancels it with the host."""
        self._calls.pop(step.call, None)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["t"] == "answer":
            order = frame.get("order")
            if order is None:
                self._deliver(frame)
            else:
                self._hand_over.hold(order, frame)
        elif frame["t"] == "go":
            self._go(frame["calls"])

    def _go(self, looked_up: int) -> None:
        """Hand stored answers over while every call that was made has been looked up."""
        while self._next_call == looked_up + 1 and not self.body.ended:
            frame = self._hand_over.take()
            if frame is None:
                return
            self._busy = True  # also for one whose call is gone: the host counts what was taken
            self._deliver(frame)

    def _deliver(self, frame: dict[str, Any]) -> None:
        step = self._calls.pop(frame["id"], None)
        if step is None:
            return
        self._busy = True
        while self._backlog and len(self._calls) < OPEN_CALLS:
            following = self._backlog.popleft()
            if following.owner is not None:
                self._send(following)
        self.scopes.charge(
            step.scope,
            tokens=frame.get("tokens", 0),
            microusd=frame.get("microusd", 0),
            steps=frame.get("steps", 1),
            clock_s=frame.get("seconds", 0.0),
        )
        fault = frame.get("fault")
        value = frame.get("ok")
        error = None
        if fault is not None:
            error = from_fault(fault, f"{step.method}#{step.call}")
        elif step.detail:
            value = StepResult(**frame["ok"])
        owner = step.owner
        if isinstance(owner, Task):
            self.resume(owner, value, error)
        elif owner is not None:
            owner.branch_ended(step.index, value, error)
        self._run_ready()

    def _tell_idle(self) -> None:
        if self._busy:
            self._busy = False
            self.channel.send_text(f'{{"t":"idle","taken":{self._hand_over.taken}}}')
        self.channel.flush()

    # ------------------------------------------------------------ phases and cancellation

    def scope_of(self, task: Task) -> Scope:
        """The innermost scope in force for a task."""
        if task.pending_phase is not None:
            self.open_pending_phase(task)
        return task.scope

    def open_pending_phase(self, task: Task) -> None:
        phase, task.pending_phase = task.pending_phase, None
        if phase is not None:
            phase.open_plain(task)

    def drop(self, task: Task) -> None:
        """End a branch whose fan-out starts nothing more."""
        self.cancel(task)
        assert task.fan_out is not None
        task.fan_out.branch_dropped(task.index)

    def cancel(self, task: Task) -> None:
        """End a task where it waits. Its `finally` blocks run, and may not wait for anything."""
        task.ended = True
        waiting, task.waiting = task.waiting, None
        if waiting is not None:
            waiting.cancel()
        if task.coroutine is not None:
            self.close(task.coroutine, task)
            task.coroutine = None

    def close(self, strand: Strand, task: Task) -> None:
        """Close a coroutine on behalf of `task`; one that goes on waiting is put aside for good."""
        current, self.current = self.current, task
        excused, self.excused = self.excused, True
        try:
            for _ in range(_CLEANUPS):
                try:
                    strand.close()
                except RuntimeError:
                    continue  # it awaits something in `finally`, or raised this itself and is closed now
                except Exception:  # noqa: BLE001, S110 - an error on the way out of a cancelled branch has no reader
                    pass
                return
            self._undead.append(strand)
        finally:
            self.current = current
            self.excused = excused
