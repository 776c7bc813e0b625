"""A person's own prices, in front of any backend: before a call for the budget, after it for its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ..model import ModelInfo, ModelReply, ModelRequest
from ..ports import ModelBackend
from ..prices import ModelPrice


class PricedBackend:
    """`backend`, but that the models of `prices` cost what is said there, whatever a list or a provider says."""

    def __init__(self, backend: ModelBackend, prices: Mapping[str, ModelPrice]) -> None:
        self._backend = backend
        self._prices = dict(prices)

    @property
    def name(self) -> str:
        return self._backend.name

    async def info(self, model: str) -> ModelInfo:
        info = await self._backend.info(model)
        price = self._prices.get(model)
        if price is None:
            return info
        return replace(info, input_price=price.dearest_input, output_price=price.output)

    async def count_tokens(self, request: ModelRequest) -> int:
        return await self._backend.count_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        reply = await self._backend.complete(request, on_text)
        price = self._prices.get(request.model)
        if price is None or reply.usage is None:
            return reply
        return replace(reply, usage=replace(reply.usage, cost_microusd=price.cost_microusd(reply.usage)))

    async def aclose(self) -> None:
        await self._backend.aclose()
