"""A person's own prices, before a call and after it, whatever the backend knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from trio.testing import trio_test

from tests.support.model_calls import ask
from vibe_workflows.engine.backends.priced import PricedBackend
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.model import FinishReason, ModelInfo, ModelReply, Usage
from vibe_workflows.engine.prices import ModelPrice

PRICES = {"a/mine": ModelPrice(input=2, output=8, cached=0.5, cache_write=2.5)}
USAGE = Usage(input_tokens=100, output_tokens=10, cached_tokens=60, cache_write_tokens=20, reasoning_tokens=5)
SILENT = ModelReply(text="", finish=FinishReason.STOP, usage=None)


@trio_test
async def test_only_the_named_models_cost_what_was_said_and_all_else_stays_as_it_was() -> None:
    reply = ModelReply(text="x", finish=FinishReason.STOP, usage=USAGE)
    info = ModelInfo(input_price=None, output_price=7, max_output_tokens=5, native_schema=True)
    backend = PricedBackend(ScriptedBackend(lambda _: reply, info=info), PRICES)
    priced = await backend.info("a/mine")
    assert (priced.input_price, priced.output_price) == (2.5, 8), "the dearest kind of input bounds a call"
    assert (priced.max_output_tokens, priced.native_schema) == (5, True)
    assert await backend.info("a/other") == info
    mine, other = await backend.complete(ask(model="a/mine")), await backend.complete(ask(model="a/other"))
    assert other == reply
    assert mine.usage is not None
    assert mine.usage.cost_microusd == 20 * 2 + 60 * 0.5 + 20 * 2.5 + 10 * 8
    assert mine.usage.input_tokens == 100


@trio_test
async def test_a_silent_provider_stays_silent() -> None:
    backend = PricedBackend(ScriptedBackend(lambda _: SILENT), PRICES)
    assert (await backend.complete(ask(model="a/mine"))) == SILENT


tokens = st.integers(0, 10**9)
prices = st.floats(0, 1e6)


@given(tokens, tokens, tokens, tokens, prices, prices, prices, prices)
def test_a_cost_is_never_above_the_bound_that_was_reserved_for_the_same_tokens(
    sent: int, cached: int, written: int, output: int, plain: float, out: float, hit: float, write: float
) -> None:
    price = ModelPrice(input=plain, output=out, cached=hit, cache_write=write)
    total = sent + cached + written
    usage = Usage(input_tokens=total, output_tokens=output, cached_tokens=cached, cache_write_tokens=written)
    bound = total * price.dearest_input + output * out
    assert 0 <= price.cost_microusd(usage) <= round(bound) + bound * 1e-9 + 1
