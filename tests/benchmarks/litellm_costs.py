"""What litellm itself takes of the CPU per streamed call, reported beside our own cost and never hidden in it.

The loopback server's share is in it: it runs in a thread of this process, and takes about a tenth.
"""

from __future__ import annotations

import os
import time

import trio

from tests.support.model_server import ModelServer
from vibe_workflows.engine.backends.litellm import LitellmBackend, LitellmSettings
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.model import Message, ModelRequest, Role

_CALLS = 200


def cpu_ms_per_call() -> float:
    os.environ.setdefault("OPENAI_API_KEY", "sk-bench")
    with ModelServer() as server:
        return trio.run(_measure, server.url) * 1000


async def _measure(url: str) -> float:
    async with open_island() as island:
        backend = LitellmBackend(island, LitellmSettings(api_base=url))
        request = ModelRequest(
            model="openai/bench", messages=(Message(role=Role.USER, text="x" * 200),), max_tokens=100, timeout_s=60
        )
        await backend.complete(request)  # imports litellm
        before = time.process_time()
        async with trio.open_nursery() as nursery:
            for _ in range(_CALLS):
                nursery.start_soon(backend.complete, request)
        used = time.process_time() - before
        await backend.aclose()
    return used / _CALLS
