"""A model call under a budget: its bound is reserved before, what it used is settled after."""

from __future__ import annotations

from collections.abc import Callable

import trio
from msgspec import Struct
from msgspec.structs import replace

from .budget import Budget, Margins, Need, Reservation, Scope
from .errors import BudgetExceeded, ContextTooLong, ProviderError, RateLimited, SetupError
from .model import NO_USAGE, FinishReason, ModelInfo, ModelReply, ModelRequest, Usage
from .ports import ModelBackend

#: Turned away before any work was done: nothing is billed.
_UNPAID = (RateLimited, SetupError, ContextTooLong)

#: Characters a token, for output that a provider did not count.
_CHARS_PER_TOKEN = 3.5

#: Beyond this, a provider's count is no count.
_MOST = 10**12


class MeteredBackend:
    """The one way to a model for all steps of a run."""

    def __init__(self, backend: ModelBackend, budget: Budget, margins: Margins, warn: Callable[[str], None]) -> None:
        self._backend = backend
        self._budget = budget
        self._margins = margins
        self._warn = warn
        self._info: dict[str, ModelInfo] = {}

    async def info(self, model: str) -> ModelInfo:
        info = self._info.get(model)
        if info is None:
            info = self._info[model] = await self._backend.info(model)
        return info

    def meter(self, scope: Scope) -> Meter:
        return Meter(self, scope)

    async def reserve(self, scope: Scope, request: ModelRequest) -> _Reserved:
        info = await self.info(request.model)
        counted = await self._backend.count_tokens(request)
        most = min(request.max_tokens, info.max_output_tokens or request.max_tokens)
        need = Need(
            prompt_tokens=self._margins.bound(request.model, counted),
            max_tokens=most,
            input_price=info.input_price,
            output_price=info.output_price,
        )
        reservation = await self._budget.reserve(scope, need)
        request = replace(request, max_tokens=reservation.max_tokens)
        return _Reserved(request=request, reservation=reservation, counted=counted, info=info)

    async def send(self, reserved: _Reserved) -> ModelReply:
        """One call. Its reservation is settled or released whatever happens."""
        streamed = 0

        def on_text(text: str) -> None:
            nonlocal streamed
            streamed += len(text)

        request, reservation = reserved.request, reserved.reservation
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            reservation.release()  # never sent
            raise
        try:
            reply = await self._backend.complete(request, on_text)
        except _UNPAID:
            reservation.release()
            raise
        except ProviderError:
            # A connection that broke in mid-answer was working for us; an error instead of an answer was not.
            if streamed:
                reservation.settle(reserved.estimate(streamed))
            else:
                reservation.release()
            raise
        except BaseException:  # cancelled, timed out, or our own bug: sent, so it may be billed
            reservation.settle(reserved.estimate(streamed))
            raise
        written = len(reply.text) + sum(len(each.arguments) for each in reply.tool_requests)
        if reply.usage is not None and _plausible(reply.usage):
            usage = reply.usage
            self._margins.learn(request.model, reserved.counted, usage.input_tokens)
        else:
            usage = reserved.estimate(written)
        if reservation.settle(usage):
            self._warn(
                f"{request.model} used {usage.tokens:,} tokens where {reservation.tokens:,} were reserved: "
                "the budget is overdrawn by the difference"
            )
        return replace(reply, usage=usage)


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


class _Reserved(Struct, frozen=True, kw_only=True):
    request: ModelRequest
    reservation: Reservation
    counted: int
    info: ModelInfo

    def estimate(self, characters: int) -> Usage:
        output = round(characters / _CHARS_PER_TOKEN)
        known = self.info.input_price is not None and self.info.output_price is not None
        cost = self.counted * (self.info.input_price or 0) + output * (self.info.output_price or 0)
        return Usage(
            input_tokens=self.counted,
            output_tokens=output,
            cost_microusd=round(cost) if known else None,
            estimated=True,
        )


class Meter:
    """Calls models for one step, in one budget scope, and adds up what they used, failed calls included."""

    def __init__(self, backend: MeteredBackend, scope: Scope) -> None:
        self._backend = backend
        self._scope = scope
        self.used = NO_USAGE
        self._lap = NO_USAGE

    def lap(self) -> Usage:
        """What was used since the last lap: one attempt's share."""
        lap, self._lap = self._lap, NO_USAGE
        return lap

    async def call(self, request: ModelRequest) -> ModelReply:
        """Raises BudgetExceeded too where an answer was cut off only because the budget clamped it."""
        reserved = await self._backend.reserve(self._scope, request)
        try:
            reply = await self._backend.send(reserved)
        finally:
            self.used += reserved.reservation.booked
            self._lap += reserved.reservation.booked
        if reserved.reservation.clamped and reply.finish is FinishReason.LENGTH:
            raise BudgetExceeded(
                f"{self._scope.name}: the answer was cut off at {reserved.request.max_tokens:,} tokens, all that was "
                "left; raise --budget, or narrow the work",
                scope=self._scope.name,
                unit="tokens",
                needed=request.max_tokens,
                left=0,
            )
        return reply
