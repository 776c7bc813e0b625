"""What a person says that a model costs, where no list knows it or the list is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .model import Usage


class ModelPrice(NamedTuple):
    """Dollars per million tokens, which are micro-dollars per token. `cached` and `cache_write` are input, too."""

    input: float
    output: float
    cached: float
    cache_write: float

    @property
    def dearest_input(self) -> float:
        """The bound of a token that is sent: which of them a cache will hold is known only after the call."""
        return max(self.input, self.cached, self.cache_write)

    def cost_microusd(self, usage: Usage) -> int:
        """The cost of what was used, each kind of token at its price; thinking is output."""
        plain = max(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, 0)
        return round(
            plain * self.input
            + usage.cached_tokens * self.cached
            + usage.cache_write_tokens * self.cache_write
            + usage.output_tokens * self.output
        )
