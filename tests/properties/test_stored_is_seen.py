"""Invariant: the stored turns and tool calls are exactly what the provider's server saw and sent.

Whole runs against the loopback server: script, sandbox, turn loop, litellm, HTTP in two formats, and the store. The
server makes up a conversation; its log is then held against the rows.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.properties.conversations import CONVERSATIONS, MODELS, SCHEMA, Exchange, check_stored
from tests.support.behaviours import Behaviour
from tests.support.leaks import nothing_is_left as nothing_is_left
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.works import Works, open_works
from vibe_workflows.sandbox.launcher import start_zygote

pytestmark = LITELLM_WARNINGS

SETTINGS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "schema": st.sampled_from([None, SCHEMA]),
        "tools": st.sampled_from([["read"], []]),
        "max_turns": st.integers(1, 10),
        "retries": st.integers(0, 3),
        "context": st.sampled_from([None, "what all branches share"]),
    }
)


def script(options: dict[str, Any]) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
    return (
        "async def main(args):\n"
        "    try:\n"
        f"        return ['ok', await agent('work', {given})]\n"
        "    except AgentError as error:\n"
        "        return [error.kind, error.message]\n"
    )


async def converse(works: Works, server: ModelServer, behaviours: list[Behaviour], options: dict[str, Any]) -> None:
    before = len(server.requests)
    server.behave(*behaviours)
    done = await works.run(script(options))
    server.forget()
    requests = server.requests[before:]
    answers = {each.request: each for each in await server.until_answers(len(server.requests))}
    assert done.report.result is not None, done.report.error
    (stored,) = done.steps
    exchanges = [Exchange.of(request, answers[request.number]) for request in requests]
    tools = [tool.spec for tool in works.tools.select(options["tools"])]
    check_stored(stored, exchanges, tools, options["schema"])
    kind, answer = json.loads(done.report.result)
    if kind == "ok":
        assert stored.step.fault is None
        assert json.loads(stored.step.result or "") == answer
    else:
        assert stored.step.fault is not None
        assert (stored.step.fault.kind, stored.step.fault.message) == (kind, answer)


def test_what_is_stored_is_what_the_server_saw_and_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")
    clock = MockClock(rate=1.0)

    async def main(folder: Path, server: ModelServer) -> None:
        with closing(start_zygote()) as zygote:
            async with open_works(zygote, folder, server.port, clock=clock) as works:

                @given(behaviours=CONVERSATIONS, options=SETTINGS)
                def holds(behaviours: list[Behaviour], options: dict[str, Any]) -> None:
                    trio.from_thread.run(converse, works, server, behaviours, options)

                await trio.to_thread.run_sync(holds)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.joinpath("a.txt").write_text("älpha\n")
        server = stack.enter_context(ModelServer())
        trio.run(main, folder, server, clock=clock)
        server.wait_left()
        assert server.errors == []
