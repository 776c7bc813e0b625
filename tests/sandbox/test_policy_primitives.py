"""The names of the primitives: free inside functions, fixed at module level, and never two things in one place."""

from __future__ import annotations

import pytest

from tests.sandbox.policy_scripts import refusals, run
from vibe_workflows.sandbox.names import NOT_YET, PRIMITIVES


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
@pytest.mark.parametrize(
    "template",
    [
        "{0} = 1",
        "for {0} in []: pass",
        "def {0}(): pass",
        "import json as {0}",
        "del {0}",
        "({0} := 1)",
        "[({0} := 1) for x in y]",
        "def f():\n    global {0}",
        "with x as {0}: pass",
        "match x:\n    case {{'a': {0}}}: pass",
    ],
)
def test_a_primitive_may_not_be_rebound_at_module_level(name: str, template: str) -> None:
    found = refusals(template.format(name))
    why = "is kept for a primitive of a later version" if name in NOT_YET else "may not be rebound at module level"
    assert any(f"`{name}` is" in problem and why in problem for problem in found)


SHADOWED = [
    ("def f():\n    for phase in a:\n        phase('x')", 3, 2),
    ("def f(agent):\n    return agent('x')", 2, 1),
    ("def f():\n    log = []\n    log('x')", 3, 2),
    ("def f():\n    log('x')\n    log = []", 2, 3),
    ("def f():\n    budget = budget or 5", 2, 2),
    ("def f(budget):\n    return budget.remaining()", 2, 1),
    ("def f(random):\n    return random.choice(a)", 2, 1),
    ("def f():\n    for agent in agents:\n        g(lambda: agent('x'))", 3, 2),
    ("x = [agent(agent) for agent in names]", 1, 1),
    ("async def main():\n    args = args or {}", 2, 2),
    ("def f():\n    with x as log:\n        log('x')", 3, 2),
    ("def f():\n    try:\n        pass\n    except ValueError as log:\n        log('x')", 5, 4),
    ("def f(x):\n    match x:\n        case {'phase': phase}:\n            phase('x')", 4, 3),
    ("def f():\n    if (tool := g()):\n        tool('x')", 3, 2),
]


@pytest.mark.parametrize(("source", "line", "shadow"), SHADOWED)
def test_using_a_primitive_where_it_is_shadowed_names_both_lines(source: str, line: int, shadow: int) -> None:
    (problem,) = refusals(source)
    assert problem.startswith(f"{line}:")
    assert f"on line {line} is meant to be the primitive, but line {shadow} makes" in problem


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    for phase in a:\n        log(phase, phase.title())",
        "def f(agent):\n    return agent['name']",
        "x = [log for log in logs if log]",
        "x = {phase: agent for phase, agent in pairs}",
        "def f():\n    log = []\n    log.append(1)\n    return log",
        "def f():\n    def log(x):\n        return x\n    return log('x')",
        "def f():\n    log = lambda x: x\n    return log('x')",
        "def f(merge, race=None):\n    return merge, race",
        "def f(args):\n    return args.path, args['x']",
        "async def main(args):\n    return args.path",
        "async def main(a):\n    return a.path, args.path",
        "def f():\n    budget = 5\n    budget += 1\n    return budget > 3",
        "def f():\n    phase = 1\n    def g():\n        nonlocal phase\n        phase = 2\n    return g",
        "def f(phase):\n    return phase\nphase('x')",
        "import random\nx = random.random()",
        "from vibe_workflows.script import agent, log, phase\nphase('x')",
        "def f():\n    from vibe_workflows.script import agent\n    return agent('x')",
    ],
)
def test_a_primitive_may_be_shadowed_inside_a_function_or_comprehension(source: str) -> None:
    assert refusals(source) == []


def test_shadowing_does_what_python_does() -> None:
    assert run("""
        async def main(args):
            seen = []
            for agent in ["a", "b"]:
                seen.append(agent)
            return seen + [phase for phase in "cd"] + [await ask_one()]
        async def ask_one():
            return await agent("x")
    """) == ["a", "b", "c", "d", "<x>"]


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_a_primitive_of_a_later_version_is_named_as_such(name: str) -> None:
    assert refusals(f"x = {name}") == [f"1:5: `{name}` is not available in this version"]
    assert refusals(f"def f({name}):\n    return {name}") == []


@pytest.mark.parametrize("name", ["id", "input", "dir", "help", "open", "object", "vars", "compile", "time", "os"])
def test_a_name_that_a_script_defines_itself_is_not_refused(name: str) -> None:
    assert refusals(f"def f({name}):\n    return {name}({name}.x)") == []
    assert refusals(f"{name} = g()\nx = {name}({name}.x)") == []
    assert refusals(f"def f():\n    global {name}\n    {name} = g()\ndef h():\n    return {name}({name}.x)") == []
