"""Requests and backends for tests that talk to a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from vibe_workflows.engine.backends.litellm import LitellmBackend, LitellmSettings
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.model import Message, ModelRequest, Role

TEST_MODEL = "openai/test-model"

#: As `pytestmark`: pytest undoes the filters that the engine and litellm set for what pydantic says of litellm's types,
#: and for a coroutine that litellm leaves behind where a call is cancelled at its very beginning.
LITELLM_WARNINGS = [
    pytest.mark.filterwarnings("ignore:.*(`ReadOnly` qualifier|attribute on the instance is deprecated)"),
    pytest.mark.filterwarnings(r"ignore:coroutine '\w+\.(async|acompletion)_\w+' was never awaited:RuntimeWarning"),
]


def ask(prompt: str = "hello", **changes: Any) -> ModelRequest:
    """A request of one user message."""
    fields: dict[str, Any] = {
        "model": TEST_MODEL,
        "messages": (Message(role=Role.USER, text=prompt),),
        "max_tokens": 100,
        "timeout_s": 20.0,
    }
    return ModelRequest(**{**fields, **changes})


@asynccontextmanager
async def open_litellm(
    api_base: str | None, *, api_bases: Mapping[str, str] | None = None, now: float = 0.0
) -> AsyncIterator[LitellmBackend]:
    """A litellm backend on an island of its own, closed at the end."""
    async with open_island() as island:
        settings = LitellmSettings(api_base=api_base, api_bases=api_bases or {})
        backend = LitellmBackend(island, settings, now=lambda: now)
        try:
            yield backend
        finally:
            with trio.CancelScope(shield=True):
                await backend.aclose()
