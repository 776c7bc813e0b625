"""What happens when a conversation outgrows the model's window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from tests.support.agents import Bench, asks, says, sent_at
from vibe_workflows.engine.agents.conversation import Conversation, Shortening, opening
from vibe_workflows.engine.agents.outputs import HEAD_CHARS, shortened
from vibe_workflows.engine.agents.window import ContextWindow
from vibe_workflows.engine.backends.estimate import request_tokens
from vibe_workflows.engine.errors import ContextTooLong
from vibe_workflows.engine.model import JSON, Message, ModelInfo, ModelRequest, Role, Shortened, ToolSpec, Usage
from vibe_workflows.engine.ports import ToolResult

LOOK = replace(asks(("look", "{}")), usage=None)  # the provider counts nothing, so estimates are all there is
TWO_LOOKS = replace(asks(("look", "{}"), ("look", "{}")), usage=None)


class Look:
    """A tool that says the same long text each time, with the number of the call in its first line."""

    group = "read"
    observes = True

    def __init__(self, chars: int) -> None:
        self.spec = ToolSpec(name="look", description="", parameters={})
        self.outputs: list[str] = []
        self._chars = chars

    def footprint(self, arguments: Mapping[str, JSON]) -> None:
        return None

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        self.outputs.append(f"look {len(self.outputs) + 1}\n".ljust(self._chars, "."))
        return ToolResult(text=self.outputs[-1], data=len(self.outputs))


def _run(bench: Bench) -> Any:
    return trio.run(bench.advance)


def _results(request: ModelRequest) -> list[str]:
    return [message.text for message in request.messages if message.role is Role.TOOL]


def _short(texts: list[str]) -> list[bool]:
    return [text.endswith("Call the tool again if you need them.]") for text in texts]


def test_old_outputs_are_shortened_before_a_prompt_outgrows_the_known_window() -> None:
    look = Look(3_500)  # 1,000 tokens each
    bench = Bench([LOOK] * 9 + [says("done")], tools=(look,), window=6_000)
    assert _run(bench).answer == "done"
    short = [sum(_short(_results(request))) for request in bench.seen]
    # Four fit with a margin of a quarter. The fifth makes room down to a half, so that two more fit.
    assert short == [0, 0, 0, 0, 0, 4, 4, 4, 7, 7]
    assert _short(_results(bench.seen[8])) == [True] * 7 + [False]
    assert [each.outputs for each in bench.shortened] == [4, 3]


def test_the_turn_tells_what_was_shortened_and_the_tool_calls_keep_the_whole() -> None:
    look = Look(3_500)
    bench = Bench([LOOK] * 5 + [says("done")], tools=(look,), window=6_000)
    outcome = _run(bench)
    assert outcome.last_turn.shortened == tuple(
        Shortened(message=position, text=bench.seen[5].messages[position].text) for position in (3, 5, 7, 9)
    )
    assert all(turn.shortened == () for turn in bench.turns.values())
    assert [bench.calls[number, 1].output for number in range(1, 6)] == look.outputs
    turns = [bench.turns[number] for number in range(1, 6)]
    assert sent_at(turns, outcome.last_turn) == list(bench.seen[5].messages)
    text = outcome.last_turn.shortened[0].text
    assert text.startswith("look 1\n...")
    assert f"[shortened: {3_500 - HEAD_CHARS:,} of 3,500 characters were left out" in text
    assert bench.shortened == [Shortening(outputs=4, characters=4 * (3_500 - len(text)))]


def test_what_is_shortened_once_stays_as_it_is_so_that_caches_hit_again() -> None:
    bench = Bench([LOOK] * 7 + [says("done")], tools=(Look(3_500),), window=6_000)
    _run(bench)
    assert bench.seen[6].messages[: len(bench.seen[5].messages)] == bench.seen[5].messages
    assert bench.seen[7].messages[: len(bench.seen[6].messages)] == bench.seen[6].messages


def test_a_prompt_that_the_provider_turns_away_is_sent_again_shorter_in_the_same_turn() -> None:
    bench = Bench([LOOK] * 6 + [says("done")], tools=(Look(3_500),), limit=5_000)
    outcome = _run(bench)
    assert outcome.answer == "done"
    assert (outcome.turns, outcome.last_turn.attempt) == (7, 1)
    assert len(bench.refused) == 1
    assert [request_tokens(request) > 5_000 for request in bench.seen] == [False] * 5 + [True] + [False] * 2
    assert [bool(turn.shortened) for turn in bench.turns.values()] == [False] * 5 + [True]


def test_a_window_that_was_found_out_once_is_not_run_into_again() -> None:
    bench = Bench([LOOK] * 20 + [says("done")], tools=(Look(14_000),), limit=20_000)
    assert _run(bench).answer == "done"
    assert len(bench.refused) == 1
    assert len(bench.shortened) < 8


def test_the_output_that_no_model_has_read_is_shortened_only_if_nothing_else_is_left() -> None:
    bench = Bench([LOOK, TWO_LOOKS, says("done")], tools=(Look(3_500),), limit=2_500)
    assert _run(bench).answer == "done"
    assert _short(_results(bench.seen[-1])) == [True, False, False]

    bench = Bench([LOOK, TWO_LOOKS, says("done")], tools=(Look(3_500),), limit=2_000)
    assert _run(bench).answer == "done"
    assert _short(_results(bench.seen[-1])) == [True, True, False]


def test_when_nothing_is_left_to_shorten_it_is_an_error_with_numbers_and_the_next_move() -> None:
    bench = Bench([LOOK, says("never")], tools=(Look(3_500),), limit=150)
    with pytest.raises(ContextTooLong) as raised:
        _run(bench)
    assert not raised.value.retryable
    assert len(bench.refused) == len(bench.seen) - 1 == 2  # as it was, and shortened
    message = raised.value.message
    assert message.startswith("the-host: too long; the prompt has about ")
    assert "no tool output is left to shorten: system 6, tools 1" in message
    assert "max_tokens=100 is kept for the answer" in message
    assert "Send less, lower max_tokens=, or choose a model that takes more" in message


def test_a_prompt_far_beyond_the_known_window_is_not_even_sent() -> None:
    bench = Bench([says("never")], context="x" * 35_000, window=6_000)
    with pytest.raises(
        ContextTooLong, match=r"asked-model: the prompt has about 12,\d\d\d tokens where the model takes 6,000"
    ):
        _run(bench)
    assert bench.seen == []


def test_a_prompt_that_only_an_estimate_finds_too_long_is_left_to_the_provider() -> None:
    bench = Bench([says("it did fit")], context="x" * 21_000, window=6_000)
    assert _run(bench).answer == "it did fit"


def test_the_same_conversation_is_shortened_in_the_same_way() -> None:
    benches = [Bench([LOOK] * 12 + [says("done")], tools=(Look(3_500),), window=6_000, limit=4_000) for _ in range(2)]
    for bench in benches:
        _run(bench)
    assert benches[0].seen == benches[1].seen
    assert benches[0].shortened == benches[1].shortened != []


def test_what_the_provider_counted_makes_the_estimate_exact() -> None:
    window = ContextWindow(ModelInfo(input_price=None, output_price=None, max_input_tokens=10_000), 1_000)
    assert window.room == 9_000
    assert (window.fits(7_200), window.fits(7_201)) == (True, False)
    window.counted(5_000, Usage(input_tokens=4_000))
    assert window.fits(9_000)  # 4,000, and 4,000 more with a margin of a quarter
    assert not window.fits(9_001)
    window.counted(5_000, Usage(input_tokens=9_999, estimated=True))
    window.counted(5_000, None)
    assert window.expected(4_000) == 3_200


def test_the_room_for_the_answer_is_what_the_model_can_give_and_never_more_than_half_of_the_window() -> None:
    def room(window: int | None, max_tokens: int, most: int | None = None) -> int | None:
        info = ModelInfo(input_price=None, output_price=None, max_input_tokens=window, max_output_tokens=most)
        return ContextWindow(info, max_tokens).room

    assert room(100_000, 16_000) == 84_000
    assert room(100_000, 16_000, 4_000) == 96_000
    assert room(8_000, 16_000) == 4_000
    assert room(None, 16_000) is None


def test_a_text_that_would_hardly_become_shorter_stays_whole() -> None:
    assert shortened("x" * (2 * HEAD_CHARS - 1)) is None
    text = shortened("a line\n" * 1_000)
    assert text is not None
    *_, last, note = text.splitlines()
    assert last == "a line"  # whole lines, where they are short
    assert note.startswith("[shortened: 6,406 of 7,000 characters were left out to make room.")
    assert shortened(text) is None


def test_the_makeup_of_a_prompt_adds_up_to_its_estimate() -> None:
    bench = Bench([LOOK, says("done")], tools=(Look(3_500),), context="c" * 350, system="s" * 35)
    outcome = _run(bench)
    first, last = bench.turns[1].makeup, outcome.last_turn.makeup
    assert (first.system, first.context, first.conversation) == (14, 100, 6)
    assert first.tools > 12
    assert (last.system, last.tools, last.context) == (first.system, first.tools, first.context)
    assert 1_000 < last.conversation < 1_050
    assert last.system + last.tools + last.context + last.conversation + 3 == request_tokens(bench.seen[1])


def test_shortening_takes_the_oldest_first_and_stops_where_it_was_told_to() -> None:
    talk = Conversation(opening("s", "", "p"))
    for number in range(4):
        talk.reply(Message(role=Role.ASSISTANT, text="look"), "m")
        talk.add([Message(role=Role.TOOL, text=f"{number}" * 3_500, tool_call_id="a")])
    whole = talk.tokens
    done = talk.shorten(read_to=whole - 1_000, unread_to=whole)
    assert (done.outputs, [place.message for place in talk.shortened]) == (2, [3, 5])
    assert talk.shorten(read_to=0, unread_to=talk.tokens).outputs == 1  # the last one was not read yet
    assert talk.shorten(read_to=0, unread_to=0).outputs == 1
    assert talk.shorten(read_to=0, unread_to=0) == Shortening(outputs=0, characters=0)
