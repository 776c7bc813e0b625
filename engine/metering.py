"""The one way to a model: its circuit, its window of calls in flight, and the budget of every call.

A call passes, in this order: the circuit of its model, the warm-up of its prefix, the model's window, the budget; then
it is sent. What it holds it took in this order, and while it waits it holds nothing that others in front of it need:

* A place in the window comes before the reservation. The other way round, calls that wait for a rate limit would hold
  a budget that others could use now. With a place but without room in the budget a call waits for calls in flight,
  which hold both and wait for nobody but their provider. So there is no circle.
* A call that was turned away gives back its reservation and its place before it rests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio
from msgspec import Struct
from msgspec.structs import replace

from .budget import Budget, Margins, Need, Reservation, Scope
from .circuit import Circuit
from .errors import BudgetExceeded, ContextTooLong, ProviderError, RateLimited, SetupError, StepFault, Timeout
from .events import Event, ModelDown, ModelSlowed, ModelUp, Warned
from .model import NO_USAGE, FinishReason, ModelInfo, ModelReply, ModelRequest, Usage
from .pacing import Outcome, Patience, Window
from .ports import ModelBackend
from .time_limit import TimeLimit
from .warmup import Prefix, Prefixes

#: An error instead of an answer: nothing is billed. (A connection that broke in mid-answer was working for us.)
_UNPAID = (RateLimited, SetupError, ContextTooLong, ProviderError)
_UNPAID_BY_PROGRAMS = (RateLimited, SetupError, ContextTooLong)

#: Characters a token, for output that a provider did not count.
_CHARS_PER_TOKEN = 3.5

#: Beyond this, a provider's count is no count.
_MOST = 10**12


#: Sends one request: as `ModelBackend.complete`.
Complete: TypeAlias = Callable[[ModelRequest, Callable[[str], None]], Awaitable[ModelReply]]


class _Model(Struct, frozen=True, kw_only=True):
    """One model, as all steps of a run share it."""

    name: str
    info: ModelInfo
    window: Window
    circuit: Circuit


class MeteredBackend:
    """The one way to a model for all steps of a run. `tell` takes what a person should see."""

    def __init__(
        self,
        backend: ModelBackend,
        budget: Budget,
        margins: Margins,
        *,
        concurrency: int,
        tell: Callable[[Event], None],
        wall_clock: Callable[[], float],
        jitter: Callable[[], float],
        prefix_warmup: bool = True,
    ) -> None:
        self.backend = backend
        self.budget = budget
        self.margins = margins
        self.jitter = jitter
        self.prefixes = Prefixes() if prefix_warmup else None
        self._concurrency = concurrency
        self._tell = tell
        self._wall_clock = wall_clock
        self._models: dict[str, _Model] = {}

    async def info(self, model: str) -> ModelInfo:
        return (await self.model(model)).info

    def is_down(self, model: str) -> bool:
        """Whether calls of this model fail at once for now."""
        known = self._models.get(model)
        return known is not None and known.circuit.open

    async def model(self, name: str) -> _Model:
        model = self._models.get(name)
        if model is None:
            info = await self.backend.info(name)
            model = self._models.setdefault(name, self._new_model(name, info))
        return model

    def warn(self, message: str) -> None:
        self._tell(Warned(at=self._wall_clock(), message=message))

    def _new_model(self, name: str, info: ModelInfo) -> _Model:
        def narrowed(width: int) -> None:
            self._tell(ModelSlowed(at=self._wall_clock(), model=name, at_once=width))

        def went_down(failures: int, wait_s: float, error: str) -> None:
            self._tell(ModelDown(at=self._wall_clock(), model=name, failures=failures, wait_s=wait_s, error=error))

        def came_up() -> None:
            self._tell(ModelUp(at=self._wall_clock(), model=name))

        return _Model(
            name=name,
            info=info,
            window=Window(self._concurrency, narrowed),
            circuit=Circuit(name, went_down=went_down, came_up=came_up),
        )


class _Call(Struct, kw_only=True):
    """One request on its way."""

    model: _Model
    request: ModelRequest
    complete: Complete
    counted: int
    prefix: Prefix | None
    probe: bool = False  # passes an open circuit
    streamed: int = 0  # characters that have arrived

    def arrived(self, text: str) -> None:
        if self.prefix is not None and not self.streamed:
            self.prefix.answered()
        self.streamed += len(text)

    def lost(self) -> Usage:
        """Of a call that was sent, and that nobody knows more of."""
        reserve = self.model.info.reserve
        if reserve is None or reserve.tokens is None:
            return self.estimate(self.streamed)
        return Usage(input_tokens=reserve.tokens, cost_microusd=reserve.microusd, estimated=True)

    def estimate(self, characters: int) -> Usage:
        info = self.model.info
        output = round(characters / _CHARS_PER_TOKEN)
        known = info.input_price is not None and info.output_price is not None
        cost = self.counted * (info.input_price or 0) + output * (info.output_price or 0)
        return Usage(
            input_tokens=self.counted,
            output_tokens=output,
            cost_microusd=round(cost) if known else None,
            estimated=True,
        )


class Meter:
    """Calls models for one step, in one budget scope, and adds up what they used, failed calls included.

    One call at a time. Waits in queues do not count against `limit`. `turned_away` is told of each wait for a rate
    limit, before it.
    """

    def __init__(
        self, backend: MeteredBackend, scope: Scope, limit: TimeLimit, turned_away: Callable[[float, RateLimited], None]
    ) -> None:
        self._backend = backend
        self._scope = scope
        self._limit = limit
        self._paused = limit.paused
        self._turned_away = turned_away
        #: How many models could answer instead. They are left some time, and nothing that may be down is waited for.
        self.others = 0
        self.used = NO_USAGE
        self._lap = NO_USAGE

    def lap(self) -> Usage:
        """What was used since the last lap: one attempt's share."""
        lap, self._lap = self._lap, NO_USAGE
        return lap

    async def call(self, request: ModelRequest, complete: Complete | None = None) -> ModelReply:
        """One answer. A rate limit only delays it: RateLimited is raised where it is given up, and not to be retried.

        `complete` sends the request, where the backend does not. Raises BudgetExceeded too where an answer was cut off
        only because the budget clamped it.
        """
        backend = self._backend
        model = await backend.model(request.model)
        call = _Call(
            model=model,
            request=request,
            complete=complete or backend.backend.complete,
            counted=await backend.backend.count_tokens(request),
            prefix=backend.prefixes.of(request) if backend.prefixes is not None and not model.info.reserve else None,
        )
        patience = Patience(model.name, model.window)
        while True:
            try:
                return await self._past_circuit(call, again=patience.tried)
            except RateLimited as error:
                wait_s = patience.wait_s(error, backend.jitter())
                self._turned_away(wait_s, error)
                fixed = error.retry_after_s is not None
            await model.window.rest(wait_s, self._paused, fixed=fixed)

    # ------------------------------------------------------------ one try, from one queue to the next

    async def _past_circuit(self, call: _Call, *, again: bool) -> ModelReply:
        circuit = call.model.circuit
        if not circuit.open:
            return await self._behind_prefix(call, again=again)
        call.probe = await circuit.admit(self._paused, patient=not self.others)
        try:
            return await self._behind_prefix(call, again=again)
        finally:
            if call.probe:
                call.probe = False
                circuit.probed()

    async def _behind_prefix(self, call: _Call, *, again: bool) -> ModelReply:
        if call.prefix is None:
            return await self._in_turn(call, again=again)
        ahead = await call.prefix.enter(self._paused)
        try:
            reply = await self._in_turn(call, again=again)
            if not call.streamed:
                call.prefix.answered()
            return reply
        finally:
            if ahead:
                call.prefix.left()

    async def _in_turn(self, call: _Call, *, again: bool) -> ModelReply:
        window = call.model.window
        place = await window.enter(self._paused, again=again)
        outcome = Outcome.NEITHER
        try:
            reply = await self._within_budget(call)
            outcome = Outcome.THROUGH
            return reply
        except RateLimited:
            outcome = Outcome.TURNED_AWAY
            raise
        finally:
            window.leave(place, outcome)

    async def _within_budget(self, call: _Call) -> ModelReply:
        reservation = await self._reserve(call)
        timeout_s = min(call.request.timeout_s, self._limit.left_s() / (1 + self.others))
        request = replace(call.request, max_tokens=reservation.max_tokens, timeout_s=timeout_s)
        try:
            reply = await self._send(call, request, reservation)
        finally:
            self.used += reservation.booked
            self._lap += reservation.booked
        if reservation.clamped and reply.finish is FinishReason.LENGTH:
            raise BudgetExceeded(
                f"{self._scope.name}: the answer was cut off at {request.max_tokens:,} tokens, all that was "
                "left; raise --budget, or narrow the work",
                scope=self._scope.name,
                unit="tokens",
                needed=call.request.max_tokens,
                left=0,
            )
        return reply

    async def _reserve(self, call: _Call) -> Reservation:
        info, wanted = call.model.info, call.request.max_tokens
        need = Need(
            prompt_tokens=self._backend.margins.bound(call.model.name, call.counted),
            max_tokens=min(wanted, info.max_output_tokens or wanted),
            input_price=info.input_price,
            output_price=info.output_price,
            reserve=info.reserve,
        )
        return await self._backend.budget.reserve(self._scope, need, self._paused)

    async def _send(self, call: _Call, request: ModelRequest, reservation: Reservation) -> ModelReply:
        """One request. Its reservation is settled or released whatever happens."""
        circuit = call.model.circuit
        if circuit.open and not call.probe:  # it opened while the call waited for its turn
            reservation.release()
            raise circuit.down()
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            reservation.release()  # never sent
            raise
        call.streamed = 0
        try:
            reply = await call.complete(request, call.arrived)
        except StepFault as error:
            if isinstance(error, ProviderError | Timeout) and error.retryable:
                circuit.failed(error.message, probe=call.probe)
            else:
                circuit.answered()
            if error.used is not None:
                self._settle(call, error.used, reservation)
            elif isinstance(error, _unpaid(call)) and not call.streamed:
                reservation.release()
            else:
                reservation.settle(call.lost())
            raise
        except BaseException:  # cancelled, timed out, or our own bug: sent, so it may be billed
            reservation.settle(call.lost())
            raise
        circuit.answered()
        return self._settled(call, reply, reservation)

    def _settled(self, call: _Call, reply: ModelReply, reservation: Reservation) -> ModelReply:
        name = call.model.name
        if reply.usage is not None and _plausible(reply.usage):
            usage = reply.usage
            if call.model.info.reserve is None:
                self._backend.margins.learn(name, call.counted, usage.input_tokens)
        else:
            written = len(reply.text) + sum(len(each.arguments) for each in reply.tool_requests)
            usage = call.estimate(written)
        self._settle(call, usage, reservation)
        return replace(reply, usage=usage)

    def _settle(self, call: _Call, usage: Usage, reservation: Reservation) -> None:
        reserve = call.model.info.reserve
        bounded = reserve is None or reserve.tokens is not None or reserve.microusd is not None
        if reservation.settle(usage) and bounded:
            self._backend.warn(
                f"{call.model.name} used {usage.tokens:,} tokens where {reservation.tokens:,} were reserved: "
                "the budget is overdrawn by the difference"
            )


def _unpaid(call: _Call) -> tuple[type[StepFault], ...]:
    """The errors after which nothing is billed. A program that failed had asked its model before."""
    return _UNPAID if call.model.info.reserve is None else _UNPAID_BY_PROGRAMS


def _plausible(usage: Usage) -> bool:
    """A provider may send any number; these must fit a budget and a column."""
    counts = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.cost_microusd or 0,
    )
    return all(0 <= count <= _MOST for count in counts)
