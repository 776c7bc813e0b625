"""Budgets: reserve before a call, settle after it, in every scope above it.

Invariant, in every scope, at every moment: paid + reserved <= limit, where paid is what the live calls of this
invocation used. Checked and booked with no await in between. Only usage above its reservation, which a provider alone
can cause, may break it: it is booked as it is, reported, and nothing more fits.

A stored step counts with its recorded usage (except in a scope that counts what is paid), so that a loop on
`remaining()` takes the same turns on a rerun; it waits for nothing and reserves nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import trio
from msgspec import Struct

from .errors import BudgetExceeded, SetupError
from .model import NO_USAGE, Reserve, Usage
from .ports import Limits
from .time_limit import Paused

NO_LIMITS = Limits()

#: Below this many output tokens a clamped call is not worth its prompt.
SMALLEST_OUTPUT = 64

_FIRST_MARGIN = 1.25
_MARGIN_SAMPLES = 32


class Scope:
    """One budget scope. Amounts are tokens, micro-dollars and steps."""

    __slots__ = (
        "counts_stored",
        "limits",
        "name",
        "opened_at",
        "parent",
        "reserved_microusd",
        "reserved_tokens",
        "spent_microusd",
        "spent_steps",
        "spent_tokens",
    )

    def __init__(
        self, name: str, limits: Limits, parent: Scope | None, *, opened_at: float, counts_stored: bool = True
    ):
        self.name = name
        self.limits = limits
        self.parent = parent
        self.opened_at = opened_at
        self.counts_stored = counts_stored
        self.spent_tokens = 0
        self.spent_microusd = 0
        self.spent_steps = 0
        self.reserved_tokens = 0
        self.reserved_microusd = 0

    def chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def busy(self) -> bool:
        """Whether calls in flight may give room back."""
        return self.reserved_tokens > 0 or self.reserved_microusd > 0

    def left_tokens(self) -> float:
        if self.limits.tokens is None:
            return math.inf
        return self.limits.tokens - self.spent_tokens - self.reserved_tokens

    def left_microusd(self) -> float:
        if self.limits.microusd is None:
            return math.inf
        return self.limits.microusd - self.spent_microusd - self.reserved_microusd


class Need(Struct, frozen=True, kw_only=True):
    """The upper bound of one model call; prices in micro-dollars per token, None where unknown.

    That of a turn of an agent CLI is its `reserve`, whatever else stands here.
    """

    prompt_tokens: int
    max_tokens: int
    input_price: float | None
    output_price: float | None
    reserve: Reserve | None = None

    def tokens(self, output: int) -> int:
        if self.reserve is not None:
            return self.reserve.tokens or 0
        return self.prompt_tokens + output

    def microusd(self, output: int) -> int:
        if self.reserve is not None:
            return self.reserve.microusd or 0
        return math.ceil(self.prompt_tokens * (self.input_price or 0) + output * (self.output_price or 0))


class Reservation:
    """What one call may use. Settle or release it exactly once."""

    __slots__ = ("_budget", "_open", "_scope", "booked", "clamped", "max_tokens", "microusd", "tokens")

    def __init__(self, budget: Budget, scope: Scope, *, tokens: int, microusd: int, max_tokens: int, clamped: bool):
        self._budget = budget
        self._scope = scope
        self._open = True
        self.booked = NO_USAGE  # what it was settled with
        self.tokens = tokens
        self.microusd = microusd
        self.max_tokens = max_tokens
        self.clamped = clamped  # by the budget: an answer cut off at max_tokens is the budget's doing

    def settle(self, usage: Usage) -> bool:
        """Book what was used. Returns whether it was more than reserved."""
        self.booked = usage
        return self._finish(usage.tokens, usage.cost_microusd or 0)

    def release(self) -> None:
        """The call was never sent, or the provider turned it away unpaid."""
        self._finish(0, 0)

    def _finish(self, tokens: int, microusd: int) -> bool:
        assert self._open, "a reservation is settled once"
        self._open = False
        for scope in self._scope.chain():
            scope.reserved_tokens -= self.tokens
            scope.reserved_microusd -= self.microusd
            scope.spent_tokens += tokens
            scope.spent_microusd += microusd
        self._budget.wake()
        return tokens > self.tokens or microusd > self.microusd


class _Waiter(Struct, eq=False):
    short: Scope  # what it waits for
    event: trio.Event


class Budget:
    """The tree of scopes of one run, and those who wait for room in it."""

    def __init__(self, run: Limits, invocation: Limits, *, clock: Callable[[], float]):
        self._clock = clock
        self._waiters: deque[_Waiter] = deque()
        started = clock()
        self.invocation = Scope("this invocation", invocation, None, opened_at=started, counts_stored=False)
        self.run = Scope("the run", run, self.invocation, opened_at=started)

    def start_over(self) -> None:
        """The script begins again: nothing is counted but what was paid, and its seconds go on."""
        before = self.run
        self.run = Scope(before.name, before.limits, self.invocation, opened_at=before.opened_at)

    def open(self, name: str, limits: Limits, parent: Scope) -> Scope:
        return Scope(name, limits, parent, opened_at=self._clock())

    def wake(self) -> None:
        for waiter in self._waiters:
            waiter.event.set()

    def check_time(self, scope: Scope) -> None:
        """Raise BudgetExceeded where a scope's seconds have passed."""
        for each in scope.chain():
            seconds = each.limits.seconds
            if seconds is not None and (passed := self._clock() - each.opened_at) >= seconds:
                raise _exceeded(each, "seconds", needed=passed, left=0, limit=seconds)

    def ends_at(self, scope: Scope) -> float:
        """When the seconds of a scope, or of one above it, have passed, on this budget's clock; infinite without."""
        return min(_ends_at(each) for each in scope.chain())

    def out_of_time(self, scope: Scope) -> BudgetExceeded:
        """The error of what was cut off at `ends_at`."""
        first = min(scope.chain(), key=_ends_at)
        limit = first.limits.seconds or 0
        return _exceeded(first, "seconds", needed=max(limit, self._clock() - first.opened_at), left=0, limit=limit)

    def start_step(self, scope: Scope) -> None:
        """Count one step in every scope. No waiting could help: a step in flight never gives its place back."""
        self.check_time(scope)
        for each in scope.chain():
            limit = each.limits.steps
            if limit is not None and each.spent_steps >= limit:
                raise _exceeded(each, "steps", needed=1, left=0, limit=limit)
        for each in scope.chain():
            each.spent_steps += 1

    def book_stored(self, scope: Scope, usage: Usage, *, steps: int = 1) -> None:
        """Count a stored step with its recorded usage. BudgetExceeded where a live one would not have fitted.

        `steps` is 0 for the finished turns of a step that is gone on with: it was counted when it began again.
        """
        microusd = usage.cost_microusd or 0
        counting = [each for each in scope.chain() if each.counts_stored]
        for each in counting:
            limits = each.limits
            if limits.steps is not None and each.spent_steps + steps > limits.steps:
                raise _exceeded(each, "steps", needed=1, left=0, limit=limits.steps)
            if limits.tokens is not None and each.spent_tokens + usage.tokens > limits.tokens:
                left = limits.tokens - each.spent_tokens
                raise _exceeded(each, "tokens", needed=usage.tokens, left=left, limit=limits.tokens)
            if limits.microusd is not None and each.spent_microusd + microusd > limits.microusd:
                left = limits.microusd - each.spent_microusd
                raise _exceeded(each, "usd", needed=microusd, left=left, limit=limits.microusd)
        for each in counting:
            each.spent_steps += steps
            each.spent_tokens += usage.tokens
            each.spent_microusd += microusd

    async def reserve(self, scope: Scope, need: Need, paused: Paused = nullcontext) -> Reservation:
        """Reserve the bound of one call in every scope; waits, `paused`, while calls in flight may give room back.

        Raises BudgetExceeded when no waiting could help, and SetupError under a dollar limit with an unknown price, or
        under a limit for which an agent CLI has no reserve.
        The output is clamped to what is left only then, and never below `SMALLEST_OUTPUT`.
        """
        if need.reserve is None:
            self._require_price(scope, need)
        else:
            self._require_reserve(scope, need.reserve)
        waiter: _Waiter | None = None
        try:
            while True:
                self.check_time(scope)
                if (hopeless := self._hopeless(scope, need)) is not None:
                    raise self._out_of_room(hopeless, need)
                short = self._queued_before(scope, waiter) or self._short(scope, need, need.max_tokens)
                if short is None:
                    return self._take(scope, need, need.max_tokens, clamped=False)
                if not short.busy:
                    assert need.reserve is None, "what is reserved as a whole fits, or is hopeless"
                    return self._take(scope, need, self._affordable(scope, need), clamped=True)
                if waiter is None:
                    waiter = _Waiter(short, trio.Event())
                    self._waiters.append(waiter)
                else:
                    waiter.short, waiter.event = short, trio.Event()
                with paused():
                    await waiter.event.wait()
        finally:
            if waiter is not None:
                self._waiters.remove(waiter)
                self.wake()  # whoever queued behind this one looks again

    def _queued_before(self, scope: Scope, waiter: _Waiter | None) -> Scope | None:
        """The scope that an earlier waiter is short of, if it is one of ours: first come, first served."""
        chain = set(scope.chain())
        for other in self._waiters:
            if other is waiter:
                return None
            if other.short in chain and other.short.busy:
                return other.short
        return None

    @staticmethod
    def _hopeless(scope: Scope, need: Need) -> Scope | None:
        """A scope too small for the smallest useful call, even if calls in flight gave back all that they hold."""
        output = min(need.max_tokens, SMALLEST_OUTPUT)
        tokens, microusd = need.tokens(output), need.microusd(output)
        for each in scope.chain():
            if each.left_tokens() + each.reserved_tokens < tokens:
                return each
            if each.left_microusd() + each.reserved_microusd < microusd:
                return each
        return None

    @staticmethod
    def _short(scope: Scope, need: Need, output: int) -> Scope | None:
        """A scope in which the call does not fit now; rather one that calls in flight may make room in."""
        tokens, microusd = need.tokens(output), need.microusd(output)
        found = None
        for each in scope.chain():
            if each.left_tokens() < tokens or each.left_microusd() < microusd:
                if each.busy:
                    return each
                found = each
        return found

    @staticmethod
    def _affordable(scope: Scope, need: Need) -> int:
        """Output tokens that fit every scope, at most the wanted ones. Some do: the call is not hopeless."""
        output: float = need.max_tokens
        for each in scope.chain():
            output = min(output, each.left_tokens() - need.prompt_tokens)
            if need.output_price:
                spare = each.left_microusd() - need.prompt_tokens * (need.input_price or 0)
                output = min(output, spare / need.output_price)
        fits = math.floor(output)
        while fits > 0 and Budget._short(scope, need, fits) is not None:
            fits -= 1  # the cost of a call is rounded up
        return fits

    def _take(self, scope: Scope, need: Need, output: int, *, clamped: bool) -> Reservation:
        tokens, microusd = need.tokens(output), need.microusd(output)
        for each in scope.chain():
            each.reserved_tokens += tokens
            each.reserved_microusd += microusd
        return Reservation(self, scope, tokens=tokens, microusd=microusd, max_tokens=output, clamped=clamped)

    @staticmethod
    def _out_of_room(short: Scope, need: Need) -> BudgetExceeded:
        smallest = min(need.max_tokens, SMALLEST_OUTPUT)
        limits = short.limits
        if limits.tokens is not None and short.left_tokens() < need.tokens(smallest):
            left = short.left_tokens()
            return _exceeded(short, "tokens", needed=need.tokens(need.max_tokens), left=left, limit=limits.tokens)
        limit = limits.microusd or 0
        return _exceeded(short, "usd", needed=need.microusd(need.max_tokens), left=short.left_microusd(), limit=limit)

    def _require_price(self, scope: Scope, need: Need) -> None:
        if need.input_price is not None and need.output_price is not None:
            return
        for each in scope.chain():
            # The invocation's own ceiling is a default that nobody asked for; it lets unpriced models pass.
            if each.limits.microusd is not None and each.counts_stored:
                raise SetupError(
                    f"{each.name} has a limit in dollars, and the price of this model is not known; "
                    "give the limit in tokens, or set the model's price under `prices:` in the user's config"
                )

    @staticmethod
    def _require_reserve(scope: Scope, reserve: Reserve) -> None:
        for each in scope.chain():
            unit, sample = "", ""
            if each.limits.tokens is not None and reserve.tokens is None:
                unit, sample = "tokens", "tokens: 200k"
            elif each.limits.microusd is not None and each.counts_stored and reserve.microusd is None:
                unit, sample = "dollars", "usd: 2.0"
            if unit:
                raise SetupError(
                    f"{each.name} has a limit in {unit}, and nobody can say before how many an agent CLI will use. Say "
                    f"in your own config what to keep for one turn of it, such as `agents: {{NAME: {{reserve: "
                    f"{{{sample}}}}}}}`, or give no such limit"
                )


