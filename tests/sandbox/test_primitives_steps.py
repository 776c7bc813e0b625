"""agent() and tool(): what goes onto the wire, what is refused, and steps that are made and not used well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.script_child import ForkServer, Ran, answer, fault, fork_server


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def echo(call: dict[str, Any]) -> Any:
    return call["p"].get("prompt", "tool")


def run(child: ForkServer, source: str, **start: Any) -> Ran:
    return child.script(source, **start).serve(echo)


def test_only_given_options_are_sent(child: ForkServer) -> None:
    source = """
    await agent("plain", label=None, profile=None)
    await agent(
        "full", label="l", phase="P", model="fast", system="s", tools=["read", "grep"], schema={"type": "object"},
        files=("a.png", "b.pdf"), context="c", effort="high", temperature=0.5, max_tokens=100, max_turns=3, timeout=60,
        retries=0,
        budget={"tokens": 10, "usd": 0.5, "steps": 1, "seconds": 2}, cache=False, ttl="24h", detail=False, profile=None,
        isolation="worktree", merge="auto",
        gate=("pytest", "-q"), gate_retries=0,
    )
    await tool("grep", pattern="TODO", name="x", limit=None)
    """
    plain, full, tool = run(child, source).calls
    assert plain == {"t": "call", "id": 1, "scope": 0, "line": 2, "col": 7, "m": "agent", "p": {"prompt": "plain"}}
    assert full["p"] == {
        "prompt": "full",
        "label": "l",
        "phase": "P",
        "model": "fast",
        "system": "s",
        "tools": ["read", "grep"],
        "schema": {"type": "object"},
        "files": ["a.png", "b.pdf"],
        "context": "c",
        "effort": "high",
        "temperature": 0.5,
        "max_tokens": 100,
        "max_turns": 3,
        "timeout": 60,
        "retries": 0,
        "budget": {"tokens": 10, "microusd": 500_000, "steps": 1, "seconds": 2.0},
        "cache": False,
        "ttl": 86_400.0,
        "isolation": "worktree",
        "merge": "auto",
        "gate": ["pytest", "-q"],
        "gate_retries": 0,
        "detail": False,
    }
    assert tool["m"] == "tool"
    assert tool["p"] == {"name": "grep", "arguments": {"pattern": "TODO", "name": "x", "limit": None}}


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ('"200k"', {"tokens": 200_000}),
        ('"1.5M"', {"tokens": 1_500_000}),
        ('"20_000"', {"tokens": 20_000}),
        ('"$1.50"', {"microusd": 1_500_000}),
        ('{"usd": 0.1}', {"microusd": 100_000}),
        ('{"tokens": 10.9, "steps": budget.remaining("steps"), "seconds": None}', {"tokens": 10}),
    ],
)
def test_budgets_are_understood_in_all_their_spellings(child: ForkServer, given: str, limits: dict[str, Any]) -> None:
    (call,) = run(child, f'await agent("x", budget={given})').calls
    assert call["p"]["budget"] == limits


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ('agent("x", "y")', "agent takes one prompt, and all else by name"),
        ('tool("grep", "TODO")', "tool takes its arguments by name"),
        ('agent(3)', "agent: the prompt is a string, not a value of type int"),
        ('agent("x", modle="y")', "agent has no option 'modle'; did you mean 'model'?"),
        ('agent("x", zzz=1)', "agent has no option 'zzz'; it takes label, phase, profile, "),
        ('agent("x", isolation="container")', "agent: isolation takes \"worktree\", not 'container'"),
        ('agent("x", isolation=True)', 'agent: isolation takes "worktree", not True'),
        ('agent("x", isolation="worktree", merge="later")', 'agent: merge takes "auto" or "manual", not \'later\''),
        ('agent("x", merge="manual")', 'agent: merge= says how a worktree is merged; write isolation="worktree"'),
        ('agent("x", gate="pytest -q")', 'agent: gate takes a list of words, since no shell reads it: ["pytest"'),
        ('agent("x", gate=[])', "agent: gate takes a command as a list of words, such as"),
        ('agent("x", gate=["pytest", 1])', "agent: gate takes a command as a list of words, such as"),
        ('agent("x", gate=[""])', "agent: gate takes words without NUL characters, the first of which is the name of"),
        ('agent("x", gate=["a", "\\0"])', "agent: gate takes words without NUL characters, the first of which is the"),
        ('agent("x", gate=["a"] * 101)', "agent: gate takes at most 100 words of at most 4,096 characters"),
        ('agent("x", gate=["a" * 4097])', "agent: gate takes at most 100 words of at most 4,096 characters"),
        ('agent("x", gate_retries=1)', 'agent: gate_retries= counts for a gate; write gate=["pytest", "-q"] beside it'),
        ('agent("x", gate=["a"], gate_retries=21)', "agent: gate_retries takes a whole number from 0 to 20, not 21"),
        ('merge("x")', 'merge takes the result of agent(..., isolation="worktree", merge="manual", detail=True), not'),
        ('merge(None)', "not a value of type NoneType"),
        ('merge(agent("x"))', "merge takes a result, not a step: await the step first, merge(await agent(...))"),
        ('merge("x", "y")', "merge takes one result and nothing else; call it once for each: await merge(result)"),
        ('merge("x", how="y")', "merge takes one result and nothing else; call it once for each: await merge(result)"),
        ('agent("x", files="a.py")', "agent: files takes a list of paths, such as"),
        ('agent("x", files=["a.py", 1])', "agent: files takes a list of paths in the project, such as"),
        ('agent("x", files=[""])', "agent: files takes a list of paths in the project, such as"),
        ('agent("x", files={"a.py": 1})', "agent: files takes a list of paths in the project, such as"),
        ('agent("x", files=["a"] * 101)', "agent: files takes at most 100 paths"),
        ('agent("x", files=["a" * 4097])', "agent: files takes paths of at most 4,096 characters"),
        ('agent("x", tools="read")', 'agent: tools takes a list of names of tools or groups, such as ["read"], not'),
        ('agent("x", schema="object")', "agent: schema takes a JSON Schema as a dict"),
        ('agent("x", schema={"type": {1}})', "agent['schema']['type'] is a set; only JSON values can be passed on"),
        ('agent("x", temperature=3)', "agent: temperature takes a number from 0 to 2, not 3"),
        ('agent("x", max_tokens=True)', "agent: max_tokens takes a whole number from 1 to 10,000,000, not True"),
        ('agent("x", max_turns=0)', "agent: max_turns takes a whole number from 1 to 10,000, not 0"),
        ('agent("x", timeout=10 ** 5000)', "agent: timeout takes a number of seconds from 0.001 to 604,800, not such"),
        ('agent("x", retries="2")', "agent: retries takes a whole number from 0 to 100, not '2'"),
        ('agent("x", profile="../y")', 'agent: profile takes the name of a profile, such as "reviewer": letters'),
        ('agent("x", label="")', "agent: label takes a string that is not empty, not ''"),
        ('agent("x", detail=1)', "agent: detail takes True or False, not 1"),
        ('agent("x", cache=3)', "agent: cache takes True, False, or a string that sets its answers apart, not 3"),
        ('agent("x", ttl="soon")', "agent: ttl takes a number of seconds above 0, or a string such as"),
        ('agent("x", budget=200_000)', 'agent: budget takes a dict such as {"tokens": 200_000}, or a string such'),
        ('agent("x", budget="lots")', 'agent: budget takes a string such as "200k" or "1.5M" for tokens, or "$1.50"'),
        ('agent("x", budget={"token": 5})', "as keys; 'token' is none; did you mean 'tokens'?"),
        ('agent("x", budget={"usd": -1})', "agent: budget takes a budget whose usd are a number, at least 0"),
        ('agent("x", budget={"tokens": float("nan")})', "agent: budget takes a budget whose tokens are a number"),
        ('tool("grep", pattern=log)', "tool['arguments']['pattern'] is a method; only JSON values"),
        ('tool("")', "tool: the first argument is the name of a tool"),
        ('agent("x" * 17_000_000)', "agent is too large: at most 16,777,216 bytes of JSON"),
    ],
)  # fmt: skip
def test_a_step_is_checked_when_it_is_made(child: ForkServer, made: str, message: str) -> None:
    ran = run(child, f"x = 1\ns = {made}\nawait s")
    kind, said, line = ran.error
    assert (kind, line) == ("SetupError", 2)
    assert message in said
    assert ran.end["fault"]["type"] == "SetupError"
    assert ran.calls == []


def isolated(merge: str) -> Callable[[dict[str, Any]], Any]:
    def reply(call: dict[str, Any]) -> Any:
        if call["m"] == "merge":
            return ["a.py", "b.py"]
        return {"value": "done", "patch": "--- a", "files": ["a.py"], "step": "s-1", "merge": merge}

    return reply


def test_merge_sends_the_id_of_the_step_that_worked_in_a_worktree(child: ForkServer) -> None:
    source = """
    result = await agent("x", isolation="worktree", merge="manual", detail=True)
    return [result.patch, result.files, await merge(result)]
    """
    ran = child.script(source).serve(isolated("manual"))
    assert ran.value == ["--- a", ["a.py"], ["a.py", "b.py"]]
    assert (ran.calls[1]["m"], ran.calls[1]["p"]) == ("merge", {"step": "s-1"})


@pytest.mark.parametrize(
    ("merge", "why"), [("auto", "the step of this one is merged by itself"), ("", "did not work in a worktree")]
)
def test_merge_says_what_to_write_where_there_is_nothing_to_merge(child: ForkServer, merge: str, why: str) -> None:
    source = 'result = await agent("x", profile="p", detail=True)\nawait merge(result)'
    kind, said, line = child.script(source).serve(isolated(merge)).error
    assert (kind, line) == ("SetupError", 2)
    assert why in said
    assert 'agent(..., isolation="worktree", merge="manual", detail=True)' in said


def test_how_a_result_is_merged_is_not_for_scripts_to_read(child: ForkServer) -> None:
    ran = child.script('result = await agent("x", detail=True)\nreturn result.merge').serve(isolated("manual"))
    assert ran.error[0] == "AttributeError"


def test_a_failed_gate_tells_what_it_ran_and_what_came_of_it(child: ForkServer) -> None:
    source = """
    try:
        await agent("x", gate=["pytest"])
    except GateFailed as error:
        return [error.argv, error.exit_code, error.output, error.tries, error.answer, error.step]
    """
    fields = {"argv": ["pytest"], "exit_code": 1, "output": "1 failed", "tries": 3, "answer": {"done": False}}
    ran = child.script(source).serve(lambda call: fault(call, "GateFailed", "no", **fields))
    assert ran.value == [["pytest"], 1, "1 failed", 3, {"done": False}, "agent#1"]


def test_wrong_steps_are_not_hidden_by_a_fan_out(child: ForkServer) -> None:
    source = """
    async def branch(n):
        return await agent("x", retries=n)
    return await parallel(branch(n) for n in (1, "two"))
    """
    assert run(child, source).error[0] == "SetupError"


def test_a_step_starts_when_it_is_awaited_and_not_before(child: ForkServer) -> None:
    ran = run(child, 'a = agent("a")\nb = agent("b")\nlog("made")\nreturn [await b, await a]')
    assert ran.value == ["b", "a"]
    assert [frame["t"] for frame in ran.frames] == ["started", "log", "call", "idle", "call", "idle", "done"]


@pytest.mark.parametrize(
    "use",
    [
        "await s\nawait s",
        "await parallel([s, s])",
        "await parallel([s])\nawait s",
        "await pipeline([1, 2], lambda x: s)",
    ],
)
def test_a_step_is_used_once(child: ForkServer, use: str) -> None:
    kind, message, _ = run(child, f's = agent("x")\n{use}').error
    assert kind == "SetupError"
    assert "the agent() step of line 1 was already started in line " in message
    assert "make a new one per element" in message


def test_a_step_that_was_never_started_fails_the_run_with_its_line(child: ForkServer) -> None:
    ran = run(child, 'x = 1\nagent("forgotten")\nreturn await agent("y")')
    assert ran.error == (
        "SetupError",
        "the agent() step of line 2 was never started: `await` it, or hand it to parallel()",
        2,
    )
    assert ran.end["fault"]["type"] == "SetupError"


def test_a_fan_out_that_was_never_started_fails_the_run(child: ForkServer) -> None:
    assert (
        run(child, 'parallel(agent("x") for _ in range(2))')
        .error[1]
        .startswith("the parallel() of line 1 was never started")
    )


@pytest.mark.parametrize(
    ("source", "name", "line"),
    [
        ("async def f():\n    return 1\nasync def main(args):\n    f()\n    return 2", "f", 4),
        ("async def f():\n    return 1\nasync def main(args):\n    return 2\nleft = f()", "f", 5),
        ("async def f(): return 1\nasync def h():\n    x = f()\nasync def main(args):\n    await h()", "f", 3),
    ],
)
def test_a_coroutine_that_was_never_awaited_fails_the_run(child: ForkServer, source: str, name: str, line: int) -> None:
    kind, message, at = run(child, source).error
    assert (kind, at) == ("SetupError", line)
    assert message.startswith(f"{name}() of line {line} was never awaited: write `await {name}(...)`")


def test_what_an_error_leaves_behind_is_forgiven(child: ForkServer) -> None:
    source = """
    async def f():
        return 1
    async def branch(name):
        later = agent("later " + name)
        also = f()
        if name == "b":
            raise ValueError(name)
        await agent(name)
        return [await later, await also]
    async def main(args):
        first = await parallel(branch(name) for name in "abc")
        try:
            s = agent("s")
            c = f()
            await agent("fails")
            await s
            await c
        except RateLimited:
            pass
        return first
    """
    reply = lambda call: fault(call) if call["p"]["prompt"] in ("fails", "a") else "ok"  # noqa: E731
    ran = child.script(source).serve(reply)
    assert ran.value == [None, None, ["ok", 1]]
    assert ran.logs[1:] == ["f() of line 15 was never awaited: write `await f(...)`, or hand it to parallel()"]


def test_what_a_failed_branch_leaves_behind_is_forgiven(child: ForkServer) -> None:
    source = """
    async def f():
        return 1
    async def branch(name):
        also = f()
        if name == "b":
            raise ValueError(name)
        return await also
    async def main(args):
        fan_out = parallel(branch(name) for name in "abc")
        first = await fan_out
        fan_out = None
        garbage = [[i] for i in range(200_000)]  # so that the collector runs
        return first
    """
    ran = run(child, source)
    assert ran.value == [1, None, 1]
    assert ran.logs == ["parallel (line 10): 1 of 3 failed: ValueError: b"]


def test_failures_of_different_kinds_are_counted_apart_in_the_warning(child: ForkServer) -> None:
    source = """
    async def branch(name):
        if name == "a":
            raise KeyError(name)
        return await agent(name)
    async def main(args):
        return await parallel(branch(name) for name in "abcd")
    """
    reply = lambda call: fault(call) if call["p"]["prompt"] in ("b", "c") else "ok"  # noqa: E731
    ran = child.script(source).serve(reply)
    assert ran.value == [None, None, None, "ok"]
    (warning,) = ran.logs
    assert warning.startswith("parallel (line 7): 3 of 4 failed: 1 KeyError, 2 rate_limited; first KeyError: 'a'")


def test_what_a_stopped_fan_out_never_started_is_forgiven(child: ForkServer) -> None:
    source = """
    async def f(name):
        return await agent(name)
    async def further(name):
        await agent(name)
        await parallel([f("d")])
    async def main(args):
        fan_out = parallel([further("first"), f("a"), f("b"), agent("c"), parallel([f("d")])], limit=2)
        try:
            await fan_out
        except BudgetExceeded as error:
            results = error.results
        await agent("later")
        fan_out = None
        garbage = [[i] for i in range(200_000)]  # so that the collector runs
        return results
    """
    script = child.script(source)
    calls = [frame for frame in script.until_quiet() if frame["t"] == "call"]
    script.send(fault(calls[1], "BudgetExceeded"), answer(1, "in flight"), answer(3, "later"))
    ran = script.until_end()
    assert ran.value == [None] * 5
    assert ran.logs == []


def test_an_error_of_the_script_comes_before_what_it_forgot(child: ForkServer) -> None:
    assert run(child, 'agent("forgotten")\nraise ValueError("mine")').error == ("ValueError", "mine", 2)


def test_a_returned_step_is_awaited(child: ForkServer) -> None:
    source = """
    async def inner():
        return agent("inner")
    async def main(args):
        found = await parallel([inner(), inner, lambda: agent("l"), lambda: "plain", parallel([agent("nested")])])
        return parallel([agent("last"), lambda: found])
    """
    assert run(child, source).value == ["last", ["inner", "inner", "l", "plain", ["nested"]]]


def test_awaiting_something_else_says_what_can_be_awaited(child: ForkServer) -> None:
    kind, message, line = run(child, "x = 1\nawait has_model").error
    assert (kind, line) == ("TypeError", 2)
    assert message.endswith("only steps, parallel(), pipeline() and your own async functions can be awaited")
    message = run(child, 'await phase("A")').error[1]
    assert message == "phase(...) is not awaited: write it without `await`"


def test_detail_gives_a_step_result(child: ForkServer) -> None:
    source = """
    r = await agent("x", detail=True)
    return [r.value, r.patch, r.files, r.usage, r.turns, r.model, r.step, r.cached]
    """
    script = child.script(source)
    script.until_quiet()
    detail = {"value": {"a": 1}, "usage": {"input_tokens": 3}, "turns": 2, "model": "m", "step": "s1", "cached": True}
    script.send(answer(1, {**detail, "patch": None, "files": [], "of_a_later_version": 1}))
    assert script.until_quiet()[-1]["value"] == [{"a": 1}, None, [], {"input_tokens": 3}, 2, "m", "s1", True]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("{'a': [1, {2}]}", "the result['a'][1] is a set"),
        ("{(1, 2): 3}", "the result has a tuple as a key"),
        ("[float('inf')]", "the result[0] is inf, which JSON cannot hold"),
        ("now()", "the result is a datetime"),
        ("log", "the result is a method"),
        ("budget", "the result is a Budget"),
        ("await agent('x', detail=True)", "the result is a StepResult"),
    ],
)
def test_a_result_that_is_not_json_is_named_with_its_place(child: ForkServer, result: str, message: str) -> None:
    detail = {"value": 1, "usage": {}, "turns": 1, "model": "m", "step": "s", "cached": False}
    kind, said, _ = child.script(f"return {result}").serve(lambda call: answer(call["id"], detail)).error
    assert kind == "TypeError"
    assert said.startswith(message)


def test_tuples_and_whole_number_keys_become_json(child: ForkServer) -> None:
    assert run(child, "return (1, [2, (3,)], {4: None}, args)", args={"a": {"b": 1}}).value == [
        1,
        [2, [3]],
        {"4": None},
        {"a": {"b": 1}},
    ]


def test_a_result_that_contains_itself_or_is_too_deep_is_an_error(child: ForkServer) -> None:
    assert "contains itself" in run(child, "x = []\nx.append(x)\nreturn x").error[1]
    deep = "x = []\nfor _ in range({n}):\n    x = [x]\nreturn x"
    for n in (250, 5_000):
        assert "nested too deeply" in run(child, deep.format(n=n)).error[1]
    assert run(child, deep.format(n=150)).end["t"] == "done"
    assert run(child, 'return "[" * 1000 + "{" * 1_000_000').end["t"] == "done"
