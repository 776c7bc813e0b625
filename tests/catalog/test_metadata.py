"""What a workflow may say of itself, and what is said where it says it wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from vibe_workflows.catalog.discovery import Origin, WorkflowFile, WorkflowSource, workflow_source
from vibe_workflows.catalog.index import Index, Report
from vibe_workflows.catalog.metadata import Metadata, build_metadata, known_metadata, read_metadata
from vibe_workflows.engine.ports import Limits
from vibe_workflows.sandbox.checker import open_checker
from vibe_workflows.sandbox.launcher import Zygote


def report(**meta: Any) -> Report:
    return {
        "docstring": "\n  What it does.\n  More.\n",
        "meta": meta,
        "meta_line": 4,
        "body": "main",
        "phases_used": ["A"],
    }


def source(name: str, text: str) -> WorkflowSource:
    return workflow_source(WorkflowFile(name=name, path=Path(f"/p/{name}.py"), origin=Origin.PROJECT), text)


def test_all_that_a_workflow_may_say_is_taken_over() -> None:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    held = build_metadata(
        "flow",
        report(
            when_to_use="often",
            phases=["A", "B"],
            args=schema,
            budget={"tokens": 5, "usd": 0.5},
            model="fast",
            concurrency=3,
            permissions=["write", "command:pytest"],
        ),
    )
    assert (held.name, held.description, held.when_to_use) == ("flow", "What it does.", "often")
    assert (held.phases, held.phases_used, held.body) == (("A", "B"), ("A",), "main")
    assert held.args == schema
    assert held.budget == Limits(tokens=5, microusd=500_000)
    assert (held.model, held.concurrency, held.permissions) == ("fast", 3, ("write", "command:pytest"))
    assert held.problems == ()


def test_name_and_description_may_be_said_in_words() -> None:
    held = build_metadata("flow", report(name="The Flow", description="Better words."))
    assert (held.name, held.description) == ("The Flow", "Better words.")


def test_a_file_that_says_nothing_has_a_name() -> None:
    held = build_metadata("flow", {"docstring": None, "meta": None, "meta_line": None, "body": "toplevel"})
    assert (held.name, held.description, held.budget, held.problems) == ("flow", "", Limits(), ())


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"phase": ["A"]}, 'meta["phase"]: unknown key; did you mean `phases`?'),
        ({"name": ""}, 'meta["name"]: a text is needed'),
        ({"description": 7}, 'meta["description"]: a text is needed, not 7'),
        ({"phases": "A"}, 'meta["phases"]: a list of titles is needed'),
        ({"phases": ["A", "A"]}, "a title stands there twice"),
        ({"args": []}, 'meta["args"]: a JSON Schema is needed'),
        ({"args": {"type": "array"}}, 'the "type" of the arguments is "object", not \'array\''),
        ({"args": {"properties": ["a"]}}, '"properties" maps names to schemas'),
        ({"args": {"properties": {"a": 1}}}, '"properties" maps names to schemas'),
        ({"args": {"required": "a"}}, '"required" is a list of names'),
        ({"args": {"properties": {"_a": {}}}}, "`_a` is no argument's name"),
        ({"args": {"properties": {"a=b": {}}}}, "`a=b` is no argument's name"),
        ({"budget": "lots"}, 'meta["budget"]: tokens such as `200k`, dollars such as `$1.50`'),
        ({"budget": {"dollars": 1}}, "`dollars` is no unit of a budget"),
        ({"model": "http://x/y"}, "holds an address"),
        ({"concurrency": 0}, "a number from 1 to 1,000 is needed"),
        ({"concurrency": "4"}, "a whole number is needed"),
        ({"permissions": "write"}, "a list of names is needed"),
        ({"permissions": ["wirte"]}, "did you mean `write`?"),
    ],
)
def test_what_is_said_wrongly_is_a_problem_with_its_line(meta: dict[str, Any], message: str) -> None:
    held = build_metadata("flow", report(**meta))
    assert len(held.problems) == 1
    assert held.problem_lines("flow.py")[0].startswith("flow.py:4:1: meta[")
    assert message in held.problems[0].message


def test_problems_of_the_child_and_of_the_keys_stand_side_by_side() -> None:
    found = {**report(phase=1), "problems": [{"line": 9, "column": 2, "message": "`class` is not available"}]}
    assert build_metadata("flow", found).problem_lines("f.py") == (
        "f.py:9:2: `class` is not available",
        'f.py:4:1: meta["phase"]: unknown key; did you mean `phases`?',
    )


class Reader:
    """Reports the source as the description; a source that says BOOM ends the whole call, as a hostile one may."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    async def read_metadata(self, files: Sequence[tuple[str, str]]) -> Sequence[Report]:
        await trio.lowlevel.checkpoint()
        self.calls.append([Path(path).stem for path, _ in files])
        if any("BOOM" in text for _, text in files):
            raise ValueError("reading the workflows took more than 2 s")
        return [{"docstring": text, "problems": []} for _, text in files]


