"""Chooses the backend of a request by the name of its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from ..model import ModelInfo, ModelReply, ModelRequest
from ..ports import ModelBackend


class BackendRouter:
    """A backend made of backends: "offline" and "offline/x" go to `routes["offline"]`, all else to `default`."""

    def __init__(
        self,
        routes: Mapping[str, ModelBackend],
        default: ModelBackend,
        late: Mapping[str, Callable[[], ModelBackend]] | None = None,
    ) -> None:
        """`late` are routes to backends that are made when something first leads there."""
        self._routes = dict(routes)
        self._default = default
        self._late = dict(late or {})

    @property
    def name(self) -> str:
        return "router"

    def backend_of(self, model: str) -> ModelBackend:
        name = model.partition("/")[0]
        if name in self._late:
            self._routes[name] = self._late.pop(name)()
        return self._routes.get(name, self._default)

    async def info(self, model: str) -> ModelInfo:
        return await self.backend_of(model).info(model)

    async def count_tokens(self, request: ModelRequest) -> int:
        return await self.backend_of(request.model).count_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        return await self.backend_of(request.model).complete(request, on_text)

    async def aclose(self) -> None:
        """Close every backend once, also when one of them fails to close."""
        async with AsyncExitStack() as closing:
            for backend in {id(one): one for one in (self._default, *self._routes.values())}.values():
                closing.push_async_callback(backend.aclose)
