"""The scheduler of the child: order, answers, fan-outs by the thousand, cancellation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.script_child import ForkServer, answer, fault, fork_server


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def prompts(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["p"]["prompt"] for frame in frames if frame["t"] == "call"]


THREE_BRANCHES = """
async def branch(name):
    first = await agent(name + "1")
    seen.append(first)
    await agent(name + "2 after " + ",".join(seen))

seen = []
async def main(args):
    await parallel(branch(name) for name in "abc")
    return seen
"""


def test_calls_go_out_in_script_order_and_the_child_tells_when_it_is_quiet(child: ForkServer) -> None:
    script = child.script(THREE_BRANCHES)
    frames = script.until_quiet()
    assert [frame["t"] for frame in frames] == ["started", "open", "call", "call", "call", "idle"]
    assert prompts(frames) == ["a1", "b1", "c1"]
    assert [frame["id"] for frame in frames if frame["t"] == "call"] == [1, 2, 3]
    assert [frame["scope"] for frame in frames if frame["t"] == "call"] == [2, 3, 4]


def test_live_answers_are_handed_over_as_they_arrive_each_until_the_script_is_quiet(child: ForkServer) -> None:
    script = child.script(THREE_BRANCHES)
    script.until_quiet()
    script.send(answer(3, "C"), answer(1, "A"), answer(2, "B"))
    assert prompts(script.until_quiet()) == ["c2 after C", "a2 after C,A", "b2 after C,A,B"]


def test_stored_answers_wait_for_go(child: ForkServer) -> None:
    script = child.script('await agent("x")\nlog("answered")\nawait agent("y")')
    script.until_quiet()
    script.send(answer(1, "stored", order=7))
    script.send({"t": "answer", "id": 99, "ok": 0})  # of no call: ignored
    script.send({"t": "go", "calls": 1})
    assert [frame["t"] for frame in script.until_quiet()] == ["log", "call", "idle"]


def test_stored_answers_come_in_their_recorded_order_and_new_calls_are_looked_up_before_the_next(
    child: ForkServer,
) -> None:
    script = child.script(THREE_BRANCHES)
    script.until_quiet()
    script.send(answer(1, "A", order=30), answer(2, "B", order=10), answer(3, "C", order=20), {"t": "go", "calls": 3})
    frames = script.until_quiet()
    assert prompts(frames) == ["b2 after B"]
    assert frames[-1] == {"t": "idle", "taken": 1}
    script.send(answer(4, "B2", order=15), {"t": "go", "calls": 4})  # finished before c and a did
    frames = script.until_quiet()
    assert prompts(frames) == ["c2 after B,C"]
    assert frames[-1] == {"t": "idle", "taken": 3}


def test_stored_answers_without_new_calls_are_handed_over_in_one_go(child: ForkServer) -> None:
    script = child.script('return await parallel(agent(f"{i}") for i in range(50))')
    script.until_quiet()
    script.send(*[answer(call, call, order=100 - call) for call in range(1, 51)], {"t": "go", "calls": 50})
    assert script.until_quiet() == [{"t": "close", "id": 1}, {"t": "done", "value": list(range(1, 51))}]


def test_a_go_from_before_the_latest_calls_hands_nothing_over(child: ForkServer) -> None:
    script = child.script(THREE_BRANCHES)
    script.until_quiet()
    script.send(answer(1, "live"))
    assert prompts(script.until_quiet()) == ["a2 after live"]
    # This `go` answers the first `idle`: the call of a2 was not looked up yet. The second one covers it.
    script.send(answer(2, "B", order=5), {"t": "go", "calls": 3})
    script.send(answer(4, "A2", order=3), {"t": "go", "calls": 4})
    assert prompts(script.until_quiet()) == ["b2 after live,B"]
    assert script.frames[-1] == {"t": "idle", "taken": 2}


def test_the_same_answers_in_the_same_order_give_the_same_frames(child: ForkServer) -> None:
    source = """
    async def work(item):
        with phase(f"P{item}"):
            found = await parallel(agent(f"{item}.{i} {random.random()}") for i in range(3))
        return await agent(str(set(found)))
    async def main(args):
        return await pipeline(range(20), work, lambda text: agent(text), limit=7)
    """
    runs = [child.script(source).serve(lambda call: f"answer {call['p']['prompt']}").frames for _ in range(2)]
    without_idles = [[frame for frame in frames if frame["t"] != "idle"] for frames in runs]
    assert without_idles[0] == without_idles[1]
    assert len(without_idles[0]) >= 180


def test_ten_thousand_steps_in_one_fan_out_are_one_batch(child: ForkServer) -> None:
    script = child.script('return len(await parallel(agent(f"step {i}") for i in range(10_000)))')
    frames = script.until_quiet()
    assert len(frames) == 10_003  # started, one open, the calls, idle
    script.send(*[answer(frame["id"], "x") for frame in frames if frame["t"] == "call"])
    assert script.until_end().value == 10_000


def test_no_more_calls_are_open_than_the_host_bears(child: ForkServer) -> None:
    script = child.script('return sum(await parallel(agent(f"{i}") for i in range(25_000)))')
    frames = script.until_quiet()
    opened = [frame["id"] for frame in frames if frame["t"] == "call"]
    assert len(opened) == 16_000
    script.send(*[answer(call, 1) for call in opened[:9_000]])
    while len(opened) < 25_000:
        opened += [frame["id"] for frame in script.until_quiet() if frame["t"] == "call"]
    script.send(*[answer(call, 1) for call in opened[9_000:]])
    assert script.until_end().value == 25_000


def test_a_limit_holds_back_what_has_no_place_yet(child: ForkServer) -> None:
    script = child.script('return await parallel([agent(n) for n in "abcde"], limit=2)')
    assert prompts(script.until_quiet()) == ["a", "b"]
    script.answer(2, "B")
    assert prompts(script.until_quiet()) == ["c"]
    script.send(answer(1, "A"), answer(3, "C"))
    assert prompts(script.until_quiet()) == ["d", "e"]
    script.send(answer(5, "E"), answer(4, "D"))
    assert script.until_quiet()[-1]["value"] == ["A", "B", "C", "D", "E"]


def test_an_answer_after_the_cancellation_of_its_call_is_ignored(child: ForkServer) -> None:
    script = child.script(
        """
        try:
            await parallel([agent("a"), agent("b")], on_error="raise")
        except RateLimited:
            pass
        return await agent("c")
        """
    )
    calls = [frame for frame in script.until_quiet() if frame["t"] == "call"]
    script.send(fault(calls[0]))
    frames = script.until_quiet()
    assert [frame["t"] for frame in frames] == ["close", "call", "idle"]
    script.send(answer(2, "late"), answer(3, "C"))
    assert script.until_quiet()[-1] == {"t": "done", "value": "C"}


CANCELLED = """
async def careful(name):
    try:
        while True:
            try:
                await agent(name)
            except Exception:
                log("caught")
    finally:
        log("cleaned " + name)
        {cleanup}

