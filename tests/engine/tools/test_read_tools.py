"""What read_file, list_files, glob and grep give, and what they leave out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.projects import Project
from vibe_workflows.engine.agents.tools import glob as glob_module
from vibe_workflows.engine.agents.tools import read_file as read_file_module
from vibe_workflows.engine.agents.tools import walk
from vibe_workflows.engine.agents.tools.arguments import BadArguments
from vibe_workflows.engine.agents.tools.render import MAX_TEXT_BYTES
from vibe_workflows.engine.errors import ToolDenied, ToolFailed


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# ---------------------------------------------------------------- read_file


def test_read_file_gives_the_text_as_it_is_and_numbers_its_lines_for_models(project: Project) -> None:
    project.write("a.txt", "one\r\ntwo  \nthree")
    result = project.call("read_file", path="./a.txt")
    assert result.data == {"path": "a.txt", "text": "one\r\ntwo  \nthree", "start": 1, "end": 3, "more": False}
    assert result.text == "a.txt, lines 1 to 3 of 3\n1\tone\n2\ttwo  \n3\tthree"


@pytest.mark.parametrize(
    ("content", "start", "end", "text", "last", "more"),
    [
        ("a\nb\nc\n", 2, None, "b\nc\n", 3, False),
        ("a\nb\nc\n", 2, 2, "b\n", 2, True),
        ("a\nb\nc", 3, 3, "c", 3, False),
        ("a\nb\nc", 1, 99, "a\nb\nc", 3, False),
        ("a\n\n\n", 1, None, "a\n\n\n", 3, False),
        ("", 1, None, "", 0, False),
        ("\n", 1, None, "\n", 1, False),
        ("a\u2028b\x0cc\n", 1, None, "a\u2028b\x0cc\n", 1, False),
    ],
)
def test_read_file_takes_a_range_of_lines(
    project: Project, content: str, start: int, end: int | None, text: str, last: int, more: bool
) -> None:
    project.write("f", content)
    data = project.data("read_file", path="f", start=start, end=end)
    assert data == {"path": "f", "text": text, "start": start, "end": last, "more": more}


@pytest.mark.parametrize(("size", "whole"), [(MAX_TEXT_BYTES - 1, True), (MAX_TEXT_BYTES, False)])
def test_a_model_is_shown_all_lines_that_fit_to_the_byte(project: Project, size: int, whole: bool) -> None:
    lines = ["x" * 900 for _ in range(30)]
    numbered = sum(len(f"{number}\t{line}\n") for number, line in enumerate(lines, 1))
    left = size - numbered
    lines += ["y" * (left // 8)] * 7
    numbered = sum(len(f"{number}\t{line}\n") for number, line in enumerate(lines, 1))
    lines.append("z" * (size - numbered - len("38\t")))
    project.write("f", "\n".join(lines) + "\n")
    shown = project.call("read_file", path="f").shown
    assert (shown is None) == whole
    if shown is not None:
        assert shown.arguments["end"] == 37


def test_a_long_line_is_clipped_for_models_only(project: Project) -> None:
    project.write("f", "short\n" + "x" * 1_001 + "\n")
    result = project.call("read_file", path="f")
    assert result.text.endswith("\n1\tshort\n2\t" + "x" * 1_000 + " [...]")
    assert project.data("read_file", path="f")["text"] == "short\n" + "x" * 1_001 + "\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "f", "start": 4}, "has 3 lines"),
        ({"path": "f", "start": 3, "end": 2}, "before"),
        ({"path": "none"}, "no such file"),
        ({"path": "f/g"}, "no such file"),
        ({"path": "folder"}, "a folder"),
        ({"path": "."}, "a folder"),
        ({"path": ""}, "a folder"),
        ({"path": "binary"}, "binary"),
        ({"path": "x" * 300}, "too long"),
        ({"path": "/".join(["x"] * 3000)}, "(no such file|too long)"),
    ],
)
def test_read_file_fails_with_a_reason_that_a_model_can_use(
    project: Project, arguments: dict[str, Any], message: str
) -> None:
    project.write("f", "a\nb\nc\n")
    project.write("folder/x")
    project.write("binary", b"\x7fELF\0\0")
    with pytest.raises(ToolFailed, match=message):
        project.call("read_file", **arguments)


def test_read_file_replaces_bytes_that_are_no_utf8(project: Project) -> None:
    project.write("latin", "caf\xe9\n".encode("latin-1"))
    assert project.data("read_file", path="latin")["text"] == "caf\ufffd\n"


def test_read_file_shows_a_model_a_part_of_a_long_file_and_how_to_go_on(project: Project) -> None:
    project.write("long", "".join(f"line {number}\n" for number in range(1, 10_001)))
    result = project.call("read_file", path="long")
    assert project.data("read_file", path="long")["end"] == 10_000
    assert len(result.text.encode()) <= MAX_TEXT_BYTES + 100
    *_, last, note = result.text.split("\n")
    shown = int(last.partition("\t")[0])
    assert note == f"[cut here: go on with start={shown + 1}]"
    following = project.call("read_file", path="long", start=shown + 1).text.split("\n")
    assert following[1] == f"{shown + 1}\tline {shown + 1}"


def test_a_range_is_the_same_whatever_comes_behind_it(project: Project) -> None:
    project.write("f", "a\nb\nc\n")
    before = project.call("read_file", path="f", end=2)
    assert before.text == "f, lines 1 to 2, more follow\n1\ta\n2\tb"
    project.write("f", "a\nb\nchanged\nand added\n")
    assert project.call("read_file", path="f", end=2) == before
    project.write("f", "a\nb\n")
    assert project.call("read_file", path="f", end=2) != before


def test_of_a_long_file_a_model_has_seen_what_it_was_shown_and_a_script_all(project: Project) -> None:
    """The narrower call gives the data for all that the text says, so that nothing the model saw can go stale."""
    project.write("long", "".join(f"line {number}\n" for number in range(1, 10_001)))
    result = project.call("read_file", path="long", start=5)
    assert result.shown is not None
    narrower = project.call("read_file", **result.shown.arguments)
    assert (narrower.data, narrower.shown) == (result.shown.data, None)
    assert result.text.startswith(narrower.text + "\n[cut here")
    project.write("long", "".join(f"line {number}\n" for number in range(1, 9_000)) + "changed")
    assert project.call("read_file", **result.shown.arguments) == narrower
    assert project.call("read_file", path="long", start=5).data != result.data


def test_read_file_gives_a_script_a_window_that_ends_at_a_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_file_module, "MAX_WINDOW_BYTES", 10)
    project.write("f", "aaaa\nbbbb\ncccc\n")
    assert project.data("read_file", path="f") == {
        "path": "f",
        "text": "aaaa\nbbbb\n",
        "start": 1,
        "end": 2,
        "more": True,
    }
    project.write("wide", "x" * 30)
    with pytest.raises(ToolFailed, match="line 1 alone"):
        project.call("read_file", path="wide")


# ---------------------------------------------------------------- list_files


def test_list_files_names_what_lies_in_one_folder(project: Project, tmp_path: Path) -> None:
    project.write("b.py")
    project.write("a/deep.py")
    project.write(".vibe/vibe.db")
    project.write(".git/config")
    project.write(".env")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-file").symlink_to("b.py")
    (tmp_path / "to-folder").symlink_to("a")
    (tmp_path / "away").symlink_to("/etc")
    (tmp_path / "broken").symlink_to("nothing")
    result = project.call("list_files")
    assert result.data == {
        "path": ".",
        "entries": [
            {"name": ".env", "type": "file"},
            {"name": "a", "type": "folder"},
            {"name": "away", "type": "link"},
            {"name": "b.py", "type": "file"},
            {"name": "broken", "type": "link"},
            {"name": "pipe", "type": "other"},
            {"name": "to-file", "type": "file"},
            {"name": "to-folder", "type": "folder"},
        ],
    }
    assert result.text.split("\n")[1] == "a/"
    assert project.data("list_files", path="to-folder")["entries"] == [{"name": "deep.py", "type": "file"}]


def test_list_files_says_that_a_folder_is_empty_absent_or_a_file(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    project.write("file")
    assert project.call("list_files", path="empty").text == "empty: empty"
    for path in ("none", "file"):
        with pytest.raises(ToolFailed, match="no such folder"):
            project.call("list_files", path=path)


def test_names_that_json_cannot_hold_are_left_out(project: Project, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")).write_text("needle")
    project.write("good", "needle")
    assert [entry["name"] for entry in project.data("list_files")["entries"]] == ["good"]
    assert project.data("glob", pattern="**")["paths"] == ["good"]
    assert [match["path"] for match in project.data("grep", pattern="needle")["matches"]] == ["good"]


def test_a_newline_in_a_name_cannot_forge_a_line_for_the_model(project: Project) -> None:
    project.write("a\nforged.py:1: x", "needle")
    assert project.call("list_files").text.count("\n") == 0
    assert project.call("glob", pattern="*").text.count("\n") == 0
    assert project.call("grep", pattern="needle").text.count("\n") == 0
    assert project.data("glob", pattern="*")["paths"] == ["a\nforged.py:1: x"]


# ---------------------------------------------------------------- glob


def test_glob_matches_below_its_path_and_gives_sorted_paths_from_the_root(project: Project, tmp_path: Path) -> None:
    for path in ("z.py", "src/b.py", "src/a.py", "src/deep/c.py", "src/deep/c.ts", "docs/a.md"):
        project.write(path)
    (tmp_path / "linked.py").symlink_to("src/a.py")
    (tmp_path / "away.py").symlink_to("/etc/hosts")
    (tmp_path / "loop").symlink_to(".")
    assert project.data("glob", pattern="**/*.py") == {
        "paths": ["linked.py", "src/a.py", "src/b.py", "src/deep/c.py", "z.py"],
        "truncated": False,
    }
    assert project.data("glob", pattern="*.py")["paths"] == ["linked.py", "z.py"]
    assert project.data("glob", pattern="./src/*.py")["paths"] == ["src/a.py", "src/b.py"]
    assert project.data("glob", pattern="*.py", path="src")["paths"] == ["src/a.py", "src/b.py"]
    assert project.data("glob", pattern="**/*.{ts,md}")["paths"] == ["docs/a.md", "src/deep/c.ts"]
    assert project.data("glob", pattern="*", path="src/deep/")["paths"] == ["src/deep/c.py", "src/deep/c.ts"]


def test_glob_without_a_match_hints_at_all_folders(project: Project) -> None:
    project.write("src/a.py")
    assert project.call("glob", pattern="*.py").text == "no file matches `*.py` in .; `**/*.py` looks in all folders"
    assert "looks in" not in project.call("glob", pattern="docs/*.py").text


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", "src/../../*"])
def test_glob_refuses_patterns_that_leave_the_root(project: Project, pattern: str) -> None:
    with pytest.raises(ToolDenied):
        project.call("glob", pattern=pattern)


def test_a_malformed_pattern_is_an_error_for_its_author(project: Project) -> None:
    project.write("a", "x")
    with pytest.raises(ToolFailed, match="never closed"):
        project.call("glob", pattern="[a")
    with pytest.raises(ToolFailed, match="no regular expression"):
        project.call("grep", pattern="(")
    with pytest.raises(ToolFailed, match="never closed"):
        project.call("grep", pattern="x", glob="{a")


def test_glob_says_when_it_cut_its_result(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glob_module, "MAX_PATHS", 3)
    for number in range(5):
        project.write(f"{number}[x]")
    result = project.call("glob", pattern="*")
    assert result.data == {"paths": ["0[x]", "1[x]", "2[x]"], "truncated": True}
    assert result.text.endswith("[3 of 3 or more shown: narrow the pattern, or give path]")


# ---------------------------------------------------------------- grep


def test_grep_gives_path_line_and_text_in_order(project: Project) -> None:
    project.write("b.py", "x = 1\n# TODO later\r\n")
    project.write("a/c.py", "# todo now\n# TODO: then\n")
    result = project.call("grep", pattern=r"TODO\b")
    assert result.data == {
        "matches": [
            {"path": "a/c.py", "line": 2, "text": "# TODO: then"},
            {"path": "b.py", "line": 2, "text": "# TODO later"},
        ],
        "truncated": False,
    }
    assert result.text == "a/c.py:2: # TODO: then\nb.py:2: # TODO later"
    assert len(project.data("grep", pattern="todo", ignore_case=True)["matches"]) == 3
    assert project.data("grep", pattern="TODO", path="a")["matches"][0]["path"] == "a/c.py"
    assert project.data("grep", pattern="TODO", path="b.py")["matches"][0]["line"] == 2
    assert project.call("grep", pattern="absent").text == "no line matches `absent` in ."


def test_grep_searches_only_what_its_glob_matches(project: Project) -> None:
    for path in ("a.py", "src/b.py", "src/deep/c.ts"):
        project.write(path, "needle\n")
    assert [m["path"] for m in project.data("grep", pattern="needle", glob="*.py")["matches"]] == ["a.py", "src/b.py"]
    assert [m["path"] for m in project.data("grep", pattern="needle", glob="src/**/*.ts")["matches"]] == [
        "src/deep/c.ts"
    ]
    assert [m["path"] for m in project.data("grep", pattern="needle", path="src", glob="deep/*")["matches"]] == [
        "src/deep/c.ts"
    ]


def test_grep_leaves_out_binary_large_linked_and_secret_files_in_a_folder(project: Project, tmp_path: Path) -> None:
    project.write("yes", "needle")
    project.write("binary", b"needle\0")
    project.write("large", b"needle\n" * 400_000)
    project.write(".env", "needle")
    project.write("empty")
    (tmp_path / "link").symlink_to("yes")
    assert [match["path"] for match in project.data("grep", pattern="needle")["matches"]] == ["yes"]
    with pytest.raises(ToolFailed, match="binary"):
        project.call("grep", pattern="needle", path="binary")
    with pytest.raises(ToolFailed, match="larger"):
        project.call("grep", pattern="needle", path="large")
    with pytest.raises(ToolFailed, match="no such file"):
        project.call("grep", pattern="needle", path="none")


@pytest.mark.parametrize(("limit", "found", "truncated"), [(1, 1, True), (6, 6, True), (7, 7, False), (8, 7, False)])
def test_grep_stops_at_its_limit_and_says_so(project: Project, limit: int, found: int, truncated: bool) -> None:
    project.write("a", "x\n" * 3)
    project.write("b", "x\n" * 4)
    result = project.call("grep", pattern="x", limit=limit)
    data = project.data("grep", pattern="x", limit=limit)
    assert (len(data["matches"]), data["truncated"]) == (found, truncated)
    assert result.text.endswith("]") == truncated


def test_grep_searches_more_files_than_fit_into_one_batch(project: Project) -> None:
    for number in range(5):
        project.write(f"large{number}", b"x" * 1_900_000 + b"\nneedle\n")
    for number in range(600):
        project.write(f"many/{number:03}", b"\0binary" if number % 2 else b"needle")
    matches = project.data("grep", pattern="needle", limit=5_000)["matches"]
    assert [match["path"] for match in matches] == [f"large{n}" for n in range(5)] + [
        f"many/{n:03}" for n in range(0, 600, 2)
    ]


def test_grep_clips_a_line_of_a_generated_file(project: Project) -> None:
    project.write("min.js", "a" * 100_000)
    (match,) = project.data("grep", pattern="a")["matches"]
    assert len(match["text"]) < 1_100
    assert match["text"].endswith("[...]")


# ---------------------------------------------------------------- what is ignored


def test_gitignore_files_are_respected_at_every_level(project: Project) -> None:
    project.write(".gitignore", "*.log\n/build/\n!keep.log\n")
    project.write("sub/.gitignore", "/only-here\n!x.log\n")
    for path in ("a.log", "keep.log", "build/out.py", "sub/only-here", "sub/x.log", "only-here", "sub/build/in.py"):
        project.write(path, "needle")
    seen = ["keep.log", "only-here", "sub/build/in.py", "sub/x.log"]
    assert [p for p in project.data("glob", pattern="**")["paths"] if ".gitignore" not in p] == seen
    assert [match["path"] for match in project.data("grep", pattern="needle")["matches"]] == seen
    assert [entry["name"] for entry in project.data("list_files")["entries"]] == [
        ".gitignore",
        "keep.log",
        "only-here",
        "sub",
    ]
    assert [entry["name"] for entry in project.data("list_files", path="sub")["entries"]] == [
        ".gitignore",
        "build",
        "x.log",
    ]


def test_rules_above_a_folder_count_when_only_the_folder_is_asked_for(project: Project) -> None:
    project.write(".gitignore", "*.log\n")
    project.write("a/b/x.log")
    project.write("a/b/x.py")
    assert project.data("glob", pattern="*", path="a/b")["paths"] == ["a/b/x.py"]


def test_an_ignored_folder_is_shown_when_it_is_asked_for_by_name(project: Project) -> None:
    project.write(".gitignore", "vendor/\n*.log\n")
    project.write("vendor/pkg/a.py", "needle")
    project.write("vendor/pkg/b.log", "needle")
    project.write("vendor/pkg/deep/.gitignore", "c.py")
    project.write("vendor/pkg/deep/c.py")
    assert project.data("grep", pattern="needle")["matches"] == []
    assert project.data("glob", pattern="*", path="vendor/pkg")["paths"] == ["vendor/pkg/a.py", "vendor/pkg/b.log"]
    assert "vendor/pkg/deep/c.py" in project.data("glob", pattern="**/*.py", path="vendor/pkg")["paths"]
    assert len(project.data("list_files", path="vendor")["entries"]) == 1
    assert project.data("read_file", path="vendor/pkg/b.log")["text"] == "needle"


def test_an_ignored_folder_is_never_entered(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(".gitignore", "huge/\n")
    for number in range(40):
        project.write(f"huge/{number}/{number}")
    project.write("a.py")
    monkeypatch.setattr(walk, "MAX_ENTRIES", 10)
    assert project.data("glob", pattern="**/*.py")["paths"] == ["a.py"]
    with pytest.raises(ToolFailed, match=r"more than 10 .*name a smaller folder"):
        project.call("glob", pattern="*", path="huge")


def test_nothing_else_is_left_out(project: Project) -> None:
    for path in ("node_modules/a.js", ".venv/b.py", ".hidden", "__pycache__/c.pyc"):
        project.write(path)
    for path in (".git/a", "sub/.git", ".hg/b", ".svn/c", ".vibe/d"):
        project.write(path)
    assert project.data("glob", pattern="**")["paths"] == [
        ".hidden",
        ".venv/b.py",
        "__pycache__/c.pyc",
        "node_modules/a.js",
    ]


def test_a_gitignore_that_cannot_be_read_is_an_error_and_not_ignored(project: Project) -> None:
    project.write("sub/.gitignore", "#" * 300_000)
    with pytest.raises(ToolFailed, match="larger"):
        project.call("glob", pattern="**")


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("grep", {"patern": "x"}, r"no parameter `patern`; did you mean `pattern`\? it takes pattern, path, glob"),
        ("grep", {}, "`pattern` is missing"),
        ("grep", {"pattern": None}, "`pattern` is missing"),
        ("grep", {"pattern": "x", "limit": 0}, "limit: expected `int` >= 1"),
        ("grep", {"pattern": "x", "limit": 5001}, "limit: expected `int` <= 5000"),
        ("grep", {"pattern": ["x"]}, "pattern: expected `str`, got `array`"),
        ("read_file", {"path": "a", "start": "2"}, "start: expected `int`"),
        ("read_file", {"path": "a", "end": 0}, "end: expected `int` >= 1"),
    ],
)
def test_arguments_that_do_not_fit_name_the_parameter(
    project: Project, tool: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadArguments, match=message) as bad:
        project.call(tool, **arguments)
    assert bad.value.to_fault().type == "ToolFailed"


def test_null_stands_for_a_parameter_that_was_left_out(project: Project) -> None:
    project.write("a", "x\n")
    assert project.data("grep", pattern="x", glob=None, path=None, limit=None)["matches"] != []


def test_the_schemas_of_the_tools_are_plain_objects_that_every_provider_takes(project: Project) -> None:
    for tool in project.tools.by_name.values():
        schema = tool.spec.parameters
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert isinstance(schema["required"], list)
        for part in schema["properties"].values():  # type: ignore[union-attr]
            assert isinstance(part, dict)
            assert part["type"] in ("string", "integer", "boolean")
        assert "$" not in msgspec.json.encode(schema).decode()