def test_a_file_is_read_once_and_again_only_when_it_changed(tmp_path: Path) -> None:
    reader = Reader()
    sources = [source("a", "one"), source("b", "two"), source("c", "one")]
    with Index(tmp_path) as index:
        assert known_metadata(sources, index) == [None, None, None]
        first = trio.run(read_metadata, sources, reader, index)
        assert [held.description for held in first] == ["one", "two", "one"]
        assert [held.name for held in first] == ["a", "b", "c"]
    with Index(tmp_path) as index:
        assert known_metadata(sources, index) == first
        sources[1] = source("b", "three")
        again = trio.run(read_metadata, sources, reader, index)
        assert again[1].description == "three"
    assert [len(call) for call in reader.calls] == [2, 1]


def test_one_file_that_ends_the_reader_costs_the_others_nothing(tmp_path: Path) -> None:
    reader = Reader()
    sources = [source(f"f{number}", "BOOM" if number == 5 else f"text {number}") for number in range(9)]
    with Index(tmp_path) as index:
        held = trio.run(read_metadata, sources, reader, index)
        assert [number for number, found in enumerate(held) if found.problems] == [5]
        assert held[5].problem_lines("f5.py") == ("f5.py:1:1: reading the workflows took more than 2 s",)
        known = known_metadata(sources, index)
    assert [number for number, found in enumerate(known) if found is None] == [5]


def test_many_large_files_are_read_in_parts(tmp_path: Path) -> None:
    reader = Reader()
    sources = [source(f"f{number}", f"{number}" + " " * 900_000) for number in range(7)]
    with Index(tmp_path) as index:
        trio.run(read_metadata, sources, reader, index)
    assert [len(call) for call in reader.calls] == [2, 2, 2, 1]


def test_the_locked_worker_reads_good_and_broken_files_alike(zygote: Zygote, tmp_path: Path) -> None:
    sources = [
        source("good", '"""Does it.\n\nMore."""\nmeta = {"phases": ["A"]}\nasync def main(args):\n    phase("A")\n'),
        source("typo", '\nmeta = {"phase": ["A"]}\nreturn 1\n'),
        source("syntax", "def main(:\n"),
        source("living", "meta = {'phases': [x for x in 'ab']}\nreturn 1\n"),
        source("deep", "x = " + "(" * 5000 + ")" * 5000),
    ]

    async def main() -> list[Metadata]:
        async with open_checker(zygote) as checker:
            with Index(tmp_path) as index:
                fresh = await read_metadata(sources, checker, index)
                assert known_metadata(sources, index) == fresh
                return fresh

    good, typo, syntax, living, deep = trio.run(main)
    assert (good.description, good.phases, good.phases_used, good.problems) == ("Does it.", ("A",), ("A",), ())
    assert typo.problem_lines("typo.py") == ('typo.py:2:1: meta["phase"]: unknown key; did you mean `phases`?',)
    assert syntax.problem_lines("syntax.py")[0].startswith("syntax.py:1:10: syntax error")
    assert living.problem_lines("living.py")[0].startswith("living.py:1:19: ")
    assert deep.problems
