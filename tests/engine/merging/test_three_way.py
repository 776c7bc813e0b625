"""Merging what an agent made of an earlier state of the project into the project as it is."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.support.commands import PlainCommands, PlainEnd
from vibe_workflows.cli.commands import ConfinedCommands
from vibe_workflows.engine.errors import Conflict
from vibe_workflows.engine.git import MAX_TEXT_BYTES, Differ
from vibe_workflows.engine.merging import Conflicted, ConflictHunk, Merged, Trio, merged
from vibe_workflows.engine.ports import Command

BASE = b"one\ntwo\nthree\nfour\nfive\nsix\n"


def _trio(base: bytes | None, ours: bytes | None, theirs: bytes | None, path: str = "app.py") -> Trio:
    return Trio(path=path, base=base, ours=ours, theirs=theirs)


@pytest.fixture
def commands(tmp_path: Path) -> PlainCommands:
    return PlainCommands(tmp_path)


def _merge(commands: PlainCommands, *files: Trio) -> Merged:
    return trio.run(partial(merged, Differ(commands), files))


def _conflict(commands: PlainCommands, *files: Trio) -> Conflict:
    with pytest.raises(Conflict) as caught:
        _merge(commands, *files).require_clean()
    return caught.value


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "result"),
    [
        (b"a", b"a", b"b", b"b"),
        (b"a", b"b", b"a", b"b"),
        (b"a", b"b", b"b", b"b"),
        (b"a", b"a", None, None),
        (b"a", None, b"a", None),
        (b"a", None, None, None),
        (None, None, b"a", b"a"),
        (None, b"a", None, b"a"),
        (None, b"a", b"a", b"a"),
        (b"\0a", b"\0a", b"\0b", b"\0b"),
    ],
)
def test_where_one_side_changed_a_file_its_state_counts_and_no_git_is_started(
    commands: PlainCommands, base: bytes | None, ours: bytes | None, theirs: bytes | None, result: bytes | None
) -> None:
    assert _merge(commands, _trio(base, ours, theirs)) == Merged(files={"app.py": result})
    assert not commands.ran


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "why"),
    [
        (b"a\n", None, b"b\n", "the project has removed it"),
        (b"a\n", b"b\n", None, "the agent removed it"),
        (None, b"a\n", b"b\n", "both created it"),
        (b"a\n", b"\0a\n", b"b\n", "a binary file"),
        (b"a\n", b"b" * (MAX_TEXT_BYTES + 1), b"b\n", "both changed it, and it is too large"),
    ],
)
def test_what_cannot_be_merged_is_a_conflict_that_says_why(
    commands: PlainCommands, base: bytes | None, ours: bytes | None, theirs: bytes | None, why: str
) -> None:
    message = _conflict(commands, _trio(base, ours, theirs)).message
    assert f"\napp.py: {why}" in message
    assert not commands.ran


def test_changes_of_different_lines_go_together(commands: PlainCommands) -> None:
    ours, theirs = BASE.replace(b"one", b"ONE"), BASE.replace(b"six\n", b"SIX")
    assert _merge(commands, _trio(BASE, ours, theirs)).files == {"app.py": b"ONE\ntwo\nthree\nfour\nfive\nSIX"}


def test_changes_of_lines_side_by_side_do_not(commands: PlainCommands) -> None:
    ours, theirs = BASE.replace(b"two", b"TWO"), BASE.replace(b"three", b"THREE")
    (found,) = _merge(commands, _trio(BASE, ours, theirs)).conflicts
    assert found.hunks == (ConflictHunk(line=2, base=b"two\nthree\n", ours=b"TWO\nthree\n", theirs=b"two\nTHREE\n"),)


def test_line_ends_stay_as_each_side_has_them(commands: PlainCommands) -> None:
    base = BASE.replace(b"\n", b"\r\n")
    ours, theirs = base.replace(b"one\r\n", b"ONE\n"), base.replace(b"six\r\n", b"six\r\nseven")
    assert _merge(commands, _trio(base, ours, theirs)).files == {
        "app.py": b"ONE\ntwo\r\nthree\r\nfour\r\nfive\r\nsix\r\nseven"
    }


def test_many_files_cost_one_start_of_git(commands: PlainCommands) -> None:
    files = [_trio(BASE, b"0\n" + BASE, BASE + b"7\n", f"{number}.txt") for number in range(300)]
    assert set(_merge(commands, *files).files.values()) == {b"0\n" + BASE + b"7\n"}
    assert len(commands.ran) == 1


def test_one_file_in_the_way_keeps_all_from_being_merged(commands: PlainCommands) -> None:
    good = _trio(BASE, b"0\n" + BASE, BASE + b"7\n", "good.py")
    bad = _trio(BASE, BASE.replace(b"two", b"ours"), BASE.replace(b"two", b"theirs"), "bad.py")
    error = _conflict(commands, good, bad)
    assert error.message == (
        "nothing was merged: bad.py was changed by the agent and, meanwhile, in the project\n"
        "bad.py: both changed the same lines, or lines side by side\n"
        "  in line 2 the project says\n"
        "    | ours\n"
        "  and the agent made\n"
        "    | theirs\n"
        "Call the agent again, which then begins with the project as it is now; or bring both together by hand: "
        "`files` of this error has both sides"
    )
    assert error.fields == {
        "files": [
            {
                "path": "bad.py",
                "why": "both changed the same lines, or lines side by side",
                "hunks": [{"line": 2, "base": "two\n", "ours": "ours\n", "theirs": "theirs\n"}],
                "left_out": 0,
                "cut": False,
            }
        ]
    }


def test_a_message_is_short_and_the_error_holds_more(commands: PlainCommands) -> None:
    base = b"".join(b"%d\n\n\n" % number for number in range(100))
    ours = base.replace(b"\n\n\n", b"\n" + b"ours\n" * 40 + b"\n\n")
    theirs = base.replace(b"\n\n\n", b"\ntheirs\x1b[31m" + b"x" * 500 + b"\n\n\n")
    files = [_trio(base, ours, theirs, f"{number}.txt") for number in range(8)]
    error = _conflict(commands, *files)
    lines = error.message.splitlines()
    assert len(lines) < 3 * (2 * 21 + 2) + 5 * 2 + 4
    assert max(map(len, lines)) < 250
    assert "\x1b" not in error.message
    assert lines.count("  in lines 2-41 the project says") == 1
    assert "  ... and 97 more places" in lines
    assert "  in 100 places" in lines
    assert "... and 3 more files" in error.message
    assert "... and 20 more lines" in error.message
    held = error.fields["files"]
    assert isinstance(held, list)
    assert len(repr(held)) < 100_000
    assert isinstance(held[0], dict)
    assert isinstance(held[0]["hunks"], list)
    assert len(held[0]["hunks"]) > 3


def test_without_git_only_what_needs_none_is_merged(tmp_path: Path) -> None:
    commands = PlainCommands(tmp_path, environ={"PATH": "/nonexistent"})
    plain = _trio(b"a", b"a", b"b", "plain.txt")
    text = _trio(BASE, b"0\n" + BASE, BASE + b"7\n")
    result = _merge(commands, plain, text)
    assert result.files == {"plain.txt": b"b"}
    why = "both changed it, and git is not installed on this machine"
    assert result.conflicts == (Conflicted(path="app.py", why=why),)


def _is_slow(folder: Path) -> bool:
    return any(b"slow" in file.read_bytes() for file in folder.glob("old/*"))


class _Slow(PlainCommands):
    """A git that is stopped at its time limit whenever a text says `slow`."""

    async def run(self, command: Command) -> PlainEnd:
        if _is_slow(Path(command.argv[2])):
            return PlainEnd(None, b"", b"", 0, 0, timed_out=True)
        return await super().run(command)


def test_what_takes_too_long_is_a_conflict_and_the_others_are_merged(tmp_path: Path) -> None:
    files = [_trio(BASE, b"0\n" + BASE, BASE + b"7\n", f"{number}.txt") for number in range(7)]
    slow = b"slow\n" + BASE
    files.insert(4, _trio(slow, b"0\n" + slow, slow + b"7\n", "slow.txt"))
    result = _merge(_Slow(tmp_path), *files)
    assert len(result.files) == 7
    (found,) = result.conflicts
    assert found.why == "both changed it, and it could not be merged: git could not compare them in time"


def test_a_merge_of_a_hundred_thousand_places_is_quick(commands: PlainCommands) -> None:
    base = [b"%d\n" % number for number in range(200_000)]
    ours = [line[:-1] + b" ours\n" if at % 4 == 0 else line for at, line in enumerate(base)]
    theirs = [line[:-1] + b" theirs\n" if at % 4 == 2 else line for at, line in enumerate(base)]
    both = [one if one != line else other for line, one, other in zip(base, ours, theirs, strict=True)]
    file = _trio(b"".join(base), b"".join(ours), b"".join(theirs))
    result = trio.run(partial(merged, Differ(commands), [file], within_s=30))
    assert result.files == {"app.py": b"".join(both)}


def test_huge_lines_are_merged_and_their_conflicts_are_cut(commands: PlainCommands) -> None:
    huge = b"x" * 3_000_000
    base = huge + b"\ntwo\nthree\nfour\n"
    assert _merge(commands, _trio(base, base + b"five", base.replace(b"two", b"2"))).files == {
        "app.py": huge + b"\n2\nthree\nfour\nfive"
    }
    error = _conflict(commands, _trio(base, b"o" + base, b"t" + base))
    assert len(error.message) < 2_000
    (held,) = error.files
    assert isinstance(held, dict)
    assert held["cut"] is True
    assert len(repr(held)) < 70_000


@pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
def test_a_confined_git_merges_as_well(tmp_path: Path) -> None:
    commands = ConfinedCommands(tmp_path, accepted="strong", environ=os.environ)
    result = trio.run(partial(merged, Differ(commands), [_trio(BASE, b"0\n" + BASE, BASE + b"7\n")]))
    assert result.files == {"app.py": b"0\n" + BASE + b"7\n"}
