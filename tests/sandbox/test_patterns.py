"""All patterns together: their examples, their module, the sandbox that scripts call them in, and their page."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.test_script_module import check_types
from tests.support.script_child import ForkServer, fork_server
from vibe_workflows import patterns
from vibe_workflows.sandbox.facades import registry
from vibe_workflows.sandbox.facades.module import members

ROOT = Path(__file__).parents[2]
TYPES = {"Outcome", "Standing", "Verdict"}
FUNCTIONS = sorted(set(patterns.__all__) - TYPES)


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_each_function_runs(name: str) -> None:
    function = getattr(patterns, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(function, name, globs=dict(vars(patterns)))
    assert found.examples, "each function has an example"
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(found, out=said.append)
    assert result.failed == 0, "".join(said)


def test_a_script_gets_what_an_editor_sees() -> None:
    module = registry.find("vibe_workflows.patterns")
    assert module is not None
    assert set(members(module)) == set(patterns.__all__)
    for name in FUNCTIONS:
        assert members(module)[name] is getattr(patterns, name)


def test_the_import_is_light() -> None:
    heavy = ["msgspec", "trio", "asyncio", "RestrictedPython", "json"]
    code = f"import sys, vibe_workflows.patterns; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-S", "-c", _PATHS + code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_PATHS = f"import sys; sys.path += [{str(ROOT / '.typing')!r}];"

IN_A_WORKFLOW = """
from vibe_workflows.patterns import batches, chunks, dedup, dry, fresh, pairings, rank, survives, token_count

async def compare(i, j):
    better = await agent(f"{i} or {j}?")
    return i, j, None if better == "unsure" else int(better)

def place(finding):
    return {"path": finding["path"], "lines": [finding["line"]]}

async def main(args):
    seen, counts = [], []
    while not dry(counts) and len(counts) < 9:
        found = [f for f in await parallel(agent(f"find {n}", schema={}) for n in range(3)) if f]
        new = fresh(found, seen, place)
        counts.append(len(new))
        seen = dedup(seen + new, key=place, merge=lambda kept, other: {**other, **kept})
    votes = await parallel((agent("does it hold?") for _ in range(3)), on_error="return")
    pieces = chunks("one two three\\n\\nfour five", tokens=6, overlap=2)
    said = await parallel(agent(f"sum up {part}") for part in pieces)
    outcomes = await parallel(compare(i, j) for i, j in pairings(4))
    return {
        "seen": seen, "counts": counts, "stands": survives(votes, holds=lambda vote: vote == "yes", quorum=2),
        "pieces": pieces, "said": batches(said, tokens=8, text=lambda part: part), "tokens": token_count(text="x" * 30),
        "ranked": rank(items=["c", "a", "d", "b"], outcomes=outcomes), "pairs": pairings(3, rounds=1),
    }
