"""The state of a running workflow as its events tell it: what a live view draws. Pure, and bounded in size.

Finished steps fold into the counts of their phase; kept one by one are those that run, and the latest few of the rest.
So an event costs the same in a run of ten steps and of ten thousand.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

import msgspec

from vibe_workflows.engine.events import (
    ContextShortened,
    EditsAdopted,
    EditsCollided,
    Event,
    FileEdited,
    Logged,
    ModelDown,
    ModelSlowed,
    ModelUp,
    PhaseStarted,
    RunFinished,
    RunLimits,
    RunStarted,
    ScriptRestarted,
    StepFellBack,
    StepFinished,
    StepRetried,
    StepStarted,
    TurnFinished,
    Warned,
)
from vibe_workflows.engine.model import StepStatus

from .budget_bar import Spent
from .faults import alike, error_text
from .tally import Tally

#: Finished steps of a phase that stay visible one by one, and different errors of a phase.
KEPT = 12

#: Models that are kept while they are slowed or down: more are never of use to a reader.
_MOST_MODELS = 16

#: Nothing tells that a rate limit is over: without another one for this long, a model counts as well again.
_SLOW_S = 60.0


class RunningStep(msgspec.Struct, kw_only=True):
    number: int
    label: str
    model: str
    started_at: float
    turns: int = 0
    tokens: int = 0
    microusd: int | None = 0
    tools: tuple[str, ...] = ()
    retry: str = ""  # why it is tried again, until its next turn
    retry_at: float = 0.0


class DoneStep(msgspec.Struct, kw_only=True):
    number: int
    label: str
    model: str
    status: str
    stored: bool
    tokens: int
    microusd: int | None
    duration_s: float
    error: str  # with its type
    alike: int = 1  # steps that failed so


class ModelState(msgspec.Struct):
    """A model that is slowed, or down."""

    model: str
    slowed: ModelSlowed | None = None
    down: ModelDown | None = None

    def ails(self, now: float) -> bool:
        return self.down is not None or (self.slowed is not None and now - self.slowed.at < _SLOW_S)


class PhaseState(msgspec.Struct):
    title: str
    started_at: float
    last_at: float
    over: Tally = msgspec.field(default_factory=Tally)
    tokens: int = 0  # of live steps that are over
    microusd: int | None = 0
    running: dict[int, RunningStep] = {}
    recent: deque[DoneStep] = msgspec.field(default_factory=lambda: deque(maxlen=KEPT))
    failures: dict[tuple[str, str], DoneStep] = {}  # the first of each error, the latest different ones


class _Used(msgspec.Struct):
    tokens: int = 0
    microusd: int | None = 0

    def add(self, tokens: int, microusd: int | None) -> None:
        self.tokens += tokens
        self.microusd = _add(self.microusd, microusd)


class Progress:
    """Feed it every event once, in order."""

    def __init__(self) -> None:
        self.workflow = ""
        self.run = ""
        self.model = ""
        self.offline = False
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.status = "running"
        self.limits = RunLimits()
        self.announced: tuple[str, ...] = ()  # phases
        self.waiting = 0  # calls of the script, as of the last step that began
        self.phases: dict[str, PhaseState] = {}
        self.over = Tally()
        self.running: dict[int, RunningStep] = {}
        self.models: dict[str, ModelState] = {}  # that are slowed or down
        self.tokens = 0  # of live steps, those under way included
        self.microusd: int | None = 0
        self._from_store = _Used()
        self._before = _Used()  # what the steps used that were live before the script started over
        self._begun = 0

    @property
    def ahead(self) -> list[str]:
        """Phases that were announced, and that nothing has come of."""
        return [title for title in self.announced if title not in self.phases]

    def spent(self, now: float) -> Spent:
        """Of the run's limits: what came from the store counts as well, with what it used once."""
        stored, before = self._from_store, self._before
        microusd = _add(self.microusd, stored.microusd)
        return Spent(
            tokens=self.tokens - before.tokens + stored.tokens,
            microusd=None if microusd is None or before.microusd is None else microusd - before.microusd,
            steps=self._begun + self.over.stored,
            seconds=now - (now if self.started_at is None else self.started_at),
            paid_microusd=self.microusd,
        )

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.workflow, self.run, self.model = event.workflow, event.run, event.model
                self.offline, self.started_at = event.offline, event.at
                self.limits, self.announced = event.limits, event.phases
            case PhaseStarted():
                self._phase(event.title, event.at)
            case StepStarted():
                self._start(event)
            case TurnFinished():
                self._turn(event)
            case StepRetried():
                step = self.running.get(event.number)
                if step is not None:
                    step.retry, step.retry_at = event.error, event.at + event.wait_s
            case StepFellBack():
                step = self.running.get(event.number)
                if step is not None:
                    step.model, step.retry = event.model, ""
            case StepFinished():
                self._finish(event)
            case RunFinished():
                self._end(event)
            case ModelSlowed():
                self._model(event.model).slowed = event
            case ModelDown():
                self._model(event.model).down = event
            case ModelUp():
                self._model(event.model).down = None
            case ScriptRestarted():
                self._start_over()
            case Logged() | Warned() | ContextShortened() | FileEdited() | EditsCollided() | EditsAdopted():
                pass
            case _:
                assert_never(event)

    def _start_over(self) -> None:
        """What was answered is answered again. What was paid stays."""
        self.phases.clear()
        self.running.clear()
        self.over = Tally()
        self._begun = self.waiting = 0
        self._from_store = _Used()
        self._before = _Used(self.tokens, self.microusd)

    def _end(self, event: RunFinished) -> None:
        """Its sums are exact, also where a step was cut off."""
        self.finished_at, self.status = event.at, event.status
        self.waiting, self._begun = 0, event.live_steps
        self.tokens, self.microusd = event.paid_tokens, event.paid_microusd
        self._before = _Used()
        self._from_store = _Used(event.tokens - event.paid_tokens, _less(event.cost_microusd, event.paid_microusd))

    def _model(self, name: str) -> ModelState:
        state = self.models.get(name)
        if state is None:
            if len(self.models) >= _MOST_MODELS:
                del self.models[next(iter(self.models))]
            state = self.models[name] = ModelState(name)
        return state

    def _phase(self, title: str, at: float) -> PhaseState:
        phase = self.phases.get(title)
        if phase is None:
            phase = self.phases[title] = PhaseState(title, at, at)
        return phase

    def _start(self, event: StepStarted) -> None:
        step = RunningStep(number=event.number, label=event.label, model=event.model, started_at=event.at)
        self._begun += 1
        self.waiting = event.waiting
        self.running[event.number] = self._phase(event.phase, event.at).running[event.number] = step

    def _turn(self, event: TurnFinished) -> None:
        step = self.running.get(event.number)
        if step is None:
            return
        used = event.input_tokens + event.output_tokens
        step.turns, step.tools, step.retry = event.turn, event.tools, ""
        step.tokens += used
        step.microusd = _add(step.microusd, event.cost_microusd)
        self.tokens += used
        self.microusd = _add(self.microusd, event.cost_microusd)

    def _finish(self, event: StepFinished) -> None:
        self.running.pop(event.number, None)
        phase = self._phase(event.phase, event.at)
        phase.last_at = event.at
        running = phase.running.pop(event.number, None)
        if event.stored:
            self._from_store.add(event.tokens, event.cost_microusd)
        else:
            phase.tokens += event.tokens
            phase.microusd = _add(phase.microusd, event.cost_microusd)
            self._settle(event, running)
        done = DoneStep(
            number=event.number,
            label=event.label,
            model=event.model,
            status=event.status,
            stored=event.stored,
            tokens=event.tokens,
            microusd=event.cost_microusd,
            duration_s=event.duration_s,
            error=error_text(event),
        )
        for over in (self.over, phase.over):
            over.add(done.status, stored=done.stored)
        if done.status in (StepStatus.FAILED, StepStatus.TIMED_OUT):
            _fold(phase.failures, done)
        else:
            phase.recent.append(done)

    def _settle(self, event: StepFinished, running: RunningStep | None) -> None:
        """A step's own figures win over the sum of its turns, which may lack one that failed."""
        self.tokens += event.tokens - (running.tokens if running else 0)
        seen = running.microusd if running else 0
        if self.microusd is None or seen is None or event.cost_microusd is None:
            self.microusd = None
        else:
            self.microusd += event.cost_microusd - seen


def _fold(failures: dict[tuple[str, str], DoneStep], done: DoneStep) -> None:
    """Count a failure with those of the same error."""
    key = (done.status, alike(done.error))
    known = failures.get(key)
    if known is not None:
        known.alike += 1
        return
    if len(failures) >= KEPT:
        del failures[next(iter(failures))]
    failures[key] = done


def _add(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def _less(total: int | None, part: int | None) -> int | None:
    return None if total is None or part is None else total - part
