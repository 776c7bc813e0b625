"""Tools, schemas and replays with the checker that the product uses: a locked process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trio

from tests.support.agents import Bench, asks, says
from tests.support.projects import Project
from tests.support.sandbox import running_forker
from vibe_workflows.engine.agents.prompts import SUBMIT_TOOL
from vibe_workflows.engine.agents.structured import judge, prepare_schema
from vibe_workflows.engine.errors import SetupError, ToolFailed
from vibe_workflows.engine.model import JSON
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.ports import Checker
from vibe_workflows.sandbox.checker import LockedChecker

T = TypeVar("T")


def _locked(main: Callable[[Checker], Awaitable[T]], *, request_s: float = 2.0) -> T:
    async def run() -> T:
        async with running_forker() as forker:
            return await main(LockedChecker(forker, request_s=request_s))

    return trio.run(run)


def _fill(project: Project) -> None:
    project.write(".gitignore", "*.log\nbuild/\n")
    project.write("sub/.gitignore", "!keep.log\n/private\n")
    for path in ("a.py", "x.log", "build/b.py", "sub/keep.log", "sub/private/c.py", "sub/d/e.py", "sub/d/e.ts"):
        project.write(path, f"needle in {path}\nNeedle again\n")


CALLS: list[tuple[str, dict[str, JSON]]] = [
    ("list_files", {}),
    ("list_files", {"path": "sub"}),
    ("glob", {"pattern": "**"}),
    ("glob", {"pattern": "**/*.{py,ts}", "path": "sub"}),
    ("glob", {"pattern": "["}),
    ("grep", {"pattern": "needle"}),
    ("grep", {"pattern": "needle", "ignore_case": True, "limit": 3}),
    ("grep", {"pattern": "needle", "glob": "*.ts"}),
    ("grep", {"pattern": "("}),
]


async def _results(project: Project) -> list[Any]:
    results: list[Any] = []
    for tool, arguments in CALLS:
        try:
            results.append(await project.tools.get(tool).run(arguments))
        except ToolFailed as error:
            results.append(error.message)
    return results


def test_the_locked_checker_gives_what_its_functions_give_in_place(tmp_path: Path) -> None:
    _fill(Project(tmp_path))
    locked = _locked(lambda checker: _results(Project(tmp_path, checker)))
    assert locked == trio.run(_results, Project(tmp_path))
    assert [type(result) for result in locked].count(str) == 2


def test_a_pattern_that_never_ends_is_an_error_for_the_model_and_the_next_call_works(tmp_path: Path) -> None:
    async def main(checker: Checker) -> None:
        project = Project(tmp_path, checker)
        project.write("a", "a" * 40 + "b\n")
        bench = Bench(
            [asks(("grep", '{"pattern":"(a+)+$"}')), asks(("grep", '{"pattern":"a+b"}')), says("done")],
            tools=project.tools.select(["read"]),
        )
        await bench.advance()
        assert "takes more than" in bench.calls[1, 1].output
        assert bench.calls[2, 1].outcome == "ok"

    _locked(main, request_s=0.4)


def test_a_large_tree_is_searched_in_batches(tmp_path: Path) -> None:
    async def main(checker: Checker) -> None:
        project = Project(tmp_path, checker)
        for number in range(8):
            project.write(f"large{number}", 'word \N{BULLET} \\ "quoted"\n' * 70_000 + "needle\n")
        found: Any = (await project.tools.get("grep").run({"pattern": "needle$"})).data
        assert [match["line"] for match in found["matches"]] == [70_001] * 8

    _locked(main)


def test_calls_that_run_together_share_the_workers(tmp_path: Path) -> None:
    async def main(checker: Checker) -> None:
        project = Project(tmp_path, checker)
        _fill(project)
        bench = Bench(
            [asks(*[("grep", f'{{"pattern":"needle","limit":{n}}}') for n in range(1, 20)]), says("done")],
            tools=project.tools.select(["read"]),
        )
        outcome = await bench.advance()
        assert {call.outcome for call in bench.calls.values()} == {"ok"}
        assert await Replayer(project.tools.by_name.values()).holds(outcome.observations) is None

    _locked(main)


def test_a_cancelled_search_leaves_the_checker_usable(tmp_path: Path) -> None:
    async def main(checker: Checker) -> None:
        project = Project(tmp_path, checker)
        project.write("a", "a" * 40 + "b\n")
        grep = project.tools.get("grep")
        with trio.move_on_after(0.3) as scope:
            await grep.run({"pattern": "(a+)+$"})
        assert scope.cancelled_caught
        assert (await grep.run({"pattern": "b$"})).text.startswith("a:1:")

    _locked(main)


def test_answers_are_validated_in_the_locked_process() -> None:
    schema: JSON = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}

    async def main(checker: Checker) -> None:
        replies = [asks((SUBMIT_TOOL, '{"value": ["a"]}')), asks((SUBMIT_TOOL, '{"value": [1, 2]}'))]
        bench = Bench(replies, schema=schema, native=False, checker=checker)
        assert (await bench.advance()).answer == [1, 2]
        assert "'a' is not of type 'integer'" in bench.seen[1].messages[-1].text
        wrongs: list[JSON] = [{"$ref": "http://127.0.0.1:1/x"}, {"$ref": "file:///etc/passwd"}, {"type": 5}]
        for wrong in wrongs:
            with pytest.raises(SetupError):
                await prepare_schema(wrong, checker)

    _locked(main)


def test_an_answer_that_makes_the_check_endless_fails_only_its_own_step() -> None:
    async def main(checker: Checker) -> None:
        prepared = await prepare_schema({"type": "string", "pattern": "^(a+)+$"}, checker)
        judged = await judge(prepared, "a" * 40 + "b", checker)
        assert "could not be checked" in judged.problems[0]
        assert (await judge(prepared, "aaa", checker)).answer == "aaa"

    _locked(main, request_s=0.4)
