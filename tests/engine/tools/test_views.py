"""A view of the project with other files is what every tool would see if these files lay on the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.checking import PlainChecker
from tests.support.commands import PlainCommands
from tests.support.memory_folder import memory_folder
from tests.support.projects import Project
from vibe_workflows.engine.agents.tools import grep, ripgrep
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.registry import edit_tools, read_tools
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import StepFault, ToolDenied, ToolFailed
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE
from vibe_workflows.engine.ports import Footprint, Tool


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _tools(workspace: Workspace) -> dict[str, Tool]:
    tools = (*read_tools(workspace, PlainCommands(Path(workspace.root))), *edit_tools(workspace))
    return {tool.spec.name: tool for tool in (*tools, FileState(workspace, FileDigests(workspace, time.time)))}


async def _looked(tools: Mapping[str, Tool], name: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return (await tools[name].run(arguments)).data
    except (ToolFailed, ToolDenied) as error:
        return type(error), error.message


def _outcome(tools: Mapping[str, Tool], name: str, **arguments: Any) -> Any:
    return trio.run(_looked, tools, name, arguments)


async def _all_looks(workspace: Workspace) -> list[Any]:
    tools = _tools(workspace)
    return [(name, arguments, await _looked(tools, name, arguments)) for name, arguments in _LOOKS]


# ---------------------------------------------------------------- equal to a folder that holds the same

_NAMES = ("a.txt", "b.md", ".gitignore", ".env")
_FOLDERS = ("", "src/", "src/in/", "out/", ".git/")
_PATHS = [folder + name for folder in _FOLDERS for name in _NAMES]
_CONTENTS = st.sampled_from([b"", b"one\n", b"two\none", b"\0", b"*.md\n", b"/in/\nout\n", b"!b.md\na.txt\n"])
_TREES = st.dictionaries(st.sampled_from(_PATHS), _CONTENTS, max_size=8)
_OVER = st.dictionaries(st.sampled_from(_PATHS), st.none() | _CONTENTS, max_size=8)
_LOOKS = [
    *(("list_files", {"path": path}) for path in (".", "src", "src/in", "out", "src/a.txt")),
    *(("glob", {"pattern": pattern}) for pattern in ("**/*", "*", "src/**")),
    *(("glob", {"pattern": "*", "path": path}) for path in ("src", "src/in", "out")),
    *(("grep", {"pattern": "o", "path": path}) for path in (".", "src", "src/in", "out", "src/a.txt", "b.md")),
    *(
        (name, {"path": path})
        for name in ("read_file", FILE_STATE)
        for path in (*_PATHS, "src", "src/in", "src/a.txt/x")
    ),
]


def _lay(root: Path, files: Mapping[str, bytes]) -> None:
    root.mkdir()
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


@settings(max_examples=60)
@given(held=_TREES, over=_OVER)
def test_a_view_is_what_a_folder_with_the_same_files_is(held: dict[str, bytes], over: dict[str, bytes | None]) -> None:
    with memory_folder() as folder:
        _lay(folder / "disk", held)
        _lay(folder / "same", {path: data for path, data in {**held, **over}.items() if data is not None})
        view = Workspace(folder / "disk", PlainChecker()).over(over)
        same = Workspace(folder / "same", PlainChecker())
        assert trio.run(_all_looks, view) == trio.run(_all_looks, same)


@given(held=_TREES, first=_OVER, second=_OVER)
def test_a_view_over_a_view_is_the_view_of_both(
    held: dict[str, bytes], first: dict[str, bytes | None], second: dict[str, bytes | None]
) -> None:
    with memory_folder() as folder:
        _lay(folder / "disk", held)
        disk = Workspace(folder / "disk", PlainChecker())
        twice, once = disk.over(first).over(second), disk.over({**first, **second})
        assert dict(twice.overlaid) == dict(once.overlaid)
        assert _outcome(_tools(twice), "glob", pattern="**/*") == _outcome(_tools(once), "glob", pattern="**/*")


def test_a_view_of_nothing_is_the_workspace_itself(project: Project) -> None:
    assert project.workspace.over({}) is project.workspace


# ---------------------------------------------------------------- what folders and links make of it


def test_a_folder_whose_files_are_all_taken_back_is_gone_and_an_empty_one_is_not(project: Project) -> None:
    project.write("new/deep/a.txt")
    project.write("other/a.txt")
    project.write("other/b.txt")
    (project.root / "empty").mkdir()
    view = project.workspace.over({"new/deep/a.txt": None, "other/a.txt": None, "empty/x": None})
    assert _outcome(_tools(view), "list_files") == {
        "path": ".",
        "entries": [{"name": "empty", "type": "folder"}, {"name": "other", "type": "folder"}],
    }
    for path in ("new", "new/deep"):
        assert _outcome(_tools(view), "list_files", path=path) == (ToolFailed, f"{path}: no such folder")
    (project.root / "new/deep/by-hand").mkdir()
    assert _outcome(_tools(view), "list_files", path="new")["entries"] == [{"name": "deep", "type": "folder"}]


def test_a_link_leads_to_what_the_view_has_there(project: Project) -> None:
    project.write("a.txt", "disk")
    for name, target in (("l.txt", "a.txt"), ("new.txt", "src/new.txt"), ("folder", "src")):
        (project.root / name).symlink_to(target)
    tools = _tools(project.workspace.over({"a.txt": b"view", "src/new.txt": b"new"}))
    assert _outcome(tools, "read_file", path="l.txt")["text"] == "view"
    assert _outcome(tools, "read_file", path="folder/new.txt")["text"] == "new"
    assert _outcome(tools, "glob", pattern="*")["paths"] == ["a.txt", "l.txt", "new.txt"]
    gone = _tools(project.workspace.over({"a.txt": None}))
    assert _outcome(gone, "read_file", path="l.txt") == (ToolFailed, "l.txt: no such file")
    assert {"name": "l.txt", "type": "link"} in _outcome(gone, "list_files")["entries"]


def test_a_secret_is_refused_in_a_view_too(project: Project) -> None:
    tools = _tools(project.workspace.over({".env": b"KEY=1", ".git/config": b"x"}))
    for path in (".env", ".git/config"):
        assert _outcome(tools, "read_file", path=path)[0] is ToolDenied
    assert _outcome(tools, "glob", pattern="**/*")["paths"] == [".env"]
    assert _outcome(tools, "grep", pattern="KEY")["matches"] == []


def test_what_ripgrep_finds_on_the_disk_does_not_count_for_other_contents(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ripgrep, "WORTH_FILES", 1)
    for name in ("a.txt", "b.txt", "c.txt"):
        project.write(name, "needle" if name != "b.txt" else "straw")
    named: list[str] = []

    class Finds(PlainCommands):
        def find(self, program: str) -> str | None:
            script = tmp_path.parent / "rg-of-the-test"
            script.write_text("#!/bin/sh\nfor last; do :; done\nprintf 'a.txt\\0c.txt\\0'\n")
            script.chmod(0o755)
            named.append(program)
            return str(script)

    view = project.workspace.over({"a.txt": b"straw", "b.txt": b"needle", "new/d.txt": b"needle", "c.txt": None})
    found = trio.run(grep.Grep(view, Finds(tmp_path)).run, {"pattern": "needle"})
    assert named == ["rg"]
    assert isinstance(found.data, dict)
    assert found.data["matches"] == [
        {"path": "b.txt", "line": 1, "text": "needle"},
        {"path": "new/d.txt", "line": 1, "text": "needle"},
    ]


# ---------------------------------------------------------------- the look at one file


def test_the_state_of_a_file_is_the_digest_of_all_of_it(project: Project) -> None:
    large = b"x" * 30_000_000
    project.write("large", large)
    project.write("small", "small")
    (project.root / "folder").mkdir()
    state = {FILE_STATE: FileState(project.workspace, FileDigests(project.workspace, time.time))}
    assert _outcome(state, FILE_STATE, path="large") == {"digest": content_digest(large)}
    assert _outcome(state, FILE_STATE, path="./small") == {"digest": content_digest(b"small")}
    for path in ("none", "no/folder"):
        assert _outcome(state, FILE_STATE, path=path) == {"digest": None}
    for path in ("folder", "small/x", ".env", "../x", "large\0"):
        outcome = _outcome(state, FILE_STATE, path=path)
        assert issubclass(outcome[0], StepFault), path


# ---------------------------------------------------------------- what a call may look at


@pytest.mark.parametrize(
    ("tool", "arguments", "path", "deep"),
    [
        ("read_file", {"path": "./src//a.py"}, "src/a.py", False),
        ("read_file", {"path": "link/a.py", "start": 2}, "src/a.py", False),
        ("read_file", {"path": "../x/./y"}, "../x/y", False),
        ("read_file", {"path": "a\0"}, "a\0", False),
        (FILE_STATE, {"path": "link/a.py"}, "src/a.py", False),
        ("write_file", {"path": "link/new.py", "content": ""}, "src/new.py", False),
        ("edit_file", {"path": ".git/config", "old": "a", "new": "b"}, ".git/config", False),
        ("list_files", {}, "", True),
        ("list_files", {"path": "link"}, "src", True),
        ("glob", {"pattern": "*", "path": "src"}, "src", True),
        ("grep", {"pattern": "x"}, "", True),
        ("grep", {"pattern": "x", "path": "src/a.py"}, "src/a.py", False),
        ("grep", {"pattern": "x", "path": "none"}, "none", True),
        ("git_diff", {"path": "src", "base": "main"}, "src", True),
    ],
)
def test_the_footprint_of_a_call_is_where_it_looks(
    project: Project, tool: str, arguments: dict[str, Any], path: str, deep: bool
) -> None:
    project.write("src/a.py")
    (project.root / "link").symlink_to("src")
    found = _tools(project.workspace)[tool].footprint(arguments)
    assert found is not None
    assert (found.path, found.deep) == (path, deep)


def test_all_below_a_folder_depends_on_the_rules_above_it_and_on_nothing_else_there() -> None:
    deep = Footprint(path="src/in", deep=True)
    covered = ["src/in", "src/in/a", ".gitignore", "src/.gitignore", "src/.gitattributes", "src/in/x/.gitignore"]
    assert [path for path in covered if not deep.covers(path)] == []
    assert [path for path in ("src", "src/a", "a", "src/inn", "other/.gitignore") if deep.covers(path)] == []
    assert not Footprint(path="src/in").covers("src/in/a")
    assert Footprint(path="", deep=True).covers("any/thing")


@pytest.mark.parametrize("arguments", [{}, {"path": 7}, {"path": "a", "nonsense": 1}, {"path": None, "x": []}])
def test_a_call_with_wrong_arguments_looks_at_nothing(project: Project, arguments: dict[str, Any]) -> None:
    for name, tool in _tools(project.workspace).items():
        if name != "list_files" or arguments:
            footprint: Callable[[Mapping[str, Any]], object] = tool.footprint
            assert footprint(arguments) is None or name in ("list_files", "git_diff"), name
