"""Models of every provider that litellm knows, streamed.

This module is light: litellm is imported by the first call that needs it, in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec import Struct, field

from ..errors import SetupError
from ..model import ModelInfo, ModelReply, ModelRequest
from ..nearest import nearest
from .estimate import request_tokens

if TYPE_CHECKING:
    from ..island import Island
    from .litellm_client import LitellmClient


class LitellmSettings(Struct, frozen=True, kw_only=True):
    """Where calls go, and how long a connection may be dead. Keys come from the environment, and only from there."""

    api_base: str | None = None  # of every provider that `api_bases` does not name
    api_bases: Mapping[str, str] = field(default_factory=dict)  # by provider: {"openai": "http://localhost:8000/v1"}
    connect_s: float = 20.0
    silence_s: float = 1800.0  # between two pieces of an answer; a request's own time limit is usually shorter

    def base_of(self, provider: str) -> str | None:
        return self.api_bases.get(provider, self.api_base)


class LitellmBackend:
    """Serves every model name that litellm does; calls run on the island, one HTTP request each."""

    def __init__(
        self, island: Island, settings: LitellmSettings | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._island = island
        self._settings = settings if settings is not None else LitellmSettings()
        self._now = now
        self._client: LitellmClient | None = None
        self._loading = trio.Lock()

    @property
    def name(self) -> str:
        return "litellm"

    async def info(self, model: str) -> ModelInfo:
        """Prices and limits of litellm's own list, None where it does not list the model; native schema likewise."""
        return (await self._loaded()).info(model)

    async def count_tokens(self, request: ModelRequest) -> int:
        return request_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        client = await self._loaded()
        say = _ignore if on_text is None else partial(self._island.post, on_text)
        return await self._island.run(client.complete, request, say)

    async def aclose(self) -> None:
        """Close all connections. Without it, asyncio complains of each at exit."""
        if self._client is not None:
            await self._island.run(self._client.close)

    async def _loaded(self) -> LitellmClient:
        if self._client is None:
            async with self._loading:
                if self._client is None:
                    # Not abandoned when cancelled: a thread that dies inside a C extension's import aborts the process.
                    self._client = await trio.to_thread.run_sync(_load, self._settings, self._now)
        return self._client


def _load(settings: LitellmSettings, now: Callable[[], float]) -> LitellmClient:
    from .litellm_client import LitellmClient
    from .litellm_setup import providers

    known = providers() if settings.api_bases else frozenset()
    for provider in settings.api_bases:
        if provider not in known:  # left alone, it would send prompts to the real provider
            near = nearest(provider, known)
            raise SetupError(
                f"api_bases: no provider is called `{provider}`; "
                + (f"did you mean `{near}`?" if near else "docs.litellm.ai lists them")
            )
    return LitellmClient(settings, now=now)


def _ignore(text: str) -> None:
    pass
