"""The plan of a script: what is read from its source, in the locked worker, and how it is drawn."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.documentation.pages import ROOT
from vibe_workflows.cli.render.plan import plan_lines
from vibe_workflows.sandbox.checker import open_checker
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.plan.nodes import MOST_NODES
from vibe_workflows.sandbox.plan.outline import read_plan
from vibe_workflows.sandbox.replies import PlanNode

WORKFLOWS = sorted([*(ROOT / "examples/workflows").glob("*.py"), *(ROOT / "catalog/workflows").glob("*_*.py")])


def told(source: str) -> list[str]:
    """Each node on a line: two blanks a level, then kind and title."""
    return list(_told(read_plan(dedent(source)), ""))


def _told(nodes: list[dict[str, Any]], indent: str) -> Any:
    for node in nodes:
        yield f"{indent}{node['kind']} {node['title']}".rstrip()
        yield from _told(node["children"], indent + "  ")


def test_phases_hold_what_follows_them_and_fan_outs_what_they_run() -> None:
    assert told(
        """
        async def main(args):
            phase("Look")
            files = (await tool("glob", pattern="*.py"))["paths"]
            phase("Review")
            found = await parallel(agent(f"Review {path}.", label=path) for path in files if path)
            with phase("Report", budget="10k"):
                return await agent("Merge.", label="merge")
        """
    ) == [
        "phase Look",
        "  tool glob pattern=*.py",
        "phase Review",
        "  parallel for path in files if path",
        "    agent {path}",
        "phase Report",
        "  agent merge",
    ]


def test_loops_branches_and_errors_stand_around_the_steps_that_they_decide_on() -> None:
    assert told(
        """
        n = 0
        while budget.remaining() > 1000 and n < 5:
            n += 1
            if n > 1:
                await agent("Go on.", label="on")
            elif n:
                log("nothing to do here")
            else:
                await agent("Begin.", label="begin")
        try:
            await agent("Sum up.", label="sum")
        except AgentError:
            await agent("Say why not.", label="why")
        for x in "ab":
            log(x)
        """
    ) == [
        "loop while budget.remaining() > 1000 and n < 5",
        "  if if n > 1",
        "    agent on",
        "  else else",
        "    agent begin",
        "agent sum",
        "except on AgentError",
        "  agent why",
    ]


def test_functions_of_the_script_are_expanded_where_they_are_called_and_one_that_calls_itself_once() -> None:
    assert told(
        """
        async def ask(x):
            return await agent(x, label="ask")

        async def deeper(n):
            await ask("a")
            await ask("b")
            return await deeper(n - 1)

        async def main(args):
            async def review(path):
                return agent(path, label="inner")

            await pipeline(args.paths, review, lambda found: agent(found, label="second"))
            await race([ask("x"), lambda: ask("y")], until=lambda found: found)
            await deeper(3)
        """
    ) == [
        "pipeline for each of args.paths",
        "  stage review",
        "    agent inner",
        "  stage",
        "    agent second",
        "race",
        "  agent ask",
        "  agent ask",
        "call deeper",
        "  agent ask",
        "  agent ask",
        "  call deeper() again",
    ]


def test_a_prompt_is_told_where_a_function_or_a_name_of_the_script_holds_it() -> None:
    nodes = read_plan(
        dedent(
            """
            SUM = "Sum up."
            def prompt(path):
                return f"Review {path}" + " for bugs."
            await agent(prompt("a"), tools=["read", "web"], schema=FOUND, gate=["pytest", "-q"], model=None)
            await agent(SUM, isolation="worktree", merge="manual")
            await agent(elsewhere["x"])
            """
        )
    )
    assert [node["prompt"] for node in nodes] == ["Review {path} for bugs.", "Sum up.", "{elsewhere['x']}"]
    assert nodes[0]["notes"] == ["tools read, web", "schema FOUND", "gate pytest -q"]
    assert nodes[1]["notes"] == ["worktree", "merge manual"]


def test_what_the_script_names_itself_is_no_primitive() -> None:
    assert told("def agent(x):\n    return x\nawait tool('glob', pattern=agent('x'))\n") == [
        "tool glob pattern=agent('x')"
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_every_step_that_a_workflow_of_ours_spells_out_is_in_its_plan(path: Path) -> None:
    tree = ast.parse(path.read_text())
    steps = ("agent", "tool", "parallel", "pipeline", "race", "merge")
    written = {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in steps
    }
    assert written <= set(_lines(read_plan(path.read_text())))


def _lines(nodes: list[dict[str, Any]]) -> Any:
    for node in nodes:
        yield node["line"]
        yield from _lines(node["children"])


# ---------------------------------------------------------------- hostile sources

DOUBLING = "\n".join(
    ["def f0():\n    pass"] + [f"async def f{n}():\n    f{n - 1}()\n    f{n - 1}()" for n in range(1, 29)] + ["f28()"]
)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (DOUBLING, "too many steps"),
        ("agent('x')\n" * (MOST_NODES + 1), "too many steps"),
        ("x = " + "(" * 5000 + ")" * 5000, "cannot be read|nested too deeply"),
        ("x = " + "-" * 50_000 + "1", "cannot be read|nested too deeply|memory"),
        ("a" + ".a" * 20_000 + "()", "cannot be read|nested too deeply|memory|time|wrong"),
        ("def", "cannot be read"),
    ],
    ids=["doubling", "many", "parentheses", "minus", "attributes", "syntax"],
)
def test_a_hostile_source_costs_a_message(source: str, why: str) -> None:
    async def main() -> None:
        async with open_checker(zygote) as checker:
            with pytest.raises(ValueError, match=why):
                await checker.read_plan(source)
            assert (await checker.read_plan("await agent('x', label='still here')"))[0].title == "still here"

    zygote = start_zygote()
    try:
        trio.run(main)
    finally:
        zygote.close()


SOURCES = [path.read_text() for path in WORKFLOWS]


@given(st.sampled_from(SOURCES), st.data())
def test_any_part_of_a_source_has_a_plan_or_none(source: str, data: st.DataObject) -> None:
    lines = source.splitlines()
    start = data.draw(st.integers(0, len(lines)))
    part = dedent("\n".join(lines[start : data.draw(st.integers(start, len(lines)))]))
    with suppress(ValueError):  # what does not parse has none
        assert len(list(_lines(read_plan(part)))) <= MOST_NODES


# ---------------------------------------------------------------- the drawing


def node(kind: str, title: str, *children: PlanNode, notes: tuple[str, ...] = (), prompt: str = "") -> PlanNode:
    return PlanNode(kind=kind, title=title, line=1, prompt=prompt, notes=notes, children=children)


ASK = node("agent", "{path}", notes=("tools read",), prompt="Do.")
PLAN = (
    node("phase", "Review", node("parallel", "for path in files", ASK), node("tool", "glob")),
    node("agent", "merge"),
)


def test_the_drawing_is_a_tree() -> None:
    assert plan_lines(PLAN, width=None, colour=False) == [
        "Review",
        "├─ parallel  for path in files",
        "│  └─ agent  {path}  [tools read]  Do.",
        "└─ tool  glob",
        "agent  merge",
    ]


def test_no_line_is_wider_than_the_terminal_and_nothing_of_it_is_obeyed() -> None:
    hostile = (node("phase", "\x1b[2Jx" * 30, node("agent", "a\nb\u202e" * 40, prompt="p" * 300)),)
    for width in (20, 80):
        lines = plan_lines(hostile, width=width, colour=False)
        assert len(lines) == 2
        assert all(len(line) <= width for line in lines)
        assert not any(mark in "".join(lines) for mark in "\x1b\n\u202e")