def _ends_at(scope: Scope) -> float:
    return math.inf if scope.limits.seconds is None else scope.opened_at + scope.limits.seconds


def _exceeded(scope: Scope, unit: str, *, needed: float, left: float, limit: float) -> BudgetExceeded:
    if unit == "usd":
        needed, left, limit = needed / 1e6, left / 1e6, limit / 1e6
        text = f"${needed:,.4f} needed, ${max(left, 0):,.4f} left of ${limit:,.2f}"
    elif unit == "seconds":
        text = f"{needed:,.1f} s have passed of {limit:,.1f} s"
    else:
        named = unit.removesuffix("s") if needed == 1 else unit
        text = f"{needed:,.0f} {named} needed, {max(left, 0):,.0f} left of {limit:,.0f}"
    advice = "raise --max-usd" if not scope.counts_stored else "raise --budget, or narrow the work"
    return BudgetExceeded(f"{scope.name}: {text}; {advice}", scope=scope.name, unit=unit, needed=needed, left=left)


class Margins:
    """How far local counts of a prompt were off, per model; turns a count into a bound."""

    def __init__(self) -> None:
        self._ratios: dict[str, deque[float]] = {}

    def bound(self, model: str, counted: int) -> int:
        seen = self._ratios.get(model)
        margin = _FIRST_MARGIN
        if seen:
            margin = max(seen) * 1.1 if len(seen) >= 3 else max(_FIRST_MARGIN, max(seen) * 1.1)
        return math.ceil(counted * margin)

    def learn(self, model: str, counted: int, actual: int) -> None:
        if counted > 0 and actual > 0:
            self._ratios.setdefault(model, deque(maxlen=_MARGIN_SAMPLES)).append(actual / counted)
