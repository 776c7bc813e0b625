"""What litellm itself takes of the CPU per streamed call, reported beside our own cost and never hidden in it.

One model for each way in which streams are read. The loopback server's share is in it: it runs in a thread of this
process, and takes about a tenth.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import trio

from tests.support.behaviours import Answer
from tests.support.model_server import ModelServer
from vibe_workflows.engine.backends.litellm import LitellmBackend, LitellmSettings
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.model import Message, ModelRequest, Role

_CALLS = 100
_PIECES = 300
_MODELS = {
    "OpenAI's format": "openai/bench",
    "Anthropic's format": "anthropic/claude-sonnet-4-5",
    "read by litellm": "deepseek/bench",
}


class CallCost(NamedTuple):
    """CPU of one short call, and of each further piece of an answer, in milliseconds."""

    name: str
    call_ms: float
    piece_ms: float


def call_costs() -> Iterator[CallCost]:
    for name in ("OPENAI", "ANTHROPIC", "DEEPSEEK"):
        os.environ.setdefault(f"{name}_API_KEY", "sk-bench")
    for name, model in _MODELS.items():
        short, long = (_measured(model, Answer(text="x" * pieces, piece=1)) for pieces in (1, 1 + _PIECES))
        yield CallCost(name, short * 1000, (long - short) * 1000 / _PIECES)


def _measured(model: str, answer: Answer) -> float:
    with ModelServer() as server:
        server.handler = lambda _seen: answer
        return trio.run(_measure, server.url, model)


async def _measure(url: str, model: str) -> float:
    async with open_island() as island:
        backend = LitellmBackend(island, LitellmSettings(api_base=url))
        request = ModelRequest(
            model=model, messages=(Message(role=Role.USER, text="x" * 200),), max_tokens=100, timeout_s=60
        )
        await backend.complete(request)  # imports litellm
        before = time.process_time()
        async with trio.open_nursery() as nursery:
            for _ in range(_CALLS):
                nursery.start_soon(backend.complete, request)
        used = time.process_time() - before
        await backend.aclose()
    return used / _CALLS
