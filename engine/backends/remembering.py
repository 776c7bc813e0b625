"""What is known of a model, found out once in a run, however many steps want to know."""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..errors import SetupError
from ..model import ModelInfo, ModelReply, ModelRequest
from ..ports import ModelBackend


class RememberingBackend:
    """`backend`, whose `info` is asked once for each model; that a model cannot be served is remembered, too.

    So sixteen steps with a wrong name look it up once, and fail for the one reason in the same words.
    """

    def __init__(self, backend: ModelBackend) -> None:
        self._backend = backend
        self._known: dict[str, ModelInfo | SetupError] = {}
        self._looking = trio.Lock()

    @property
    def name(self) -> str:
        return self._backend.name

    async def info(self, model: str) -> ModelInfo:
        known = self._known.get(model)
        if known is None:
            async with self._looking:
                known = self._known.get(model) or await self._look_up(model)
        if isinstance(known, SetupError):
            raise type(known)(known.message) from known  # one of its own for each step: a raised error grows
        return known

    async def _look_up(self, model: str) -> ModelInfo | SetupError:
        try:
            known: ModelInfo | SetupError = await self._backend.info(model)
        except SetupError as error:
            known = error
        self._known[model] = known
        return known

    async def count_tokens(self, request: ModelRequest) -> int:
        return await self._backend.count_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        return await self._backend.complete(request, on_text)

    async def aclose(self) -> None:
        await self._backend.aclose()
