"""What a run writes down: its deliveries and events, and the totals that they add up to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import StepFault
from .events import Event, Logged, PhaseStarted, StepFinished, StepStarted, Warned
from .model import NO_USAGE, Delivery, DeliveryMode, Fault, RunId, Step, StepId, StepStatus, Usage
from .ports import EventSink, Record, RunEvent, Store, StoredStep

if TYPE_CHECKING:
    from .live_step import LiveStep, StepOutcome
    from .open_calls import OpenCall

_NO_FAULT = Fault(type="", message="")


class Observers:
    """Hands events to sinks after their commit. A sink that raises is disabled, and the run goes on."""

    def __init__(self, sinks: Sequence[EventSink]) -> None:
        self._sinks = list(sinks)
        self.disabled: list[str] = []

    def show(self, events: Sequence[Event]) -> None:
        for sink in list(self._sinks):
            try:
                for event in events:
                    sink.handle(event)
            except Exception as error:  # noqa: BLE001 - an observer never stops a run
                self._sinks.remove(sink)
                self.disabled.append(f"{type(sink).__name__} was switched off after {type(error).__name__}: {error}")


class Journal:
    """Records of one run, each posted with its events in one transaction; events are shown after it."""

    def __init__(self, run_id: RunId, store: Store, observers: Observers, clock: Callable[[], float]) -> None:
        self._run_id = run_id
        self._store = store
        self._observers = observers
        self._clock = clock
        self.usage = NO_USAGE  # of everything delivered
        self.paid = NO_USAGE  # of this invocation
        self.stored_steps = 0
        self._finished: set[StepId] = set()  # live steps that are over, however they ended
        self.oldest_stored_at: float | None = None
        self._warned: set[str] = set()
        self._again: set[StepId] = set()
        self.again_paths: set[str] = set()  # adopted files on whose account steps ran again

    @property
    def live_steps(self) -> int:
        return len(self._finished)

    @property
    def again_steps(self) -> int:
        return len(self._again)

    def now(self) -> float:
        return self._clock()

    def events(self, *events: Event) -> None:
        """Post events alone; they cost no transaction of their own."""
        self.post((), events, lazy=True)

    def post(
        self,
        records: Sequence[Record],
        events: Sequence[Event],
        then: Callable[[], None] | None = None,
        *,
        lazy: bool = False,
    ) -> None:
        def committed() -> None:
            self._observers.show(events)
            if then is not None:
                then()

        rows = [RunEvent(run_id=self._run_id, event=event) for event in events]
        self._store.post([*records, *rows], committed, lazy=lazy)

    async def commit(self, records: Sequence[Record], events: Sequence[Event]) -> None:
        """Return when records and events are durable; then the events are shown."""
        await self._store.commit([*records, *(RunEvent(run_id=self._run_id, event=event) for event in events)])
        self._observers.show(events)

    # ------------------------------------------------------------ what happens in a run

    def phase(self, title: str, scope: int) -> None:
        self.events(PhaseStarted(at=self._clock(), title=title, scope=scope))

    def log(self, message: str, phase: str, fields: Mapping[str, Any]) -> None:
        if fields.get("level") == "warning":
            self.warn(message)
        else:
            self.events(Logged(at=self._clock(), message=message, phase=phase, fields=dict(fields)))

    def warn(self, message: str) -> None:
        self.events(Warned(at=self._clock(), message=message))

    def warn_once(self, message: str) -> None:
        """Warn of what many steps may meet."""
        if message not in self._warned:
            self._warned.add(message)
            self.warn(message)

    def started(self, item: LiveStep, *, waiting: int) -> None:
        self.events(
            StepStarted(
                at=self._clock(),
                number=item.number,
                step=item.id,
                label=item.label,
                phase=item.phase,
                kind=item.spec.kind.value,
                model=item.spec.model,
                waiting=waiting,
            )
        )

    def runs_again(self, step: StepId, paths: Collection[str]) -> None:
        """A live step begins that had a stored answer before these files were adopted."""
        self._again.add(step)
        self.again_paths.update(paths)

    def start_over(self) -> None:
        """The script begins again: what was delivered does not count. What was paid stays paid."""
        self.usage = NO_USAGE
        self.stored_steps = 0
        self.oldest_stored_at = None

    def stored(self, call: OpenCall, step: StoredStep, *, applied: bool = False) -> None:
        """A call was answered from the store. `applied`: the step's edits were made again."""
        if step.id not in self._finished:  # else this run worked on it, before the script started over
            self.stored_steps += 1
        self.usage += step.usage
        if self.oldest_stored_at is None or step.finished_at < self.oldest_stored_at:
            self.oldest_stored_at = step.finished_at
        now = self._clock()
        mode = DeliveryMode.APPLIED if applied else DeliveryMode.STORED
        delivery = self._delivery(call, step.id, mode, StepStatus.CACHED, now)
        event = StepFinished(
            at=now,
            number=call.number,
            step=step.id,
            label=call.request.label,
            phase=call.phase,
            status=StepStatus.CACHED.value,
            stored=True,
            model=step.model,
            tokens=step.usage.tokens,
            cost_microusd=step.usage.cost_microusd,
        )
        self.post([delivery], [event], lazy=True)

    def finished(self, call: OpenCall, outcome: StepOutcome, then: Callable[[], None]) -> None:
        """A live step is over: its answer, its last turn and its delivery are one transaction."""
        step = outcome.step
        if outcome.counted:
            self._finished.add(step.id)
        self.usage += step.usage
        self.paid += outcome.paid
        now = self._clock()
        delivery = self._delivery(call, step.id, DeliveryMode.LIVE, step.status, now)
        event = _step_finished(call, step, outcome.attempts, now)
        self.post([*outcome.records, delivery], [*outcome.events, event], then)

    def turned_away(self, call: OpenCall, error: StepFault) -> None:
        """A call that became no step: nothing was asked of anyone."""
        self.events(
            StepFinished(
                at=self._clock(),
                number=call.number,
                step="",
                label=call.request.label,
                phase=call.phase,
                status=StepStatus.FAILED.value,
                error=error.message,
                error_type=type(error).__name__,
                error_kind=error.kind,
            )
        )

    def _delivery(
        self, call: OpenCall, step: StepId, mode: DeliveryMode, status: StepStatus, delivered_at: float
    ) -> Delivery:
        return Delivery(
            run_id=self._run_id,
            number=call.number,
            step_id=step,
            mode=mode,
            status=status,
            place=call.place,
            label=call.request.label,
            phase=call.phase,
            scope=call.scope.id,
            line=call.line,
            requested_at=call.requested_at,
            delivered_at=delivered_at,
            reason=call.reason,
            grounds=call.grounds,
            model_reason=call.request.model_reason,
        )


def _step_finished(call: OpenCall, step: Step, attempts: int, now: float) -> StepFinished:
    fault = step.fault or _NO_FAULT
    return StepFinished(
        at=now,
        number=call.number,
        step=step.id,
        label=call.request.label,
        phase=call.phase,
        status=step.status.value,
        model=step.model,
        tokens=step.usage.tokens,
        cost_microusd=step.usage.cost_microusd,
        duration_s=step.finished_at - step.started_at,
        error=fault.message,
        error_type=fault.type,
        error_kind=fault.kind,
        attempts=attempts,
    )


def usage_json(usage: Usage) -> dict[str, int | bool | None]:
    """Usage as scripts (`detail=True`) and `--json` show it."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "tokens": usage.tokens,
        "cost_microusd": usage.cost_microusd,
        "estimated": usage.estimated,
    }
