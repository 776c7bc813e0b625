"""The offline model: the same answer for the same request, marked, and fitting the schema."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from trio.testing import trio_test

from tests.support.model_calls import ask
from vibe_workflows.engine.backends.offline import OfflineBackend
from vibe_workflows.engine.errors import SetupError
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, ToolSpec

TOOL = ToolSpec(name="grep", description="Search.", parameters={"type": "object"})
FINDINGS = {
    "type": "object",
    "properties": {
        "findings": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "score": {"type": "integer"},
    },
    "required": ["findings", "score"],
}


async def _answer(request: ModelRequest) -> ModelReply:
    return await OfflineBackend().complete(request)


@trio_test
async def test_a_text_is_marked_echoes_the_prompt_and_costs_nothing() -> None:
    reply = await _answer(ask("Review\n  the   code.", model="offline"))
    assert reply.text.startswith("[offline] ")
    assert reply.text.endswith(": Review the code.")
    assert reply.finish is FinishReason.STOP
    assert reply.usage is not None
    assert (reply.usage.cost_microusd, reply.usage.estimated) == (0, True)


@trio_test
async def test_a_long_prompt_is_echoed_in_part() -> None:
    assert len((await _answer(ask("word " * 10_000, model="offline"))).text) < 300


@trio_test
async def test_an_answer_depends_on_what_is_asked_and_not_on_the_limits_of_the_call() -> None:
    request = ask("a", model="offline")
    same = replace(request, timeout_s=1.0, max_tokens=9)
    others = [
        ask("b", model="offline"),
        replace(request, model="offline/other"),
        replace(request, tools=(TOOL,)),
        replace(request, temperature=0.1),
        replace(request, effort="high"),
    ]
    text = (await _answer(request)).text
    assert (await _answer(same)).text == text
    assert text not in [(await _answer(other)).text for other in others]


@trio_test
async def test_with_a_schema_the_text_is_a_fitting_value_with_marked_strings() -> None:
    value = json.loads((await _answer(ask("a", model="offline", schema=FINDINGS))).text)
    assert value["score"] == 0
    assert len(value["findings"]) == 1
    assert value["findings"][0].startswith("[offline] ")


@trio_test
async def test_tools_are_never_called_and_the_answer_never_exceeds_what_was_reserved() -> None:
    reply = await _answer(ask("a", model="offline", tools=(TOOL,), max_tokens=3))
    assert reply.tool_requests == ()
    assert reply.usage is not None
    assert reply.usage.output_tokens == 3


@trio_test
async def test_names_of_real_models_are_refused() -> None:
    for model in ("openai/gpt-5", "offlinex", ""):
        with pytest.raises(SetupError, match="offline"):
            await _answer(ask("a", model=model))
        with pytest.raises(SetupError, match="offline"):
            await OfflineBackend().info(model)