async def main(args):
    async def failing():
        await agent("x")
        raise ValueError("enough")
    try:
        await parallel([careful("a"), parallel([careful("b")]), failing()], on_error="raise")
    except ValueError:
        return "raised"
"""


@pytest.mark.parametrize("cleanup", ["pass", 'await agent("more")', 'log("end"); raise KeyError("no reader")'])
def test_a_cancelled_branch_runs_its_finally_and_cannot_go_on(child: ForkServer, cleanup: str) -> None:
    ran = child.script(CANCELLED.format(cleanup=cleanup)).serve(
        lambda call: "answer" if call["p"]["prompt"] == "x" else None
    )
    assert ran.value == "raised"
    assert [line for line in ran.logs if line != "end"] == ["cleaned a", "cleaned b"]
    assert [call["p"]["prompt"] for call in ran.calls] == ["a", "x", "b"]


def test_a_branch_that_had_not_begun_when_it_was_cancelled_never_begins(child: ForkServer) -> None:
    source = """
    async def failing():
        raise ValueError("enough")
    async def other():
        log("never")
    try:
        await parallel([failing(), other(), lambda: log("never"), parallel([other()])], on_error="raise")
    except ValueError:
        return "raised"
    """
    ran = child.script(source).serve(lambda call: None)
    assert ran.value == "raised"
    assert ran.logs == []


def test_a_branch_that_swallows_its_cancellation_is_put_aside(child: ForkServer) -> None:
    source = """
    async def stubborn():
        while True:
            try:
                await agent("again")
            finally:
                log("cleaned")
                continue
    async def failing():
        raise ValueError("enough")
    try:
        await parallel([stubborn(), failing()], on_error="raise")
    except ValueError:
        log("raised")
    return await agent("after")
    """
    ran = child.script(source).serve(lambda call: "done" if call["p"]["prompt"] == "after" else None)
    assert ran.value == "done"
    assert [call["p"]["prompt"] for call in ran.calls] == ["again", "after"]
    assert ran.logs == ["cleaned"] * 100 + ["raised"]


def test_the_end_of_the_socket_is_the_end_of_the_child(child: ForkServer) -> None:
    script = child.script('await agent("x")')
    script.until_quiet()
    assert not script.at_end(0.05)
    script.shut_down()
    assert script.at_end(10)


def test_a_coroutine_that_waits_for_itself_is_an_error(child: ForkServer) -> None:
    source = """
    box = []
    async def f():
        await box[0]
    box.append(f())
    return await box[0]
    """
    kind, message, line = child.script(source).serve(lambda call: None).error
    assert (kind, line) == ("ValueError", 4)
    assert message == "coroutine already executing"


def test_one_coroutine_in_two_branches_is_an_error_and_not_an_answer(child: ForkServer) -> None:
    source = """
    async def f():
        return await agent("x")
    c = f()
    return await parallel([c, c])
    """
    kind, message, _ = child.script(source).serve(lambda call: None).error
    assert kind == "SetupError"
    assert "used twice" in message


def test_large_answers_and_prompts_cross_whole(child: ForkServer) -> None:
    script = child.script('text = await agent("x" * 3_000_000)\nreturn len(text)')
    call = script.until_quiet()[1]
    assert len(call["p"]["prompt"]) == 3_000_000
    script.answer(1, "é" * 4_000_000)
    assert script.until_quiet()[-1]["value"] == 4_000_000


def test_lone_surrogates_do_not_stop_a_script(child: ForkServer) -> None:
    script = child.script('log("cut \\ud83d"); return await agent("half \\ud800")')
    call = script.until_quiet()[2]
    assert call["p"]["prompt"] == "half ?"


def test_an_async_generator_of_the_script_may_await_steps(child: ForkServer) -> None:
    source = """
    async def answers(names):
        for name in names:
            yield await agent(name)
    async def main(args):
        return [text async for text in answers("ab")]
    """
    assert child.script(source).serve(lambda call: call["p"]["prompt"].upper()).value == ["A", "B"]


@pytest.mark.parametrize(
    "holder",
    [
        "kept = []\ntry: 1 / 0\nexcept ZeroDivisionError as error: kept.append(error)\nwaiting = iter([1])",
        """kept = []
def numbers():
    try: 1 / 0
    except ZeroDivisionError as error: kept.append(error)
    yield 0
    yield 1
waiting = numbers()
next(waiting)""",
    ],
    ids=["the body", "a generator"],
)
def test_an_error_raised_again_in_a_branch_ends_nobody_who_raised_it_before(child: ForkServer, holder: str) -> None:
    again = """
async def again(): raise kept[0]
log(await parallel([again(), lambda: 1]))
return next(waiting)"""
    assert child.script(holder + again).serve(lambda call: None).value == 1
