"""What the engine asks of a model's backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..model import ModelInfo, ModelReply, ModelRequest


class ModelBackend(Protocol):
    """Talks to one family of models. Errors of a call are AgentErrors or SetupErrors with their type set here."""

    @property
    def name(self) -> str: ...

    async def info(self, model: str) -> ModelInfo:
        """What is known of `model`, without a network call. Raises SetupError where the name cannot be served."""
        ...

    async def count_tokens(self, request: ModelRequest) -> int:
        """A local estimate of the prompt with its tools; no upper bound."""
        ...

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        """One model call, one HTTP request. Cancelled, its connection is closed before this returns.

        A reply with finish LENGTH or CONTENT_FILTER is returned, not raised: the turn loop names it.
        """
        ...

    async def aclose(self) -> None: ...
