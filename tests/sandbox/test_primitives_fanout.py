"""parallel() and pipeline(): results, errors in all three modes, budgets that run out, stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.script_child import ForkServer, Ran, fault, fork_server


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def reply(call: dict[str, Any]) -> Any:
    """Prompts that name an error fail with it; "never" is never answered; the others are echoed."""
    prompt = call["p"]["prompt"]
    if prompt == "never":
        return None
    name = prompt.split()[0]
    if name in ("RateLimited", "Timeout", "BudgetExceeded", "WorkflowFailed", "SetupError", "ModelMissing"):
        fields = {"scope": "run", "unit": "tokens", "needed": 7, "left": 2} if name == "BudgetExceeded" else {}
        return fault(call, name, f"{prompt} message", **fields)
    return prompt


def run(child: ForkServer, source: str, **start: Any) -> Ran:
    return child.script(source, **start).serve(reply)


# ---------------------------------------------------------------- results and errors


def test_results_come_in_input_order(child: ForkServer) -> None:
    source = """
    async def slow(x):
        for i in range(3):
            x = await agent(x)
        return x
    return await parallel([slow("a"), agent("b"), lambda: agent("c"), lambda: 4])
    """
    assert run(child, source).value == ["a", "b", "c", 4]


def test_a_failed_branch_is_none_with_a_warning(child: ForkServer) -> None:
    source = """
    async def bug():
        return {}["missing"]
    return await parallel([agent("a"), agent("RateLimited"), bug(), agent("d")])
    """
    ran = run(child, source)
    assert ran.value == ["a", None, None, "d"]
    (log,) = ran.of("log")
    assert log["message"] == (
        "parallel (line 4): 2 of 4 failed: 1 rate_limited, 1 KeyError; first rate_limited: RateLimited message"
    )
    assert log["fields"] == {"level": "warning"}
    assert log["line"] == 4


def test_on_error_return_gives_the_errors_as_values(child: ForkServer) -> None:
    source = """
    found = await parallel([agent("a"), agent("RateLimited")], on_error="return")
    e = found[1]
    kinds = [isinstance(e, AgentError), isinstance(e, Timeout), type(e).__name__]
    return [found[0], *kinds, e.kind, e.message, e.step, str(e)]
    """
    ran = run(child, source)
    assert ran.value == [
        "a",
        True,
        False,
        "RateLimited",
        "rate_limited",
        "RateLimited message",
        "agent#2",
        "RateLimited message",
    ]
    assert ran.logs == []


def test_on_error_raise_cancels_the_rest_at_once(child: ForkServer) -> None:
    source = """
    async def two():
        await agent("never")
    steps = [agent("a"), two(), agent("never"), agent("Timeout"), agent("late")]
    return await parallel(steps, on_error="raise", limit=4)
    """
    ran = run(child, source)
    assert ran.error == ("Timeout", "Timeout message", 5)
    assert ran.end["fault"] == {"type": "Timeout", "message": "Timeout message", "kind": "timeout", "fields": {}}
    assert [frame["t"] for frame in ran.frames[-2:]] == ["close", "error"]


@pytest.mark.parametrize("mode", ["none", "return", "raise"])
def test_when_every_branch_failed_the_first_error_is_raised(child: ForkServer, mode: str) -> None:
    source = f"""
    try:
        await parallel([agent("RateLimited"), agent("Timeout")], on_error="{mode}")
    except RateLimited as error:
        return [error.kind, len(error.results), [isinstance(r, AgentError) for r in error.results]]
    """
    kept = mode == "return"
    assert run(child, source).value == ["rate_limited", 2, [kept, kept]]


def test_nothing_to_do_gives_nothing(child: ForkServer) -> None:
    ran = run(child, "return [await parallel([]), await pipeline([], lambda x: x)]")
    assert ran.value == [[], []]
    assert ran.of("open") == []


@pytest.mark.parametrize("error", ["BudgetExceeded", "WorkflowFailed"])
def test_after_a_spent_budget_nothing_new_starts_and_what_is_under_way_is_kept(child: ForkServer, error: str) -> None:
    source = f"""
    async def two_steps(name):
        first = await agent(name)
        log("half " + name)
        await agent("not started")
    async def one_step(name):
        return (await agent(name)).upper()
    async def main(args):
        try:
            return await parallel(
                [agent("a"), two_steps("b"), agent("{error}"), one_step("d"), agent("e"), agent("f")], limit=5)
        except {error} as caught:
            return [caught.results, caught.kind]
    """
    script = child.script(source)
    calls = [frame for frame in script.until_quiet() if frame["t"] == "call"]
    by_prompt = {call["p"]["prompt"]: call for call in calls}
    assert set(by_prompt) == {"a", "b", error, "d", "e"}
    for name in (error, "b", "a", "d", "e"):
        given = reply(by_prompt[name])
        script.send(given) if isinstance(given, dict) else script.answer(by_prompt[name]["id"], given)
    ran = script.until_end()
    results, kind = ran.value
    assert results == ["a", None, None, "D", "e", None]
    assert kind == {"BudgetExceeded": "budget_exceeded", "WorkflowFailed": "workflow_failed"}[error]
    assert "not started" not in [call["p"]["prompt"] for call in ran.calls]


def test_a_spent_budget_stops_fan_outs_inside_of_branches_too(child: ForkServer) -> None:
    source = """
    async def inner(name):
        try:
            got = await parallel([agent(name + "1"), agent(name + "2"), agent(name + "3")], limit=2)
            log("never: results with holes")
            return got
        except Exception as error:
            log(f"never: {error}")
    async def main(args):
        try:
            await parallel([inner("a"), agent("BudgetExceeded")])
        except BudgetExceeded as error:
            return [error.results, error.scope, error.needed, error.left]
    """
    script = child.script(source)
    calls = {frame["p"]["prompt"]: frame for frame in script.until_quiet() if frame["t"] == "call"}
    script.send(reply(calls["BudgetExceeded"]))
    script.answer(calls["a1"]["id"], "A1")
    script.answer(calls["a2"]["id"], "A2")
    ran = script.until_end()
    assert ran.value == [[None, None], "run", 7, 2]
    assert ran.logs == []
    assert len(ran.calls) == 3


def test_a_budget_that_a_branch_catches_stops_nobody_else(child: ForkServer) -> None:
    source = """
    async def careful(name):
        try:
            return await agent(name)
        except BudgetExceeded:
            return "stopped"
    return await parallel([careful("BudgetExceeded"), careful("b")], limit=1)
    """
    assert run(child, source).value == ["stopped", "b"]


@pytest.mark.parametrize("error", ["SetupError", "ModelMissing"])
def test_a_setup_error_ends_every_fan_out_at_once(child: ForkServer, error: str) -> None:
    source = f"""
    async def branch():
        return await parallel([agent("never"), agent("{error}")])
    return await parallel([branch(), agent("never")])
    """
    ran = run(child, source)
    assert ran.error == (error, f"{error} message", 3)
    assert [point["line"] for point in ran.end["trace"]] == [4, 3]


def test_errors_of_the_script_keep_their_type_and_line(child: ForkServer) -> None:
    source = """
    async def check(x):
        if x:
            raise ValueError(f"bad {x}")
    async def main(args):
        return await parallel([check(1), check(2)])
    """
    ran = run(child, source)
    assert ran.error == ("ValueError", "bad 1", 4)
    assert [(point["line"], point["name"]) for point in ran.end["trace"]] == [(6, "main"), (4, "check")]
    assert "fault" not in ran.end


# ---------------------------------------------------------------- what cannot run


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("await parallel(await agent(x) for x in 'ab')", "remove `await` inside of the generator expression"),
        ("await parallel([await agent('a')])", "element 0 is a value of type str, not a step"),
        ("await parallel(agent('a'), agent('b'))", "put the steps into a list, parallel([first, second])"),
        ("await parallel(agent('a'))", "not one step"),
        ("await parallel('ab')", "not a value of type str"),
        ("await parallel(3)", "not a value of type int"),
        ("await parallel([], limit=0)", "limit takes a whole number from 1"),
        ("await parallel([], on_error='ignore')", '"none" or "return" or "raise", not \'ignore\''),
        ("await parallel([], limits=3)", "did you mean 'limit'?"),
        ("await parallel(lambda: 1 for _ in range(100_001))", "at most 100,000 elements"),
        ("await pipeline(['a'])", "give one or more stages after the items"),
        ("await pipeline(['a'], agent('x'))", "write `lambda item: agent(...)` for a single step"),
        ("await pipeline(['a'], lambda: 1)", "one of these takes no parameters"),
        ("await pipeline(['a'], lambda a, b, c, d: 1)", "one of these takes 4 parameters"),
        ("await pipeline(agent('x'), lambda x: x)", "not one step"),
    ],
)
def test_what_cannot_fan_out_is_refused(child: ForkServer, source: str, message: str) -> None:
    kind, said, line = run(child, f"x = 1\n{source}").error
    assert (kind, line) == ("SetupError", 2)
    assert message in said


# ---------------------------------------------------------------- pipeline


def test_a_stage_gets_as_many_values_as_it_has_parameters_without_default(child: ForkServer) -> None:
    source = """
    def one(v): return ["one", v]
    def two(v, item): return ["two", item]
    def three(v, item, index): return ["three", index]
    def defaults(v, item, index=9): return ["defaults", index]
    def only_default(v=5): return ["only_default", v]
    def everything(*values): return ["everything", len(values)]
    async def waits(v, item): return [v, item]
    stages = [one, two, three, defaults, only_default, everything, waits, lambda v: v, len, str]
    return [(await pipeline(["x"], stage))[0] for stage in stages]
    """
    assert run(child, source).value == [
        ["one", "x"],
        ["two", "x"],
        ["three", 0],
        ["defaults", 9],
        ["only_default", "x"],
        ["everything", 3],
        ["x", "x"],
        "x",
        1,
        "x",
    ]


def test_items_go_through_the_stages_without_a_barrier(child: ForkServer) -> None:
    script = child.script('return await pipeline(["a", "b"], agent, lambda text: agent(text + "2"))')
    script.until_quiet()
    script.answer(2, "B")
    assert [frame["p"]["prompt"] for frame in script.until_quiet() if frame["t"] == "call"] == ["B2"]
    script.answer(3, "done b")
    script.until_quiet()
    script.answer(1, "A")
    script.until_quiet()
    script.answer(4, "done a")
    assert script.until_end().value == ["done a", "done b"]


def test_none_ends_an_item_and_an_error_is_counted(child: ForkServer) -> None:
    source = """
    async def check(n):
        if n == 1:
            return None
        if n == 2:
            raise ValueError("no twos")
        return await agent(f"item {n}")
    return await pipeline(range(4), check, lambda text, n: f"{text} at {n}")
    """
    ran = run(child, source)
    assert ran.value == ["item 0 at 0", None, None, "item 3 at 3"]
    assert ran.logs == ["pipeline (line 8): 1 of 4 failed: ValueError: no twos"]


def test_a_stage_may_return_a_fan_out_or_an_async_function_that_gives_a_step(child: ForkServer) -> None:
    source = """
    async def gives_step(value):
        return agent(value + "!")
    return await pipeline(["a"], lambda v: parallel([agent(v), agent(v + v)]), lambda found: "".join(found), gives_step)
    """
    assert run(child, source).value == ["aaa!"]


def test_a_limit_holds_for_whole_items(child: ForkServer) -> None:
    script = child.script("return await pipeline(['a', 'b'], agent, agent, limit=1)")
    order = []
    for _ in range(4):
        (call,) = [frame for frame in script.until_quiet() if frame["t"] == "call"]
        order.append(call["p"]["prompt"])
        script.answer(call["id"], call["p"]["prompt"])
    assert order == ["a", "a", "b", "b"]


# ---------------------------------------------------------------- on the wire


def test_a_fan_out_opens_one_scope_with_a_branch_per_element(child: ForkServer) -> None:
    source = """
    async def nested():
        return await parallel([agent("n1"), agent("n2")])
    await parallel([agent("a"), nested(), agent("c")], budget="$2")
    await agent("after")
    """
    ran = run(child, source)
    assert ran.of("open") == [
        {
            "t": "open",
            "id": 1,
            "parent": 0,
            "kind": "parallel",
            "line": 4,
            "branches": 3,
            "limits": {"microusd": 2_000_000},
        },
        {"t": "open", "id": 5, "parent": 3, "kind": "parallel", "line": 3, "branches": 2},
    ]
    assert {call["p"]["prompt"]: call["scope"] for call in ran.calls} == {"a": 2, "c": 4, "n1": 6, "n2": 7, "after": 0}
    assert [frame["id"] for frame in ran.of("close")] == [5, 1]


def test_fan_outs_nest_only_so_deep(child: ForkServer) -> None:
    source = """
    async def deeper(n):
        log(str(n))
        return await parallel([deeper(n + 1)])
    return await deeper(1)
    """
    kind, message, line = run(child, source).error
    assert kind == "SetupError"
    assert "nest at most 64 deep" in message
    assert line == 4
