"""Invariant: the recorded turns and tool calls are exactly what the model saw and said, whatever happens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import msgspec
import pytest
import trio
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.agents import USAGE, Bench, read_messages, sent_at, transcript
from tests.support.projects import Project
from vibe_workflows.engine.agents.loop import AgentOutcome
from vibe_workflows.engine.agents.prompts import SUBMIT_TOOL
from vibe_workflows.engine.backends.estimate import TOKENS_PER_REQUEST, request_tokens
from vibe_workflows.engine.errors import AgentError, ContextTooLong, ProviderError, RateLimited
from vibe_workflows.engine.model import (
    JSON,
    NO_USAGE,
    FinishReason,
    Message,
    ModelReply,
    Observation,
    Role,
    ToolRequest,
    Usage,
)

SCHEMA: JSON = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

CALLS = st.sampled_from(
    [
        ("read_file", '{"path":"a.txt"}'),
        ("read_file", '{"path":"big.txt"}'),
        ("read_file", '{"path":"none"}'),
        ("read_file", '{"path":"../out"}'),
        ("read_file", '{"path":".env"}'),
        ("list_files", ""),
        ("glob", '{"pattern":"*"}'),
        ("grep", '{"pattern":"a","limit":1}'),
        ("grep", '{"pattern":"("}'),
        ("grep", "no json"),
        ("grep", "[1]"),
        ("glob", '{"n":1}'),
        ("unknown", "{}"),
        ("", ""),
        (SUBMIT_TOOL, '{"n":1}'),
        (SUBMIT_TOOL, '{"n":"x"}'),
        (SUBMIT_TOOL, "no json"),
    ]
)
REQUESTS = st.builds(
    lambda call, name: ToolRequest(id=name, name=call[0], arguments=call[1]),
    CALLS,
    st.sampled_from(["", "a", "b", "c"]),
)
TEXTS = st.sampled_from(["", " ", "text", '{"n": 1}', '{"n": "x"}', '```json\n{"n": 2}\n```', "half \ud83d", "ä\u2028"])
THINKING = st.sampled_from(
    [(), (), ({"type": "thinking", "thinking": "hm", "signature": "s1"},), ({"n": [1, "half \ud83d"]},)]
)
REPLIES = st.builds(
    ModelReply,
    text=TEXTS,
    finish=st.sampled_from([FinishReason.TOOL_CALLS] * 12 + list(FinishReason)),
    usage=st.just(USAGE) | st.none(),
    tool_requests=(st.lists(REQUESTS, min_size=1, max_size=4) | st.lists(REQUESTS, max_size=1)).map(tuple),
    thinking=THINKING,
)
ERRORS = st.sampled_from([RateLimited("wait"), ProviderError("dropped", retryable=True), ContextTooLong("too long")])
LOOKS = st.sampled_from(["a.txt", "big.txt", "big.txt"]).map(
    lambda path: ToolRequest(id="", name="read_file", arguments=f'{{"path":"{path}"}}')
)
READS = st.builds(
    ModelReply,
    text=st.just(""),
    finish=st.just(FinishReason.TOOL_CALLS),
    usage=st.builds(Usage, input_tokens=st.integers(500, 3_000)) | st.none(),
    tool_requests=st.lists(LOOKS, min_size=1, max_size=3).map(tuple),
    thinking=THINKING,
)
CONVERSATIONS = st.lists(REPLIES | REPLIES | REPLIES | ERRORS, max_size=12) | st.tuples(
    st.lists(READS, min_size=2, max_size=8), st.lists(REPLIES | ERRORS, max_size=4)
).map(lambda parts: [*parts[0], *parts[1]])
SETTINGS = st.fixed_dictionaries(
    {
        "schema": st.sampled_from([None, SCHEMA]),
        "native": st.booleans(),
        "max_turns": st.sampled_from([12, 12, 12, 3, 2, 1]),
        "with_tools": st.sampled_from([True, True, True, False]),
        "window": st.sampled_from([None, 6_000, 3_000, 500]),
        "limit": st.sampled_from([None, 6_000, 4_000, 2_500]),
        "switches": st.lists(st.booleans(), max_size=2),  # other models, and whether they have a native schema
    }
)


#: A model with a JSON-schema mode that submits all the same: first what does not fit, then an answer.
SUBMITTED = [
    ModelReply(
        text="",
        finish=FinishReason.TOOL_CALLS,
        usage=USAGE,
        tool_requests=(ToolRequest(id="", name=SUBMIT_TOOL, arguments=arguments),),
    )
    for arguments in ('{"n":"x"}', '{"n":1}')
]
TEXT = ModelReply(text="text", finish=FinishReason.STOP, usage=USAGE, tool_requests=())


class OutOfReplies(Exception):
    pass


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.write("a.txt", "alpha\n")
        project.write("big.txt", "".join(f"line {number} of many\n" for number in range(200)))
        yield project


class Settings(TypedDict):
    schema: JSON
    native: bool
    max_turns: int
    with_tools: bool
    window: int | None
    limit: int | None
    switches: list[bool]


NATIVE = Settings(schema=SCHEMA, native=True, max_turns=12, with_tools=True, window=None, limit=None, switches=[])


def _bench(project: Project, replies: list[ModelReply | Exception], settings: Settings) -> Bench:
    return Bench(
        [*replies, OutOfReplies()],
        tools=project.tools.select(["read"]) if settings["with_tools"] else (),
        schema=settings["schema"],
        native=settings["native"],
        max_turns=settings["max_turns"],
        window=settings["window"],
        limit=settings["limit"],
    )


async def _to_the_end(
    bench: Bench, settings: Settings, scope: Callable[[], trio.CancelScope] = trio.CancelScope
) -> AgentOutcome | None:
    """Attempts until an answer, an error that neither a retry nor another model mends, or the last reply."""
    run = bench.run or await bench.start()
    switches = list(settings["switches"])
    while True:
        try:
            with scope():
                return await run.advance()
        except AgentError as error:
            bench.errors.append(error)
            if switches and not isinstance(error, RateLimited):
                run.use_model(f"model {len(switches)}", bench.info(native_schema=switches.pop()))
            elif not error.retryable:
                return None
            run.attempt += 1
        except OutOfReplies as error:
            bench.errors.append(error)
            return None


def _check(bench: Bench, outcome: AgentOutcome | None) -> None:
    turns = [bench.turns[number] for number in sorted(bench.turns)]
    if outcome is not None:
        turns.append(outcome.last_turn)
    said = [reply for reply in bench.replied if reply is not None]

    # Every reply is a turn, in order, and no turn is anything else.
    assert [turn.number for turn in turns] == list(range(1, len(said) + 1))
    assert len(turns) <= bench.max_turns
    for turn, reply in zip(turns, said, strict=True):
        message = msgspec.json.decode(turn.output, type=Message)
        assert message.role is Role.ASSISTANT
        assert message.text == reply.text.replace("\ud83d", "?")
        assert [(r.name, r.arguments) for r in message.tool_requests] == [
            (r.name, r.arguments) for r in reply.tool_requests
        ]
        assert len(message.thinking) == len(reply.thinking)
        assert turn.usage == (reply.usage or NO_USAGE)

    # What the model saw, at every call, is what the turns before tell, and what the turn itself says was added.
    made = 0
    for request, answered in zip(bench.seen, bench.replied, strict=True):
        if answered is None:
            before = transcript(turns[:made])
            assert _skeleton(request.messages[: len(before)]) == _skeleton(before)
        else:
            assert request.model == turns[made].model
            assert list(request.messages) == sent_at(turns[:made], turns[made])
            parts = turns[made].makeup
            whole = parts.system + parts.tools + parts.context + parts.conversation
            assert whole + TOKENS_PER_REQUEST == request_tokens(request)
            made += 1

    # An output is shortened once, and told of once.
    places = [place.message for turn in turns for place in turn.shortened]
    assert len(places) == len(set(places)) <= sum(each.outputs for each in bench.shortened)

    # Calls are recorded for requests as they stand in the output, and their text is what the model gets.
    for turn, following in zip(turns, [*turns, None][1:], strict=True):
        requests = msgspec.json.decode(turn.output, type=Message).tool_requests
        calls = [call for (number, _), call in sorted(bench.calls.items()) if number == turn.number]
        assert len({request.id for request in requests}) == len(requests)
        if calls:
            assert [(c.number, c.call_id, c.name, c.arguments) for c in calls] == [
                (number, request.id, request.name, request.arguments) for number, request in enumerate(requests, 1)
            ]
            if following is not None:
                results = [message for message in read_messages(following.input) if message.role is Role.TOOL]
                assert [(c.call_id, c.output) for c in calls] == [(m.tool_call_id, m.text) for m in results]
        elif following is not None:
            assert not requests or turn.outcome in ("length", "content_filter", "schema_mismatch")

    assert bench.run is not None
    assert bench.run.usage == sum((turn.usage for turn in turns), Usage())
    looks = [seen for _, call in sorted(bench.calls.items()) for seen in call.observations]
    assert _looks(bench.run.observations) == list(dict.fromkeys(_looks(looks)))  # nothing was edited
    if outcome is not None:
        assert outcome.turns == len(turns)
        assert outcome.usage == bench.run.usage
        assert outcome.observations == bench.run.observations


def _skeleton(messages: Sequence[Message]) -> list[tuple[Role, str]]:
    """What shortening and a change of models leave as it is."""
    return [(m.role, "" if m.role is Role.TOOL else m.text) for m in messages]


def _looks(seen: Iterable[Observation]) -> list[tuple[str, str, str]]:
    """What was looked at, whenever that was."""
    return [(each.tool, each.arguments, each.digest) for each in seen]


def _check_overflow(bench: Bench) -> None:
    """A refusal leads to something shorter or to an error, and an error means that nothing was left to shorten."""
    for number in bench.refused:
        request, *following = bench.seen[number : number + 2]
        if following and following[0].model == request.model:
            assert request_tokens(following[0]) < request_tokens(request)
    if bench.errors and isinstance(bench.errors[-1], ContextTooLong) and bench.seen:
        assert all(len(m.text) < 1_200 for m in bench.seen[-1].messages if m.role is Role.TOOL)


@given(replies=CONVERSATIONS, settings=SETTINGS)
def test_stored_turns_and_calls_are_what_the_model_saw_and_said(
    project: Project, replies: list[ModelReply | Exception], settings: Settings
) -> None:
    bench = _bench(project, replies, settings)
    outcome = trio.run(_to_the_end, bench, settings)
    _check(bench, outcome)
    _check_overflow(bench)

    # Each turn is recorded before its tools run, each once, and its calls before the next model call.
    last = 0
    for entry in bench.log:
        kind, _, number = entry.partition(" ")
        match kind:
            case "reply":
                last += 1
                assert int(number) == last
            case "turn" | "tools":
                assert int(number) == last
    assert len(set(bench.log) - {"raised"}) == len([entry for entry in bench.log if entry != "raised"])

    if outcome is not None and settings["schema"] is not None:
        assert isinstance(outcome.answer, dict)
        assert isinstance(outcome.answer["n"], int)
    if outcome is not None and settings["schema"] is None:
        assert str(outcome.answer).strip()


@given(replies=CONVERSATIONS, settings=SETTINGS, cuts=st.lists(st.integers(0, 5), max_size=8))
def test_a_run_cancelled_at_any_edge_goes_on_without_asking_again(
    project: Project, replies: list[ModelReply | Exception], settings: Settings, cuts: list[int]
) -> None:
    bench = _bench(project, replies, settings)
    whole = _bench(project, replies, settings)

    left = list(cuts)
    scope = trio.CancelScope()

    def fresh() -> trio.CancelScope:
        nonlocal scope
        scope = trio.CancelScope()
        return scope

    async def cut(event: str) -> None:
        if left and left.pop(0) == 0:
            scope.cancel()
        await trio.lowlevel.checkpoint()

    bench.at = cut
    outcome = trio.run(_to_the_end, bench, settings, fresh)
    _check(bench, outcome)
    expected = trio.run(_to_the_end, whole, settings)
    assert bench.seen == whole.seen
    assert bench.shortened == whole.shortened
    assert (outcome and outcome.answer) == (expected and expected.answer)
    assert sorted(bench.calls) == sorted(whole.calls)


@given(replies=CONVERSATIONS, settings=SETTINGS, at=st.integers(1, 12))
@example(replies=[SUBMITTED[1]], settings=NATIVE, at=1)
@example(replies=[SUBMITTED[0], TEXT, SUBMITTED[1]], settings=NATIVE, at=2)
def test_a_conversation_taken_up_from_its_rows_asks_what_the_uninterrupted_one_would_have_asked(
    project: Project, replies: list[ModelReply | Exception], settings: Settings, at: int
) -> None:
    """Killed when a turn (`at`, counted round) was durable, before its tools ran; the successor knows only the rows.

    What was turned away as too long is in no row: it would ask that once more.
    """
    settings = {**settings, "limit": None, "switches": []}
    replies = [reply for reply in replies if not isinstance(reply, ContextTooLong)]
    whole = _bench(project, replies, settings)
    expected = trio.run(_to_the_end, whole, settings)
    assume(whole.turns)
    at = 1 + (at - 1) % len(whole.turns)
    killed = _bench(project, replies, settings)

    async def die(event: str) -> None:
        if event == "turn" and len(killed.turns) == at:
            raise OutOfReplies

    killed.at = die
    trio.run(_to_the_end, killed, settings)
    assume(len(killed.turns) == at and killed.replied[-1] is not None)
    # With one of these the step would have failed by its model, and begun anew.
    assume(killed.turns[at].outcome not in ("length", "content_filter", "schema_mismatch"))

    successor = _bench(project, [*replies, OutOfReplies()][len(killed.seen) :], settings)

    async def go_on() -> AgentOutcome | None:
        run = await successor.start()
        looks = [seen for _, call in sorted(killed.calls.items()) if call.turn < at for seen in call.observations]
        first: dict[tuple[str, str, str], Observation] = {}
        for look, seen in zip(_looks(looks), looks, strict=True):
            first.setdefault(look, seen)
        run.go_on([killed.turns[number] for number in range(1, at + 1)], list(first.values()))
        return await _to_the_end(successor, settings)

    outcome = trio.run(go_on)
    # An error after the cut is one of the killed run, where the step would have been tried again from the same place.
    assert [each.messages for each in killed.seen + successor.seen] == [each.messages for each in whole.seen]
    assert killed.shortened + successor.shortened == whole.shortened
    assert (outcome and outcome.answer) == (expected and expected.answer)
    if outcome is not None:
        assert expected is not None
        assert (outcome.turns, outcome.usage) == (expected.turns, expected.usage)
        # A look from before the cut counts once more after it: somebody may have edited something in between.
        assert list(dict.fromkeys(_looks(outcome.observations))) == _looks(expected.observations)
    assert {**killed.turns, **successor.turns}.keys() == whole.turns.keys()
    assert {**killed.calls, **successor.calls}.keys() == whole.calls.keys()
