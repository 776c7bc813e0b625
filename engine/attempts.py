"""The attempts of one agent step: at its model, again after errors that may pass, then at its fallbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

from .errors import AgentError, ContextTooLong, ProviderError, RateLimited, SetupError, Timeout
from .events import StepFellBack, StepRetried
from .metering import Meter
from .model import Attempt, Fault, ModelInfo, StepStatus
from .pacing import backoff_s

if TYPE_CHECKING:
    from .agents.loop import AgentOutcome
    from .live_step import LiveStep, StepServices
    from .time_limit import TimeLimit


class Answering(Protocol):
    """An AgentRun, with a gate or without one."""

    attempt: int

    def use_model(self, model: str, info: ModelInfo) -> None: ...

    async def advance(self) -> AgentOutcome: ...


class Attempts:
    """Makes them, and keeps their rows. `meter` is what calls models."""

    def __init__(self, item: LiveStep, services: StepServices, limit: TimeLimit) -> None:
        self._item = item
        self._services = services
        self.meter = Meter(services.backend, item.budget, limit, self._tell_wait)
        self.model = item.spec.model  # the one that is asked
        self._fallbacks = list(item.spec.fallbacks)  # those that are left
        self._over: list[Attempt] = []
        self._began_at: float | None = None  # of one under way

    async def answer(self, run: Answering) -> AgentOutcome:
        """Where a model failed for good, the next one goes on with the conversation."""
        while True:
            self.meter.others = len(self._fallbacks)
            try:
                return await self._at_one_model(run)
            except (RateLimited, ProviderError, Timeout, ContextTooLong) as error:
                if not await self._fall_back(run, error):
                    raise

    def rows(self, status: StepStatus, fault: Fault | None) -> list[Attempt]:
        """All of them. One that is still under way ended as its step did."""
        if self._began_at is not None:
            self._close(status, fault)
        return self._over

    async def _at_one_model(self, run: Answering) -> AgentOutcome:
        """Attempts go on where the one before stopped: its finished turns are kept."""
        failures = 0
        while True:
            run.attempt = len(self._over) + 1
            self._began_at = self._services.wall_clock()
            try:
                outcome = await run.advance()
            except AgentError as error:
                self._close(StepStatus.FAILED, error.to_fault())
                failures += 1
                if not error.retryable or failures > self._item.retries:
                    raise
                if self._fallbacks and (isinstance(error, Timeout) or self._services.backend.is_down(self.model)):
                    raise  # another model can answer now, and may need the time that is left
                wait_s = max(backoff_s(failures, self._services.jitter()), error.retry_after_s or 0)
                self._tell_retry(len(self._over), wait_s, error)
                await trio.sleep(wait_s)
            else:
                self._close(StepStatus.COMPLETED, None)
                return outcome

    async def _fall_back(self, run: Answering, error: AgentError) -> bool:
        """Whether there was a model left that may do better."""
        failed = self.model
        while self._fallbacks:
            model = self._fallbacks.pop(0)
            try:
                info = await self._services.backend.info(model)
            except SetupError as unusable:  # what failed the step is the first model's error, not this one
                self._services.journal.warn_once(f"{model} cannot be fallen back on: {unusable.message}")
                continue
            if isinstance(error, ContextTooLong) and not await self._takes_more(info):
                continue
            self.model = model
            run.use_model(model, info)
            event = StepFellBack(
                at=self._services.wall_clock(),
                number=self._item.number,
                step=self._item.id,
                failed=failed,
                model=model,
                error=error.message,
            )
            self._services.journal.events(event)
            return True
        return False

    async def _takes_more(self, other: ModelInfo) -> bool:
        """Whether another model's window is larger than that of the present one, as far as anybody knows."""
        window = (await self._services.backend.info(self.model)).max_input_tokens
        return window is None or other.max_input_tokens is None or other.max_input_tokens > window

    def _tell_wait(self, wait_s: float, error: RateLimited) -> None:
        """A call of the present attempt was turned away, and waits."""
        self._tell_retry(len(self._over) + 1, wait_s, error)

    def _tell_retry(self, attempt: int, wait_s: float, error: AgentError) -> None:
        event = StepRetried(
            at=self._services.wall_clock(),
            number=self._item.number,
            step=self._item.id,
            attempt=attempt,
            wait_s=wait_s,
            error=error.message,
        )
        self._services.journal.events(event)

    def _close(self, status: StepStatus, fault: Fault | None) -> None:
        assert self._began_at is not None, "an attempt was begun"
        attempt = Attempt(
            step_id=self._item.id,
            number=len(self._over) + 1,
            status=status,
            model=self.model,
            started_at=self._began_at,
            finished_at=self._services.wall_clock(),
            usage=self.meter.lap(),
            fault=fault,
        )
        self._over.append(attempt)
        self._began_at = None
