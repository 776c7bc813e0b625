"""race(): who wins, what becomes of the others, and what is raised where nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.script_child import Conversation, ForkServer, Ran, fault, fork_server


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def reply(call: dict[str, Any]) -> Any:
    """Prompts that name an error fail with it, "never" has no answer, "null" is answered None, others are echoed."""
    prompt = call["p"]["prompt"]
    if prompt == "never":
        return None
    if prompt in ("RateLimited", "Timeout", "BudgetExceeded", "WorkflowFailed", "SetupError"):
        fields = {"scope": "run", "unit": "tokens", "needed": 7, "left": 2} if prompt == "BudgetExceeded" else {}
        return fault(call, prompt, f"{prompt} message", **fields)
    if prompt == "null":
        return {"t": "answer", "id": call["id"], "ok": None}
    return prompt


def run(child: ForkServer, source: str) -> Ran:
    return child.script(source).serve(reply)


def begun(child: ForkServer, source: str) -> Conversation:
    script = child.script(source)
    script.until_quiet()
    return script


# ---------------------------------------------------------------- winning


def test_the_first_result_wins_and_the_scope_of_the_others_closes(child: ForkServer) -> None:
    script = begun(child, 'won = await race([agent("a"), agent("b"), agent("c")])\nlog(won)\nreturn won')
    assert [(frame["m"], frame["scope"]) for frame in script.frames if frame["t"] == "call"] == [
        ("agent", 2),
        ("agent", 3),
        ("agent", 4),
    ]
    assert script.frames[1] == {"t": "open", "id": 1, "parent": 0, "kind": "race", "line": 1, "branches": 3}
    script.answer(2, "of b")
    script.answer(1, "too late")
    assert script.until_quiet()[-1] == {"t": "done", "value": "of b"}
    assert [frame["id"] for frame in script.frames if frame["t"] == "close"] == [2, 4, 1]  # losers, then the race
    assert Ran(script.frames).logs == ["of b"]


def test_nothing_and_failures_do_not_win(child: ForkServer) -> None:
    ran = run(child, 'return await race([agent("null"), agent("RateLimited"), agent("never"), agent("d")])')
    assert ran.value == "d"
    assert ran.logs == []


def test_until_says_what_wins(child: ForkServer) -> None:
    source = """
    async def two(name):
        return await agent(await agent(name) + "!")
    elements = [agent("a"), two("b"), lambda: agent("c!"), lambda: "d"]
    return await race(elements, until=lambda said: "!" in said)
    """
    assert run(child, source).value == "c!"
    assert run(child, 'return await race([agent("null"), agent("never")], until=lambda x: x is None)').value is None


def test_the_losers_branches_are_cleaned_up_and_go_no_further(child: ForkServer) -> None:
    source = """
    async def loser(name):
        with phase(name):
            try:
                await parallel([agent("never"), agent("never")])
            finally:
                log("cleaned up " + name)
        await agent("not started")
    async def winner():
        await agent("1")
        return await agent("2")
    steps = [loser("x"), race([loser("y"), agent("never")]), winner(), loser("z")]
    return [await race(steps), await agent("after")]
    """
    ran = run(child, source)
    assert ran.value == ["2", "after"]
    assert ran.logs == ["cleaned up x", "cleaned up y", "cleaned up z"]
    assert "not started" not in [call["p"]["prompt"] for call in ran.calls]
    assert ran.calls[-1]["scope"] == 0


def test_a_branch_that_wins_as_it_starts_is_enough(child: ForkServer) -> None:
    ran = run(child, 'return await race([agent("never"), lambda: 7, agent("never")])')
    assert ran.value == 7


def test_races_and_other_fan_outs_nest(child: ForkServer) -> None:
    source = """
    async def pair(n):
        return await race([agent(f"{n}"), agent("never")])
    def stage(item):
        return race([agent(item.upper()), agent("never")])
    both = race([parallel([agent("never"), agent("a")]), parallel([agent("b"), agent("c")])])
    return [await parallel(pair(n) for n in range(2)), await pipeline(["x"], stage), await both]
    """
    assert run(child, source).value == [["0", "1"], ["X"], ["b", "c"]]


# ---------------------------------------------------------------- nobody wins


def test_where_none_wins_the_error_holds_what_each_gave(child: ForkServer) -> None:
    source = """
    try:
        await race([agent("a"), agent("RateLimited"), agent("null")], until=lambda x: x == "b")
    except AgentError as e:
        return [e.kind, e.message, e.results[0], e.results[1].kind, e.results[2], type(e).__name__]
    """
    message = (
        "race (line 3): none of 3 won: 1 failed, first rate_limited: RateLimited message; 2 gave what until= refused"
    )
    assert run(child, source).value == ["no_winner", message, "a", "rate_limited", None, "AgentError"]


def test_a_race_that_nobody_won_ends_the_run_by_its_kind(child: ForkServer) -> None:
    ran = run(child, 'await race([agent("null")])')
    assert ran.error == ("AgentError", "race (line 1): none of 1 won: 1 gave None", 1)
    assert ran.end["fault"]["kind"] == "no_winner"


def test_without_runners_there_is_no_winner(child: ForkServer) -> None:
    ran = run(child, "await race([])")
    assert ran.error[1] == "race (line 1): none of 0 won: there was nothing to race"
    assert ran.of("open") == []
    nested = 'found = await parallel([race([]), agent("a")], on_error="return")\nreturn [found[0].kind, found[1]]'
    assert run(child, nested).value == ["no_winner", "a"]


@pytest.mark.parametrize("error", ["BudgetExceeded", "WorkflowFailed"])
def test_after_a_spent_budget_those_under_way_may_still_win(child: ForkServer, error: str) -> None:
    source = f"""
    async def two(name):
        await agent(name)
        await agent("not started")
    return await race([agent("{error}"), two("a"), agent("null"), agent("b")])
    """
    assert run(child, source).value == "b"
    ran = run(child, source.replace('agent("b")', 'two("c")').replace("return await", "await"))
    assert ran.error[0] == error
    assert "not started" not in [call["p"]["prompt"] for call in ran.calls]


def test_a_race_that_ends_in_a_stopped_fan_out_starts_nothing_more(child: ForkServer) -> None:
    source = """
    async def branch():
        await race([agent("never"), agent("slow")])
        log("went on")
    await parallel([branch(), agent("BudgetExceeded")])
    """
    script = begun(child, source)
    prompts = {frame["p"]["prompt"]: frame["id"] for frame in script.frames if frame["t"] == "call"}
    stop = next(frame for frame in script.frames if frame["t"] == "call" and frame["p"]["prompt"] == "BudgetExceeded")
    script.send(reply(stop))
    script.until_quiet()
    script.answer(prompts["slow"], "slow")
    assert script.until_quiet()[-1]["type"] == "BudgetExceeded"
    assert Ran(script.frames).logs == []
    assert len(prompts) == 3


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("race(agent('x'))", 'race takes a list or generator of steps, such as race(agent(f"Read {f}") for f in'),
        ("race([agent('x')], [agent('y')])", "race takes one list or generator: put the steps into a list, race("),
        ("race([4])", "race: element 0 is a value of type int, not a step; hand over agent(...) itself"),
        ("race([agent('x')], untill=len)", "race has no option 'untill'; did you mean 'until'?"),
        ("race([agent('x')], until=3)", "race: until takes a function of a result that gives True or False, such as"),
        ("race([agent('SetupError'), agent('never')])", "SetupError message"),
        ("race([agent('a')], until=lambda x: agent('y'))", "race: until= is a plain function that gives True or"),
        ("race([agent('a')], until=slow)", "race: until= is a plain function that gives True or False"),
    ],
)
def test_a_misused_race_ends_at_once(child: ForkServer, made: str, message: str) -> None:
    ran = run(child, f"async def slow(x):\n    return True\nawait {made}")
    kind, said, line = ran.error
    assert (kind, line) == ("SetupError", 3)
    assert message in said


def test_an_error_in_until_is_the_error_of_the_race(child: ForkServer) -> None:
    ran = run(child, 'def until(x):\n    return x["score"] > 3\nawait race([agent("a"), agent("never")], until=until)')
    assert ran.error[0] == "TypeError"
    assert [point["line"] for point in ran.end["trace"]] == [3, 2]
    assert [frame["t"] for frame in ran.frames[-2:]] == ["close", "error"]


def test_what_until_logs_is_its_callers(child: ForkServer) -> None:
    source = """
    def until(said):
        log(said)
        return said == "2"
    async def deep():
        return await agent("1")
    async def main(args):
        with phase("Racing"):
            return await race([deep(), agent("2")], until=until)
    """
    ran = run(child, source)
    assert ran.value == "2"
    assert {frame["scope"] for frame in ran.of("log")} == {1}


# ---------------------------------------------------------------- stored answers


def test_stored_answers_decide_a_race_in_their_recorded_order(child: ForkServer) -> None:
    script = begun(child, 'return await race([agent("a"), agent("b"), agent("c")])')
    script.answer(1, "a", order=9)
    script.answer(3, "c", order=5)
    script.send({"t": "go", "calls": 3})
    assert script.until_quiet()[-1] == {"t": "done", "value": "c"}


def test_a_winner_of_several_steps_is_handed_them_before_a_loser_that_came_later(child: ForkServer) -> None:
    source = """
    async def two():
        return await agent(await agent("a"))
    return await race([agent("b"), two()])
    """
    script = begun(child, source)
    script.answer(1, "late", order=7)
    script.answer(2, "first", order=3)
    script.send({"t": "go", "calls": 2})
    script.until_quiet()
    script.answer(3, "second", order=5)
    script.send({"t": "go", "calls": 3})
    assert script.until_quiet()[-1] == {"t": "done", "value": "second"}
