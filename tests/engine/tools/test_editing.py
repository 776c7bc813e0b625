"""What write_file and edit_file would do to a file, and what they tell a model that asked for what cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.projects import Project
from vibe_workflows.engine.agents.tools import edit_text
from vibe_workflows.engine.agents.tools.arguments import BadArguments
from vibe_workflows.engine.agents.tools.editing import MAX_FILE_BYTES
from vibe_workflows.engine.agents.tools.registry import edit_tools
from vibe_workflows.engine.agents.tools.workspace import INLINE_BYTES, Place
from vibe_workflows.engine.errors import InternalError, ToolDenied, ToolFailed
from vibe_workflows.engine.ports import PlannedEdit

SEVEN = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def _plan(project: Project, name: str, **arguments: Any) -> PlannedEdit:
    tool = next(each for each in edit_tools(project.workspace) if each.spec.name == name)
    return trio.run(tool.plan, arguments)


def _make(project: Project, plan: PlannedEdit) -> None:
    assert plan.after is not None
    after = plan.after

    async def main() -> None:
        await project.workspace.write(Place.at(plan.path), after, before=plan.before)

    trio.run(main)


def _edit(project: Project, path: str, old: str, new: str, **more: Any) -> PlannedEdit:
    return _plan(project, "edit_file", path=path, old=old, new=new, **more)


# ---------------------------------------------------------------- write_file


def test_a_new_file_is_planned_and_nothing_is_touched(project: Project) -> None:
    plan = _plan(project, "write_file", path="./src//new.py", content="a = 1\nb = 2\n")
    assert (plan.path, plan.before, plan.after) == ("src/new.py", None, b"a = 1\nb = 2\n")
    assert plan.result.text == "src/new.py: created, 2 lines"
    assert plan.result.data == {"path": "src/new.py", "created": True, "lines": 2}
    assert list(project.root.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "content", "told"),
    [
        (b"old", "new", "a.txt: replaced, 1 line"),
        (b"same\n", "same\n", "a.txt: left as it was, 1 line"),
        (b"\xff\xfe not UTF-8", "", "a.txt: replaced, 0 lines"),
        (b"\0binary", "text\n", "a.txt: replaced, 1 line"),
        (b"a\r\nb\r\n", "a\nc\n", "a.txt: replaced, 2 lines; its lines ended in CRLF before, and do not now"),
        (b"a\r\nb\r\n", "a\r\nc\r\n", "a.txt: replaced, 2 lines"),
    ],
)
def test_whatever_a_file_holds_is_replaced_as_asked(project: Project, before: bytes, content: str, told: str) -> None:
    project.write("a.txt", before)
    plan = _plan(project, "write_file", path="a.txt", content=content)
    assert (plan.before, plan.after, plan.result.text) == (before, content.encode(), told)


def test_a_link_within_the_project_is_followed_to_the_file_that_it_leads_to(project: Project) -> None:
    project.write("real/a.txt", "old")
    (project.root / "link").symlink_to("real")
    (project.root / "dangling").symlink_to("real/none.txt")
    assert _plan(project, "write_file", path="link/a.txt", content="").path == "real/a.txt"
    assert _edit(project, "link/a.txt", "old", "new").path == "real/a.txt"
    assert _plan(project, "write_file", path="dangling", content="").path == "real/none.txt"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("src", ToolFailed, "src: a folder, not a file"),
        (".", ToolFailed, r"\.: a folder, not a file"),
        ("src/", ToolFailed, "no `/` at its end"),
        ("a.txt/b", ToolFailed, "a file lies where one of its folders should be"),
        ("x" * 300, ToolFailed, "File name too long"),
        ("x/" * 2_500 + "y", ToolFailed, "at most 4,096 characters"),
        ("x/" * 2_040 + "y", ToolFailed, "longer than the paths of this system"),
        ("caf\udce9.txt", ToolDenied, "not a path in UTF-8"),
    ],
)
def test_what_is_no_place_for_a_file_is_refused(
    project: Project, path: str, error: type[Exception], message: str
) -> None:
    project.write("src/a.py")
    project.write("a.txt")
    with pytest.raises(error, match=message):
        _plan(project, "write_file", path=path, content="x")


def test_files_have_a_limit_before_and_after(project: Project) -> None:
    project.write("large", b"x" * (MAX_FILE_BYTES + 1))
    project.write("full", b"x" * MAX_FILE_BYTES)
    with pytest.raises(ToolFailed, match="`content` is larger than 8,388,608 bytes"):
        _plan(project, "write_file", path="a", content="x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ToolFailed, match="large: larger than 8,388,608 bytes"):
        _plan(project, "write_file", path="large", content="")
    with pytest.raises(ToolFailed, match="large: larger than 8,388,608 bytes"):
        _edit(project, "large", "x", "y")
    project.write("nearly", b"y" + b"x" * (MAX_FILE_BYTES - 1))
    with pytest.raises(ToolFailed, match="would become larger"):
        _edit(project, "nearly", "y", "yy")
    assert len(_plan(project, "write_file", path="full", content="").before or b"") == MAX_FILE_BYTES


def test_half_a_character_is_no_text(project: Project) -> None:
    project.write("a.txt", "one")
    with pytest.raises(ToolFailed, match="lone surrogate"):
        _plan(project, "write_file", path="b.txt", content="\ud800")
    with pytest.raises(ToolFailed, match="lone surrogate"):
        _edit(project, "a.txt", "one", "\ud800")


# ---------------------------------------------------------------- edit_file


def test_an_edit_shows_the_lines_around_it_as_they_are_now(project: Project) -> None:
    project.write("a.txt", SEVEN)
    plan = _edit(project, "a.txt", "four\nfive\n", "4\n")
    assert (plan.before, plan.after) == (SEVEN.encode(), b"one\ntwo\nthree\n4\nsix\nseven\n")
    assert plan.result.data == {"path": "a.txt", "line": 4, "replaced": 1}
    assert plan.result.text == (
        "a.txt: line 4, 2 lines replaced by 1; now:\n1\tone\n2\ttwo\n3\tthree\n4\t4\n5\tsix\n6\tseven"
    )


def test_of_a_long_edit_the_middle_is_not_shown(project: Project) -> None:
    project.write("a.txt", SEVEN)
    text = _edit(project, "a.txt", "four\n", "x\n" * 1_000).result.text
    assert len(text.split("\n")) == 62
    assert "\n[946 lines]\n" in text


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        ("a\r\nb\r\nc\r\n", "b\n", "x\ny\n", "a\r\nx\r\ny\r\nc\r\n"),
        ("a\r\nb\r\nc\r\n", "b", "x\ny", "a\r\nx\r\ny\r\nc\r\n"),
        ("a\r\nb\r\nc", "b\r\nc", "x", "a\r\nx"),
        ("a\r\nb\nc\n", "b\n", "x\n", "a\r\nx\nc\n"),  # mixed: as they are
        ("a\nb", "b", "c", "a\nc"),
        ("a\nb", "\nb", "", "a"),
        ("\ufeffa\nb\n", "a\n", "x\n", "\ufeffx\nb\n"),
        ("ünï\n", "ï", "i", "üni\n"),
        ("a\x0bb\x0cc\n", "b", "x", "a\x0bx\x0cc\n"),
    ],
)
def test_line_ends_and_all_else_stay_as_they_are(project: Project, before: str, old: str, new: str, after: str) -> None:
    project.write("a.txt", before)
    assert _edit(project, "a.txt", old, new).after == after.encode()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("absent", "x", "a.txt: `old` is not in the file; read_file shows what is there"),
        ("", "x", "`old` is empty; .*write_file"),
        ("one", "one", "`old` and `new` are the same"),
        ("o", "x", r"`old` is there 3 times \(lines 1, 2, 4\); give more of the lines around it"),
        ("\n", "x", r"`old` is there 7 times \(lines 1, 2, 3, 4, 5, 6, 7\)"),
        ("two  \n  three", "x", "with other whitespace it is at line 2"),
        ("\tsix", "x", "with other whitespace it is at line 6"),
        ("1\tone\n2\ttwo", "x", "leave out the line numbers"),
        ("eleven", "three\nfour\n", "but `new` is, at line 3: it may have been changed already"),
        ("eleven", "four", "read_file shows"),
    ],
)
def test_what_is_not_there_once_is_told_with_what_to_do(project: Project, old: str, new: str, message: str) -> None:
    project.write("a.txt", SEVEN)
    with pytest.raises(ToolFailed, match=message):
        _edit(project, "a.txt", old, new)


def test_places_that_overlap_are_several(project: Project) -> None:
    project.write("a.txt", "aaa\n")
    with pytest.raises(ToolFailed, match=r"there 2 times \(line 1\)"):
        _edit(project, "a.txt", "aa", "b")


def test_every_place_is_replaced_only_where_that_is_asked(project: Project) -> None:
    project.write("a.txt", SEVEN)
    plan = _edit(project, "a.txt", "e", "E", all=True)
    assert plan.after == SEVEN.replace("e", "E").encode()
    assert plan.result.text == "a.txt: replaced at 6 places, first at line 1"
    with pytest.raises(ToolFailed, match="`old` is not in the file"):
        _edit(project, "a.txt", "zero", "0", all=True)


@pytest.mark.parametrize(
    ("contents", "message"),
    [(b"a\0b", "a binary file"), (b"caf\xe9", r"not a text in UTF-8 \(byte 3\).*write_file can replace it")],
)
def test_what_is_no_text_is_not_edited(project: Project, contents: bytes, message: str) -> None:
    project.write("a.txt", contents)
    with pytest.raises(ToolFailed, match=message):
        _edit(project, "a.txt", "a", "b")


def test_a_missing_file_is_not_edited(project: Project) -> None:
    with pytest.raises(ToolFailed, match=r"none\.txt: no such file; write_file makes one"):
        _edit(project, "none.txt", "a", "b")


def test_a_large_file_is_edited_as_a_small_one(project: Project) -> None:
    project.write("a.txt", "x\n" * INLINE_BYTES + "end\n")
    plan = _edit(project, "a.txt", "end", "END")
    assert plan.after == b"x\n" * INLINE_BYTES + b"END\n"
    with pytest.raises(ToolFailed, match=r"more than 1,000 times \(lines 1, 2, 3, .*, \.\.\.\)"):
        _edit(project, "a.txt", "x", "y")


_TEXTS = st.text(alphabet="ab\r\n é", max_size=12)


@given(before=_TEXTS, old=_TEXTS, new=_TEXTS, everywhere=st.booleans())
def test_an_edit_is_the_replacement_of_its_one_place_or_an_error(
    before: str, old: str, new: str, everywhere: bool
) -> None:
    crlf = edit_text.has_crlf(before)
    taken = [each.replace("\r\n", "\n").replace("\n", "\r\n") if crlf else each for each in (old, new)]
    places = [at for at in range(len(before)) if before.startswith(taken[0], at)]
    fits = bool(old) and taken[0] != taken[1] and (len(places) == 1 or bool(places and everywhere))
    try:
        found = edit_text.replace_text("a", before, old, new, everywhere=everywhere)
    except ToolFailed:
        assert not fits
    else:
        assert fits
        assert found.text == before.replace(taken[0], taken[1])
        assert found.line == before.count("\n", 0, places[0]) + 1


# ---------------------------------------------------------------- both


@pytest.mark.parametrize(
    "arguments", [{}, {"path": 1}, {"path": "a"}, {"path": "a", "content": "", "old": "a", "new": "", "mode": 7}]
)
def test_wrong_arguments_are_told(project: Project, arguments: dict[str, Any]) -> None:
    for name in ("write_file", "edit_file"):
        with pytest.raises(BadArguments, match=f"{name}: .*it takes path"):
            _plan(project, name, **arguments)


def test_the_file_that_a_call_names_is_told_as_it_was_asked_for(project: Project) -> None:
    for tool in edit_tools(project.workspace):
        assert tool.file({"path": "./a//b"}) == "./a//b"
        assert tool.file({"path": 7}) is None
        assert tool.file({}) is None
        assert (tool.group, tool.observes) == ("write", False)
        with pytest.raises(InternalError):
            trio.run(tool.run, {"path": "a"})


@pytest.mark.parametrize(
    "change",
    [
        lambda project: _plan(project, "write_file", path="deep/er/a.txt", content="ünï\r\n"),
        lambda project: _plan(project, "write_file", path="b.txt", content=""),
        lambda project: _edit(project, "b.txt", "two\n", ""),
    ],
)
def test_a_plan_is_what_comes_of_it(project: Project, change: Callable[[Project], PlannedEdit]) -> None:
    project.write("b.txt", SEVEN)
    plan = change(project)
    _make(project, plan)
    assert (project.root / plan.path).read_bytes() == plan.after
