"""What a hostile project or agent has a merge do: nothing but merge.

Git sees contents only, under names of ours, in a folder that belongs to no repository: what the project's own
repository configures never counts, and no name of a file reaches a command line.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.support.commands import PlainCommands
from tests.support.repositories import git, repository, write
from vibe_workflows.engine.git import Differ
from vibe_workflows.engine.merging import Merged, Trio, merged, patch_text
from vibe_workflows.engine.ports import FileMade

BASE = b"one\ntwo\nthree\nfour\nfive\n"
OURS = b"ONE\ntwo\nthree\nfour\nfive\n"
THEIRS = b"one\ntwo\nthree\nfour\nFIVE\n"
BOTH = b"ONE\ntwo\nthree\nfour\nFIVE\n"

ODD_PATHS = (
    "-rf",
    "--output=x",
    "../../up",
    "/etc/passwd",
    "a\nb",
    "$(touch x)",
    ".gitattributes",
    ".git/config",
    "new",
)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose every setting starts a program that leaves `mark` behind; temporary files lie inside of it."""
    root = repository(tmp_path / "project", {"a.txt": "one\n"})
    evil = write(tmp_path, "evil", f'#!/bin/sh\ntouch {tmp_path}/mark\ncat "$2" 2>/dev/null\nexit 0\n')
    evil.chmod(evil.stat().st_mode | stat.S_IXUSR)
    for name in ("diff.external", "diff.own.command", "diff.own.textconv", "merge.own.driver", "core.fsmonitor"):
        git(root, "config", name, str(evil))
    for name in (
        "filter.own.clean",
        "filter.own.smudge",
        "filter.own.process",
        "core.pager",
        "pager.diff",
        "alias.diff",
    ):
        git(root, "config", name, f"!{evil}" if name.startswith("alias") else str(evil))
    attributes = "* diff=own merge=own filter=own eol=crlf working-tree-encoding=UTF-16 ident\n"
    inside = root / "tmp"
    inside.mkdir()
    for folder in (root, inside):
        write(folder, ".gitattributes", attributes)
    monkeypatch.setattr(tempfile, "tempdir", str(inside))
    return root


def _marked(trap: Path) -> bool:
    return (trap.parent / "mark").exists()


def _merge(trap: Path, *files: Trio) -> Merged:
    return trio.run(partial(merged, Differ(PlainCommands(trap)), files))


def test_the_traps_are_set(trap: Path) -> None:
    """A git that compares two files as anyone would start it runs what the others must not run."""
    for name, data in (("old", BASE), ("new", OURS)):
        (trap / "tmp" / name).write_bytes(data)
    subprocess.run(["git", "diff", "--no-index", "old", "new"], cwd=trap / "tmp", capture_output=True, check=False)
    assert _marked(trap)


@pytest.mark.parametrize("path", ODD_PATHS)
def test_nothing_of_the_project_runs_whatever_a_file_is_called(trap: Path, path: str) -> None:
    before = sorted(os.walk(trap))
    result = _merge(trap, Trio(path=path, base=BASE, ours=OURS, theirs=THEIRS))
    assert result.files == {path: BOTH}
    patch = trio.run(partial(patch_text, Differ(PlainCommands(trap)), [FileMade(path=path, before=BASE, after=BOTH)]))
    assert "+ONE\n" in patch
    assert not _marked(trap)
    assert sorted(os.walk(trap)) == before, "and nothing is left behind"


def test_attributes_that_an_agent_writes_do_not_count(trap: Path) -> None:
    rules = b"* merge=own diff=own filter=own -text binary\n"
    attributes = Trio(path=".gitattributes", base=b"a\nb\nc\n", ours=rules + b"a\nb\nc\n", theirs=b"a\nb\nc\n" + rules)
    result = _merge(trap, attributes, Trio(path="a.txt", base=BASE, ours=OURS, theirs=THEIRS))
    assert result.files == {".gitattributes": rules + b"a\nb\nc\n" + rules, "a.txt": BOTH}
    assert not _marked(trap)


MARKERS = b"<<<<<<< ours\nx\n||||||| base\n=======\ny\n>>>>>>> theirs\n"
FORGED = b"diff --git a/old/0 b/new/0\n--- a/old/0\n+++ b/new/0\n@@ -1 +1,99 @@\n\\ No newline at end of file\n"


@pytest.mark.parametrize("odd", [MARKERS, FORGED], ids=["markers", "patch"])
def test_contents_that_look_like_words_of_git_are_contents(trap: Path, odd: bytes) -> None:
    result = _merge(trap, Trio(path="a", base=odd + BASE + odd, ours=odd + OURS + odd, theirs=odd * 2 + THEIRS))
    assert result.files == {"a": odd * 2 + BOTH} or result.conflicts
    result = _merge(trap, Trio(path="a", base=BASE, ours=odd + BASE, theirs=BASE + odd))
    assert result.files == {"a": odd + BASE + odd}


def test_a_conflict_of_marked_contents_has_them_as_they_are(trap: Path) -> None:
    (found,) = _merge(trap, Trio(path="a", base=BASE, ours=MARKERS + BASE, theirs=FORGED + BASE)).conflicts
    (hunk,) = found.hunks
    assert (hunk.line, hunk.base, hunk.ours, hunk.theirs) == (1, b"", MARKERS, FORGED)
