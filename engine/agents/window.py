"""How much a model can be sent, by what is known of it: its listed window, what it counted, what it turned away.

All of it is learned in the one conversation that it is used for, so that the same conversation is shortened in the same
way whatever else the run does.
"""

from __future__ import annotations

import math

from ..model import ModelInfo, Usage

#: What an estimate is off by where the provider has counted nothing of it yet; the budget starts with the same.
_UNCOUNTED = 1.25

#: A prompt that was turned away is taken as this much too long at least, so that a few calls find what fits.
_REFUSED_SHARE = 0.75

#: An answer's room never takes more than half of the window from the prompt: a provider that does not count both
#: together would have long conversations shortened for nothing.
_PROMPT_SHARE = 0.5

#: Old outputs are shortened until a prompt takes this share of its room. Shortening costs the provider's cache from its
#: first place on, so about the share of the room that is left over is paid in full again; the next one comes when the
#: rest is filled. At a half, at most as much is paid again as was added in between.
_SHORTENED_SHARE = 0.5

#: So far beyond the window no estimate is wrong: such a prompt is not even sent.
_HOPELESS = 1.5


class ContextWindow:
    """Of one model, for requests of one step. Sizes are estimates as `estimate.py` makes them."""

    def __init__(self, info: ModelInfo, max_tokens: int) -> None:
        self._window = math.inf if info.max_input_tokens is None else float(info.max_input_tokens)
        answer = min(max_tokens, info.max_output_tokens or max_tokens)
        self._room = max(self._window - answer, self._window * _PROMPT_SHARE)
        self._estimate = self._actual = 0  # of the prompt that was counted last

    @property
    def room(self) -> int | None:
        """Tokens that a prompt may have, as far as anybody knows."""
        return None if math.isinf(self._room) else int(self._room)

    def counted(self, estimate: int, usage: Usage | None) -> None:
        """A prompt of `estimate` was answered, and this is what the provider counted."""
        if usage is not None and not usage.estimated and usage.input_tokens > 0 and estimate > 0:
            self._estimate, self._actual = estimate, usage.input_tokens

    def refused(self, estimate: int) -> None:
        """A prompt of `estimate` was turned away as too long."""
        self._room = min(self._room, self.expected(estimate) * _REFUSED_SHARE)

    def expected(self, estimate: int) -> float:
        """What the provider will count: what it counted last, and an estimate with a margin of what was added."""
        if not self._estimate:
            return estimate * _UNCOUNTED
        if estimate < self._estimate:
            return estimate * self._actual / self._estimate
        return self._actual + (estimate - self._estimate) * _UNCOUNTED

    def fits(self, estimate: int) -> bool:
        return self.expected(estimate) <= self._room

    def filled(self, estimate: int) -> float:
        """The estimate at which this prompt, shortened, just fits."""
        return self._room * estimate / self.expected(estimate)

    def relaxed(self, estimate: int) -> float:
        """The estimate at which this prompt, shortened, leaves so much room that it will not be soon again."""
        return self.filled(estimate) * _SHORTENED_SHARE

    def hopeless(self, estimate: int) -> bool:
        """Whether no error of the estimate explains it away."""
        return self.expected(estimate) > self._window * _HOPELESS
