"""What .gitignore files exclude is asked once, and the answer is that of the checker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import trio

from tests.support.projects import Project
from tests.support.trees import CountingChecker
from vibe_workflows.engine.agents.tools import ignore_memory
from vibe_workflows.engine.agents.tools.ignore_memory import IgnoreMemory


def _ask(memory: IgnoreMemory, rules: Mapping[str, str], *paths: str) -> Sequence[str]:
    async def ask() -> Sequence[str]:
        return await memory.ignored(rules, paths)

    return trio.run(ask)


def test_the_second_walk_asks_nothing_and_finds_the_same(tmp_path: Path) -> None:
    checker = CountingChecker()
    project = Project(tmp_path, IgnoreMemory(checker))
    project.write(".gitignore", "*.log\n")
    project.write("a.log")
    project.write("src/b.py")
    first = project.data("glob", pattern="**")
    assert first["paths"] == [".gitignore", "src/b.py"]
    asked = len(checker.asked)
    assert project.data("glob", pattern="**") == first
    assert len(checker.asked) == asked


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        (".gitignore", "b.py\n", [".gitignore", "a.log"]),
        ("new.log", "", [".gitignore", "src/b.py"]),
        ("new.py", "", [".gitignore", "new.py", "src/b.py"]),
        ("src/.gitignore", "b.py\n", [".gitignore", "src/.gitignore"]),
    ],
)
def test_other_rules_and_other_paths_are_another_question(
    tmp_path: Path, path: str, content: str, found: list[str]
) -> None:
    project = Project(tmp_path, IgnoreMemory(CountingChecker()))
    project.write(".gitignore", "*.log\n")
    project.write("a.log")
    project.write("src/b.py")
    project.data("glob", pattern="**")
    project.write(path, content)
    assert project.data("glob", pattern="**")["paths"] == found


def test_what_was_not_asked_for_the_longest_time_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignore_memory, "MAX_PATHS", 4)
    checker = CountingChecker()
    memory = IgnoreMemory(checker)
    rules = {"": "*.log"}
    for names in ("a", "b", "a", "c"):  # of two ignored paths each
        assert _ask(memory, rules, f"{names}1.log", f"{names}2.log") == (f"{names}1.log", f"{names}2.log")
    checker.asked.clear()
    _ask(memory, rules, "a1.log", "a2.log")
    assert checker.asked == []
    _ask(memory, rules, "b1.log", "b2.log")
    assert checker.asked == ["b1.log", "b2.log"]


def test_an_answer_that_is_too_long_is_given_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignore_memory, "MAX_PATHS", 1)
    checker = CountingChecker()
    memory = IgnoreMemory(checker)
    for _ in range(2):
        assert _ask(memory, {"": "*.log"}, "a.log", "b.log") == ("a.log", "b.log")
    assert len(checker.asked) == 4
