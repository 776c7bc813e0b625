"""The locked worker: schemas, globs, ignore files, patterns and metadata of strangers, in bounded time and memory."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.test_host import children_of
from vibe_workflows.sandbox.checker import LockedChecker, Verdict, open_checker
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.patterns import ignored, match_paths

T = TypeVar("T")

CATASTROPHE = "^(a+)+$"
VICTIM = "a" * 60 + "b"


@asynccontextmanager
async def running_checker() -> AsyncIterator[LockedChecker]:
    zygote = start_zygote()
    try:
        async with open_checker(zygote, request_s=0.4) as checker:
            yield checker
    finally:
        zygote.close()


def check(work: Callable[[LockedChecker], Awaitable[T]]) -> T:
    async def main() -> T:
        async with running_checker() as checker:
            return await work(checker)

    return trio.run(main)


# ---------------------------------------------------------------- schemas

SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "default": "."},
        "depth": {"$ref": "#/$defs/count"},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"ok": {"type": "boolean", "default": True}}},
        },
    },
    "$defs": {"count": {"type": "integer", "default": 3}},
}


def test_a_value_is_validated_and_every_problem_names_its_place() -> None:
    async def work(checker: LockedChecker) -> list[Verdict]:
        return [
            await checker.validate(SCHEMA, {"path": 5, "items": [{"ok": 1}]}),
            await checker.validate(SCHEMA, []),
            await checker.validate(SCHEMA, {"path": "src"}),
        ]

    wrong, whole, right = check(work)
    assert wrong.problems == ("items[0].ok: 1 is not of type 'boolean'", "path: 5 is not of type 'string'")
    assert whole.problems == ("[] is not of type 'object'",)
    assert right.problems == ()


def test_defaults_are_filled_in_at_every_level_that_the_value_has_and_only_on_request() -> None:
    async def work(checker: LockedChecker) -> tuple[Verdict, Verdict]:
        value = {"items": [{}, {"ok": False}]}
        return await checker.validate(SCHEMA, value, fill_defaults=True), await checker.validate(SCHEMA, value)

    filled, as_given = check(work)
    assert msgspec.json.decode(filled.value) == {"path": ".", "items": [{"ok": True}, {"ok": False}]}
    assert msgspec.json.decode(as_given.value) == {"items": [{}, {"ok": False}]}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "text"}, "type: 'text' is no type of JSON; did you mean 'string'"),
        ([1], "a schema is an object"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:9/s"}}}, r"properties\.a\.\$ref: .* is not local"),
        ({"$ref": "file:///etc/passwd"}, "is not local"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$schema": "http://127.0.0.1:9/dialect"}, "is not a dialect"),
        ({"properties": {"a": {"$id": "http://x/y"}}}, "only the whole schema may have an \\$id"),
        ({"patternProperties": {"(": {}}}, "\\("),
        ({"pattern": "("}, "\\("),
        (nested(70), "64 levels"),
        ({"enum": list(range(30_000))}, "20,000 parts"),
    ],
)
def test_a_schema_that_cannot_be_used_is_told_to_its_author(schema: Any, problem: str) -> None:
    async def work(checker: LockedChecker) -> tuple[str, ...]:
        problems = await checker.check_schema(schema)
        with pytest.raises(ValueError, match="the schema cannot be used"):
            await checker.validate(schema, 1)
        return problems

    (first, *_) = check(work)
    assert re.search(problem, first)


def test_the_dialects_in_use_are_known() -> None:
    async def work(checker: LockedChecker) -> list[tuple[str, ...]]:
        return [
            await checker.check_schema({"$schema": dialect, "$ref": "#/definitions/a", "definitions": {"a": {}}})
            for dialect in (
                "http://json-schema.org/draft-04/schema#",
                "http://json-schema.org/draft-07/schema#",
                "http://json-schema.org/draft-07/schema",
                "https://json-schema.org/draft/2020-12/schema",
            )
        ]

    assert check(work) == [()] * 4


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"$ref": "#"}, 1, "refers to itself"),
        ({"pattern": CATASTROPHE}, VICTIM, "takes more than 0.4 s"),
        ({"properties": {"a": {"default": {}, "$ref": "#"}}}, {}, "64 levels deep"),
    ],
    ids=["circle", "catastrophic pattern", "circle of defaults"],
)
def test_a_schema_that_never_ends_is_stopped_and_the_next_request_is_served(
    schema: Any, value: Any, message: str
) -> None:
    async def work(checker: LockedChecker) -> tuple[str, ...]:
        with pytest.raises(ValueError, match=message):
            await checker.validate(schema, value, fill_defaults=True)
        return (await checker.validate({"type": "string"}, "x")).problems

    assert check(work) == ()


# ---------------------------------------------------------------- globs and ignore files

PATHS = ["a.py", "b.pyc", "src/a.py", "src/deep/c.ts", "src/deep/d.tsx", "src/.hidden/e.py", "docs/[x].md"]


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("*.py", ["a.py"]),
        ("**/*.py", ["a.py", "src/a.py", "src/.hidden/e.py"]),
        ("src/**", ["src/a.py", "src/deep/c.ts", "src/deep/d.tsx", "src/.hidden/e.py"]),
        ("src/*/*.{ts,tsx}", ["src/deep/c.ts", "src/deep/d.tsx"]),
        ("?.py*", ["a.py", "b.pyc"]),
        ("[!b].*", ["a.py"]),
        ("src/[!x]eep/c.ts", ["src/deep/c.ts"]),
        ("src[!x]a.py", []),
        ("docs/[[]x].md", ["docs/[x].md"]),
        ("**", PATHS),
        ("nothing", []),
    ],
)
def test_a_glob_matches_as_people_expect(pattern: str, matching: list[str]) -> None:
    assert [PATHS[number] for number in match_paths(pattern, PATHS)] == matching


@settings(max_examples=200)
@given(st.text("ab*?[]{},!-/\\.^&~|", max_size=12), st.text("ab/.", max_size=6))
def test_any_glob_is_evaluated_or_refused_in_words(pattern: str, path: str) -> None:
    try:
        match_paths(pattern, [path])
    except ValueError as error:  # re.error is none
        refused = str(error)
        assert refused.startswith("glob ")


def test_ignore_files_decide_as_git_does(tmp_path: Path) -> None:
    rules = {
        "": "*.log\n!keep.log\nbuild/\n/top\nsrc/gen/*\n!src/gen/kept.py\n# no\n\\#odd\n!\n[z-a]\na\\\n\\\n",
        "src": "*.tmp\n!x.log\n",
    }
    files = [
        "a.log", "keep.log", "top", "src/top", "src/x.log", "src/y.log", "src/a.tmp", "a.tmp", "build/x",
        "build/keep.log", "src/build/z", "src/gen/a.py", "src/gen/kept.py", "#odd", "plain.py",
    ]  # fmt: skip
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for folder, text in rules.items():
        (tmp_path / folder / ".gitignore").write_text(text, encoding="utf-8")
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--", *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert [files[number] for number in ignored(rules, files)] == asked.stdout.split()


def test_an_ignored_folder_is_named_with_its_slash() -> None:
    assert ignored({"": "build/\n"}, ["build/", "build", "src/build/"]) == [0, 2]


def test_a_glob_that_backtracks_without_end_is_stopped() -> None:
    async def work(checker: LockedChecker) -> list[str]:
        with pytest.raises(ValueError, match=r"the glob takes more than 0\.4 s"):
            await checker.match_paths("*a" * 12 + "b", ["a" * 400])
        return await checker.match_paths("*.py", ["a.py", "b"])

    assert check(work) == ["a.py"]


# ---------------------------------------------------------------- search


def test_a_search_gives_path_line_and_text_up_to_its_limit() -> None:
    files = [("a", "x\r\nTODO one\nto do\n"), ("b", "todo two"), ("c", "\x0cTODO\u2028three")]

    async def work(checker: LockedChecker) -> list[list[tuple[str, int, str]]]:
        return [
            await checker.search("todo", files, ignore_case=True, limit=10),
            await checker.search("todo", files, ignore_case=True, limit=2),
            await checker.search("todo", files, ignore_case=False, limit=10),
            await checker.search("todo", [], ignore_case=False, limit=10),
        ]

    everything, two, exact, none = check(work)
    assert everything == [("a", 2, "TODO one"), ("b", 1, "todo two"), ("c", 1, "\x0cTODO\u2028three")]
    assert two == everything[:2]
    assert exact == [("b", 1, "todo two")]
    assert none == []


def test_a_search_through_more_than_a_frame_keeps_its_line_numbers() -> None:
    files = [("big", "filler\n" * 700_000 + "needle\n" + "x" * 4_100_000 + "\nneedle"), ("small", "needle")]

    async def work(checker: LockedChecker) -> list[tuple[str, int, str]]:
        return await checker.search("^needle$", files, ignore_case=False, limit=10)

    assert check(work) == [("big", 700_001, "needle"), ("big", 700_003, "needle"), ("small", 1, "needle")]


@pytest.mark.parametrize(
    ("pattern", "text", "message"),
    [("(", "x", "is no regular expression"), (CATASTROPHE, VICTIM, "the pattern takes more than 0.4 s")],
)
def test_a_pattern_that_is_malformed_or_never_ends_is_told_to_its_author(pattern: str, text: str, message: str) -> None:
    async def work(checker: LockedChecker) -> None:
        with pytest.raises(ValueError, match=message):
            await checker.search(pattern, [("f", text)], ignore_case=False, limit=1)

    check(work)


# ---------------------------------------------------------------- metadata


def test_metadata_of_many_files_is_read_and_a_hostile_one_costs_only_itself() -> None:
    good = '"""Counts."""\nmeta = {"args": {"type": "object"}}\nasync def main(args):\n    phase("One")\n    return 1\n'
    hostile = "x = " + "9" * 4_000 + "\nmeta = {'a': " + "-" * 100_000 + "1}"
    files = [
        ("good.py", good),
        ("hostile.py", hostile),
        ("broken.py", "def ("),
        ("set.py", "meta = {'a': {1}}\nreturn 1"),
    ]

    async def work(checker: LockedChecker) -> list[dict[str, Any]]:
        assert await checker.read_metadata([]) == []
        return await checker.read_metadata(files)

    first, second, third, fourth = check(work)
    assert (first["docstring"], first["meta"], first["phases_used"]) == (
        "Counts.",
        {"args": {"type": "object"}},
        ["One"],
    )
    assert first["problems"] == []
    for report in (second, third, fourth):
        assert report["problems"][0]["message"]


def test_a_file_that_takes_too_much_to_read_does_not_hide_its_neighbours() -> None:
    slow = "a;" * 130_000

    async def work(checker: LockedChecker) -> list[dict[str, Any]]:
        return await checker.read_metadata([("slow.py", slow), ("good.py", "return 1\n")])

    slow_report, good_report = check(work)
    assert re.search("takes more than 0.4 s|more memory", slow_report["problems"][0]["message"])
    assert good_report["problems"] == []


# ---------------------------------------------------------------- lifecycle


def test_workers_are_used_again_and_metadata_gets_a_fresh_one_each_time() -> None:
    async def work(checker: LockedChecker) -> None:
        (zygote,) = children_of(os.getpid()) - others
        await checker.check_schema({})
        first = children_of(zygote)
        await checker.check_schema({})
        await checker.read_metadata([("a.py", "return 1")])
        assert children_of(zygote) == first
        assert len(first) == 1

    others = children_of(os.getpid())
    check(work)
    assert children_of(os.getpid()) == others


def test_a_cancelled_request_kills_its_worker() -> None:
    async def work(checker: LockedChecker) -> None:
        (zygote,) = children_of(os.getpid()) - others
        await checker.search("x", [("f", "x")], ignore_case=False, limit=1)
        with trio.move_on_after(0.05):
            await checker.search(CATASTROPHE, [("f", VICTIM)], ignore_case=False, limit=1)
        assert children_of(zygote) == set()

    others = children_of(os.getpid())
    check(work)


def test_more_requests_than_workers_wait_their_turn() -> None:
    async def work(checker: LockedChecker) -> int:
        async def one() -> None:
            await checker.check_schema({"type": "string"})
            done.append(1)

        done: list[int] = []
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
        return len(done)

    assert check(work) == 20