"""


def test_a_script_uses_each_of_them(child: ForkServer) -> None:
    def reply(call: dict[str, Any]) -> Any:
        prompt = call["p"]["prompt"]
        if prompt.startswith("find"):
            return {"path": "a.py", "line": int(prompt[-1]) // 2}
        if "or" in prompt and prompt.endswith("?") and prompt != "does it hold?":
            names = "cadb"
            return min(prompt[0], prompt[-2], key=lambda place: names[int(place)])
        return "yes"

    ran = child.script(IN_A_WORKFLOW).serve(reply)
    assert ran.value == {
        "seen": [{"path": "a.py", "line": 0}, {"path": "a.py", "line": 1}],
        "counts": [2, 0, 0],
        "stands": "confirmed",
        "pieces": ["one two ", "two three\n\n", "four five"],
        "said": [["yes"] * 3],
        "tokens": 10,
        "ranked": ["a", "b", "c", "d"],
        "pairs": [[1, 2]],
    }


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("survives(parallel([agent('x')]), bool)", "write survives(await parallel(...), ...)"),
        ("survives([agent('x')], bool)", "a vote has not run"),
        ("dedup([agent('x'), agent('x')])", "an item has not run"),
        ("dedup([1], late)", "the key has to be a plain function"),
        ("dedup([1], lambda each: (n for n in [each]))", "a key of type generator has no value to compare"),
        ("dedup([1], lambda each: log)", "a key is a function that nobody called"),
        ("dedup(args)", "the items are a list, not a dict"),
        ("chunks(agent('x'), 5)", "the text has not run"),
        ("fenced(agent('x'))", "write fenced(await agent(...))"),
        ("fenced('x', 'a\\nb')", "the name is a word of your own on one line"),
        ('words("\'a")', "a ' is not closed in"),
        ("rank([1, 2], [compare()])", "an outcome has not run"),
        ("rank([1, 2], [(0, 1, True)])", "the winner is 0, 1, or None where nobody could say, not True"),
        ("batches([1], 5, text=late)", "`text` has to be a plain function"),
        ("majority([1], late)", "the test has to be a plain function"),
    ],
)
def test_a_wrong_use_ends_a_workflow_with_its_line(child: ForkServer, expression: str, message: str) -> None:
    names = ", ".join(FUNCTIONS)
    source = f"from vibe_workflows.patterns import {names}\nasync def late(each): pass\nasync def compare(): pass\n"
    _, said, line = child.script(f"{source}return {expression}\n").serve(lambda call: "x").error
    assert message in said
    assert line == 4


def test_hostile_sizes_end_in_time_that_grows_with_them(child: ForkServer) -> None:
    source = """
    from vibe_workflows.patterns import chunks, dedup, fresh, pairings, rank
    items = [{"n": n % 30_000} for n in range(60_000)]
    texts = ["\\n" * 4_000_000, "a" * 4_000_000, ("x\\n\\n" + "y" * 3_000) * 1_000]
    pairs = pairings(400)
    return [
        len(dedup(items)), len(fresh(items, items[:100])), len(rank(range(400), [(i, j, j) for i, j in pairs])),
        *(len(chunks(text, tokens, tokens // 2)) > 0 for text in texts for tokens in (500, 10 ** 40)),
    ]
    """
    ran = child.script(source).serve(lambda call: "x")
    assert ran.value == [30_000, 29_900, 400, *[True] * 6]


TYPED = """
from vibe_workflows.patterns import (
    Outcome, Standing, batches, chunks, dedup, dry, fresh, pairings, rank, survives, token_count
)
from vibe_workflows.script import agent, parallel

async def compare(i: int, j: int) -> Outcome:
    return i, j, int(await agent("x"))

async def main() -> Standing:
    found: list[dict[str, int]] = dedup([{"a": 1}], lambda each: each["a"], lambda kept, other: {**kept, **other})
    new: list[dict[str, int]] = fresh(found, found, key=lambda each: [each["a"]])
    ranked: list[str] = rank(["a", "b"], await parallel(compare(i, j) for i, j in pairings(2, rounds=1)))
    parts: list[list[str]] = batches(chunks("text", 5, overlap=1), token_count("text"), text=str.upper)
    if dry([len(new), None], rounds=3) or ranked or parts:
        return "unverified"
    votes = await parallel((agent("x", schema={}) for _ in range(3)), on_error="return")
    return survives(votes, holds=lambda vote: bool(vote["holds"]), quorum=2)
"""


def test_a_type_checker_knows_them() -> None:
    assert "Success" in check_types(TYPED)
    wrong = TYPED.replace("rounds=3", "rounds='3'").replace("each['a']]", "each.b]").replace("str.upper", "len")
    assert check_types(wrong).count(": error:") == 2


def test_signatures_are_what_the_page_says() -> None:
    page = (ROOT / "docs/patterns.md").read_text()
    for name in FUNCTIONS:
        function = getattr(patterns, name)
        arguments = ", ".join(
            parameter.name
            if parameter.default is inspect.Parameter.empty
            else f"{parameter.name}={_default(parameter)}"
            for parameter in inspect.signature(function).parameters.values()
        )
        assert f"## {name}({arguments})\n" in page


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    return json.dumps(default) if isinstance(default, str) else getattr(default, "__name__", repr(default))


def test_the_page_shows_the_examples_of_the_functions_and_no_others() -> None:
    page = (ROOT / "docs/patterns.md").read_text()
    shown = doctest.DocTestParser().get_examples(page.replace("```", ""))
    own = [
        example
        for section in page.split("\n## ")[1:]
        if (name := section.partition("(")[0]) in FUNCTIONS
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(getattr(patterns, name)) or "")
    ]
    assert [(each.source, each.want) for each in shown] == [(each.source, each.want) for each in own]
