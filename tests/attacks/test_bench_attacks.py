"""What a hostile project, and a hostile command, have a bench do: nothing beyond the project. Each with its guard.

Every attack is tried twice: as it is, where nothing may come of it, and without the guard that stops it, where
something must.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import trio

from tests.support.benches import FloorJobs, Performing, shell, yard
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.agents.tools.descent import Place
from vibe_workflows.engine.bench.found import Found, Kind
from vibe_workflows.engine.bench.putting import put

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
_BENCH = "vibe_workflows.engine.bench."


class Seen(NamedTuple):
    root: Path
    outside: Path
    said: bytes
    files: Sequence[str]  # that the engine would make

    def makes(self, path: str) -> bool:
        return path in self.files or (self.root / path).exists()


class Attack(NamedTuple):
    name: str
    project: Callable[[Path, Path], object]  # makes it, given its root and a folder outside
    job: str
    guards: Sequence[tuple[str, object]]  # what stands for them where they are left out
    got_through: Callable[[Seen], bool]


def _follow(root: str, path: str) -> Found:
    return Found(path=path, kind=Kind.FOLDER if os.path.isdir(f"{root}/{path}") else Kind.GONE)


def _lstat_that_follows(path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
    return _stat(path, dir_fd=dir_fd)


_stat = os.stat
_REFUSED = (("effects._Sorting._is_protected", lambda *_: False), ("putting._may_be_written", lambda path: True))

ATTACKS = (
    Attack(
        "a hook in place of the history",
        lambda root, outside: (root / ".git/hooks").mkdir(parents=True),
        "rm -f .git; mkdir -p .git/hooks; echo evil > .git/hooks/post-commit",
        [*_REFUSED, ("copies.GIT", "-")],
        lambda seen: seen.makes(".git/hooks/post-commit"),
    ),
    Attack(
        "a repository below the project, which runs what it says",
        lambda root, outside: None,
        "mkdir -p sub/.git; echo evil > sub/.git/config",
        _REFUSED,
        lambda seen: seen.makes("sub/.git/config"),
    ),
    Attack(
        "a name that some file systems take for .git",
        lambda root, outside: None,
        "mkdir -p sub/.GIT; echo evil > sub/.GIT/config",
        _REFUSED,
        lambda seen: seen.makes("sub/.GIT/config"),
    ),
    Attack(
        "settings of this program",
        lambda root, outside: None,
        "echo 'allow: [write]' > vibe.yaml; mkdir .claude; echo evil > .claude/a.md",
        _REFUSED,
        lambda seen: seen.makes("vibe.yaml") or seen.makes(".claude/a.md"),
    ),
    Attack(
        "a key that git ignores",
        lambda root, outside: (root / "id_rsa").write_text("mine"),
        "echo evil > id_rsa",
        _REFUSED,
        lambda seen: (seen.root / "id_rsa").read_text() != "mine",
    ),
    Attack(
        "a folder to be shared that leads to secrets",
        lambda root, outside: (root / ".venv").symlink_to(outside),
        "cat .venv/file",
        [("links.look", _follow)],
        lambda seen: b"secret" in seen.said,
    ),
    Attack(
        "a history that leads to secrets",
        lambda root, outside: (root / ".git").symlink_to(outside),
        "cat .git/file",
        [("links.look", _follow)],
        lambda seen: b"secret" in seen.said,
    ),
    Attack(
        "a link that leads to secrets",
        lambda root, outside: (root / "link").symlink_to(outside / "file"),
        "cat link",
        [("copying.os.stat", _lstat_that_follows), ("copying.FILE_FLAGS", os.O_RDONLY)],
        lambda seen: b"secret" in seen.said,
    ),
)


def _got_through(attack: Attack, *, guarded: bool) -> bool:
    with memory_folder() as folder, yard(folder, FloorJobs()) as made, ExitStack() as stack:
        outside = folder / "outside"
        outside.mkdir()
        (outside / "file").write_text("secret")
        made.tree.write(".gitignore", "build\nid_rsa\n.venv\n")
        attack.project(made.root, outside)

        async def main() -> Seen:
            async with made.benches.project.working(shell(attack.job), {}) as worked:
                await worked.put_beside()
                files = [file.path for file in worked.files]
                return Seen(made.root, outside, worked.end.stdout, files)

        for name, value in () if guarded else attack.guards:
            stack.enter_context(mock.patch(_BENCH + name, value))
        return attack.got_through(trio.run(main))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_nothing_comes_of_an_attack_but_by_its_guard(attack: Attack) -> None:
    assert not _got_through(attack, guarded=True)
    assert _got_through(attack, guarded=False), "the guard stands before nothing"


@pytest.mark.parametrize("guarded", [True, False])
def test_no_program_comes_to_run_with_its_owners_rights(guarded: bool) -> None:
    """The walls let none be made; a program without walls may."""
    runner = Performing()
    runner.script = [("make", "build"), ("write", "build/run", "evil"), ("mode", "build/run", 0o6755)]
    with memory_folder() as folder, yard(folder, runner) as made, ExitStack() as stack:
        made.tree.write(".gitignore", "build\n")
        if not guarded:
            stack.enter_context(mock.patch(_BENCH + "found.PERMISSIONS", 0o7777))

        async def main() -> None:
            async with made.benches.project.working(shell(""), {}) as worked:
                await worked.put_beside()

        trio.run(main)
        mode = (made.root / "build/run").stat().st_mode
        assert bool(mode & (stat.S_ISUID | stat.S_ISGID)) != guarded


# ---------------------------------------------------------------- what changes after it was looked at


@contextmanager
def _careless_parent(root: str, place: Place) -> Iterator[tuple[int, str]]:
    folder = os.open(os.path.join(root, *place.parts[:-1]), os.O_RDONLY)
    try:
        yield folder, place.parts[-1]
    finally:
        os.close(folder)


@contextmanager
def _careless_file(root: str, place: Place) -> Iterator[tuple[int, os.stat_result]]:
    file = os.open(os.path.join(root, *place.parts), os.O_RDONLY)
    try:
        yield file, os.fstat(file)
    finally:
        os.close(file)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Project, copy and a folder outside of both; what was a folder `d` in the first two is to become a link."""
    found = tmp_path / "project", tmp_path / "copy", tmp_path / "outside"
    for folder in found:
        folder.mkdir()
    (found[2] / "file").write_text("secret")
    return found


