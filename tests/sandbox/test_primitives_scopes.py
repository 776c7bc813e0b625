"""phase() and budget: scopes on the wire, and what budget tells the script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.script_child import ForkServer, Ran, answer, fork_server


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def run(child: ForkServer, source: str, **start: Any) -> Ran:
    """Every step takes 100 tokens and $0.25, and a second passes."""

    def reply(call: dict[str, Any]) -> Any:
        return answer(call["id"], call["p"]["prompt"], tokens=100, microusd=250_000, seconds=call["id"] * 1.0)

    return child.script(source, **start).serve(reply)


def shape(ran: Ran) -> list[str]:
    """The scopes and calls of a run, in words."""
    words = {
        "open": lambda frame: f"open {frame['id']} in {frame['parent']}: {frame.get('title', frame['kind'])}",
        "close": lambda frame: f"close {frame['id']}",
        "call": lambda frame: f"{frame['p']['prompt']} in {frame['scope']}",
        "log": lambda frame: f"log in {frame['scope']}",
    }
    return [words[frame["t"]](frame) for frame in ran.frames if frame["t"] in words]


# ---------------------------------------------------------------- phases


def test_a_plain_phase_lasts_until_the_next_one(child: ForkServer) -> None:
    ran = run(
        child, 'await agent("a")\nphase("One", budget="10k", model="fast")\nawait agent("b")\nphase("Two")\nlog("x")'
    )
    assert shape(ran) == ["a in 0", "open 1 in 0: One", "b in 1", "close 1", "open 2 in 0: Two", "log in 2"]
    assert ran.of("open")[0] == {
        "t": "open",
        "id": 1,
        "parent": 0,
        "kind": "phase",
        "line": 2,
        "title": "One",
        "model": "fast",
        "limits": {"tokens": 10_000},
    }


def test_a_phase_is_shown_even_if_nothing_happens_in_it(child: ForkServer) -> None:
    assert shape(run(child, 'phase("One")\nphase("Two")\nreturn 1')) == [
        "open 1 in 0: One",
        "close 1",
        "open 2 in 0: Two",
    ]


def test_a_phase_with_a_block_ends_with_it(child: ForkServer) -> None:
    source = """
    phase("Outer")
    with phase("Inner"):
        await agent("a")
    await agent("b")
    """
    assert shape(run(child, source)) == [
        "open 1 in 0: Outer",
        "open 2 in 1: Inner",
        "a in 2",
        "close 2",
        "b in 1",
    ]


def test_a_plain_phase_changes_only_its_own_branch(child: ForkServer) -> None:
    source = """
    async def branch(name):
        await agent(name + "1")
        phase(name)
        await agent(name + "2")
    async def main(args):
        phase("All")
        await parallel([branch("a"), branch("b")])
        await agent("end")
    """
    assert shape(run(child, source)) == [
        "open 1 in 0: All",
        "open 2 in 1: parallel",
        "a1 in 3",
        "b1 in 4",
        "open 5 in 3: a",
        "a2 in 5",
        "open 6 in 4: b",
        "b2 in 6",
        "close 2",
        "end in 1",
    ]


def test_a_plain_phase_inside_of_a_block_ends_with_the_block(child: ForkServer) -> None:
    source = """
    with budget(steps=5):
        phase("Inside")
        await agent("a")
    await agent("b")
    """
    assert shape(run(child, source)) == ["open 1 in 0: budget", "open 2 in 1: Inside", "a in 2", "close 1", "b in 0"]


def test_a_block_ends_when_an_error_leaves_it(child: ForkServer) -> None:
    source = """
    try:
        with budget(steps=5):
            with phase("P"):
                raise ValueError("x")
    except ValueError:
        await agent("b")
    """
    assert shape(run(child, source)) == ["open 1 in 0: budget", "open 2 in 1: P", "close 2", "close 1", "b in 0"]


def test_a_generator_that_ends_out_of_order_closes_each_scope_once(child: ForkServer) -> None:
    source = """
    def stages():
        with budget(steps=5):
            yield 1
            yield 2
    it = stages()
    next(it)
    with phase("P"):
        await agent("a")
        list(it)
        await agent("b")
    await agent("c")
    """
    assert shape(run(child, source)) == [
        "open 1 in 0: budget",
        "open 2 in 1: P",
        "a in 2",
        "close 1",
        "b in 0",
        "c in 0",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("phase(3)", "phase: the title is a string that is not empty"),
        ("phase('x', modle='y')", "did you mean 'model'?"),
        ("budget(5)", 'budget takes a dict such as {"tokens": 200_000}'),
        ("budget(token=5)", "did you mean 'tokens'?"),
        ("budget('5k', tokens=5)", "budget: give either one value"),
        ("budget.remaining('dollars')", 'the units are "tokens", "usd", "steps" and "seconds", not \'dollars\''),
        ("b = budget(steps=1)\nwith b: pass\nwith b: pass", "the budget of line 1 was entered already"),
    ],
)
def test_misuse_of_scopes_is_named(child: ForkServer, source: str, message: str) -> None:
    kind, said, _ = run(child, source).error
    assert kind == "SetupError"
    assert message in said


# ---------------------------------------------------------------- budget


def test_without_a_limit_there_is_no_total_and_no_end(child: ForkServer) -> None:
    source = """
    await agent("a")
    endless = budget.remaining() == float("inf")
    return [budget.total(), budget.spent(), endless, budget.spent("usd"), budget.spent("steps")]
    """
    assert run(child, source).value == [None, 100, True, 0.25, 1]


def test_the_run_has_its_limits_from_the_start(child: ForkServer) -> None:
    source = """
    before = budget.remaining()
    await agent("a")
    dollars = [budget.remaining("usd"), budget.total("usd")]
    return [before, budget.total(), budget.remaining(), *dollars, budget.total("steps")]
    """
    limits = {"tokens": 150, "microusd": 1_000_000, "steps": None, "seconds": None}
    assert run(child, source, limits=limits).value == [150, 150, 50, 0.75, 1.0, None]


def test_spent_and_total_are_of_the_nearest_scope_and_remaining_of_the_tightest(child: ForkServer) -> None:
    source = """
    await agent("a")
    with budget(tokens=1_000):
        await agent("b")
        inner = [budget.total(), budget.spent(), budget.remaining(), budget.total("steps"), budget.spent("steps")]
        with phase("P"):
            deeper = [budget.total(), budget.spent()]
        with budget(tokens=250):
            tight = budget.remaining()
    return [inner, deeper, tight, budget.total(), budget.spent()]
    """
    limits = {"tokens": 500, "microusd": None, "steps": 10, "seconds": None}
    assert run(child, source, limits=limits).value == [[1_000, 100, 300, 10, 2], [1_000, 100], 250, 500, 200]


def test_what_is_left_is_never_negative(child: ForkServer) -> None:
    assert run(child, 'with budget(tokens=50):\n    await agent("a")\n    return budget.remaining()').value == 0


def test_seconds_count_from_the_opening_of_the_scope(child: ForkServer) -> None:
    source = """
    await agent("a")
    with budget(seconds=60):
        await agent("b")
        await agent("c")
        return [budget.spent("seconds"), budget.remaining("seconds"), budget.total("seconds")]
    """
    assert run(child, source).value == [2.0, 58.0, 60.0]


def test_branches_count_in_all_scopes_above_them(child: ForkServer) -> None:
    source = """
    async def branch(name):
        with budget(tokens=1_000):
            await agent(name)
            return budget.spent()
    async def main(args):
        with budget(tokens=10_000):
            each = await parallel([branch("a"), branch("b"), agent("c")])
            return [each, budget.spent(), budget.spent("steps")]
    """
    assert run(child, source).value == [[100, 100, "c"], 300, 3]


def test_a_loop_on_what_is_left_ends(child: ForkServer) -> None:
    source = """
    rounds = 0
    with budget(tokens=1_000):
        while budget.remaining() >= 300:
            await agent("again")
            rounds += 1
    return rounds
    """
    assert run(child, source).value == 8


def test_budget_is_no_place_to_look_around(child: ForkServer) -> None:
    kind = run(child, 'return getattr(budget, "trampoline", None) or budget.scopes').error[0]
    assert kind == "AttributeError"