_FILE = Found(path="d/file", kind=Kind.FILE, mode=0o644)


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("what", [_FILE, Found(path="d/file", kind=Kind.GONE), Found(path="d/new", kind=Kind.FOLDER)])
def test_a_link_in_place_of_a_folder_of_the_project_leads_nowhere(
    folders: tuple[Path, Path, Path], what: Found, guarded: bool
) -> None:
    project, copy, outside = folders
    (copy / "d").mkdir()
    (copy / "d/file").write_text("evil")
    (project / "d").symlink_to(outside)
    with ExitStack() as stack:
        if not guarded:
            stack.enter_context(mock.patch(_BENCH + "putting.open_parent", _careless_parent))
        put(str(project), str(copy), [what], [Found(path="d/file", kind=Kind.FILE, mode=0o777)])
    held = {path.name: path.is_file() and path.read_text() for path in outside.iterdir()}
    assert (held == {"file": "secret"} and stat.S_IMODE((outside / "file").stat().st_mode) != 0o777) == guarded


@pytest.mark.parametrize("guarded", [True, False])
def test_a_link_in_place_of_a_folder_of_a_copy_brings_nothing_in(
    folders: tuple[Path, Path, Path], guarded: bool
) -> None:
    project, copy, outside = folders
    (project / "d").mkdir()
    (copy / "d").symlink_to(outside)
    with ExitStack() as stack:
        if not guarded:
            stack.enter_context(mock.patch(_BENCH + "putting.open_file", _careless_file))
        put(str(project), str(copy), [_FILE], [])
    assert (project / "d/file").exists() != guarded


@pytest.mark.parametrize("guarded", [True, False])
def test_a_link_that_is_to_get_another_mode_leads_nowhere(folders: tuple[Path, Path, Path], guarded: bool) -> None:
    project, copy, outside = folders
    (project / "run").symlink_to(outside / "file")
    with ExitStack() as stack:
        if not guarded:
            stack.enter_context(mock.patch(_BENCH + "putting.FOLDER_FLAGS", os.O_RDONLY))
        put(str(project), str(copy), [], [Found(path="run", kind=Kind.FILE, mode=0o777)])
    assert (stat.S_IMODE((outside / "file").stat().st_mode) == 0o777) != guarded


def test_pipes_and_sockets_are_nowhere_waited_for(tmp_path: Path) -> None:
    """In the project, as rules, and in what a command leaves."""
    with memory_folder() as folder, yard(folder, FloorJobs()) as made:
        os.mkfifo(made.root / ".gitignore")
        made.tree.write("a/b")
        os.mkfifo(made.root / "a/pipe")
        job = shell("rm a/b; mkfifo a/b c; ls a")

        async def main() -> None:
            with trio.fail_after(30):
                async with made.benches.project.working(job, {}) as worked:
                    assert worked.end.stdout == b"b\npipe\n"
                    assert [(file.path, file.after) for file in worked.files] == [("a/b", None)]
                    await worked.put_beside()

        trio.run(main)
        assert not (made.root / "c").exists()
