"""What an edit may not reach, with every grant: each attack names its guards, and needs them.

An edit is planned and then made, as the engine does it, by somebody who knows where it hurts. An attack got through if
what it aims at is no longer as it was.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import trio

from tests.support.projects import Project
from vibe_workflows.engine.agents.tools import descent, workspace, writing
from vibe_workflows.engine.agents.tools.workspace import Place, Workspace
from vibe_workflows.engine.agents.tools.write_file import WriteFile
from vibe_workflows.engine.errors import ToolDenied, ToolFailed

MARK = "attack-marker-8086"
HELD = "as it was"

# ---------------------------------------------------------------- the guards, and how each is switched off


def _naive_locate(self: Workspace, path: str) -> Place:
    real = os.path.realpath(os.path.join(self._root, path))
    return Place(path=path, parts=tuple(os.path.relpath(real, self._root).split("/")))


def _naive_place(path: str) -> Place:
    return Place(path=path, parts=tuple(path.split("/")))


def _write_in_place(root: str, place: Place, data: bytes, _before: bytes | None) -> None:
    Path(root, *place.parts).write_bytes(data)


@contextmanager
def _all(*guards: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for guard in guards:
            stack.enter_context(guard)
        yield


def _following() -> AbstractContextManager[object]:
    flags = descent.FOLDER_FLAGS & ~os.O_NOFOLLOW
    return _all(
        mock.patch.object(descent, "FOLDER_FLAGS", flags),
        mock.patch.object(writing, "FOLDER_FLAGS", flags),
    )


GUARDS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "confinement": lambda: mock.patch.object(Workspace, "locate", _naive_locate),
    "real paths": lambda: mock.patch.object(Place, "at", _naive_place),
    "secrets": lambda: mock.patch.object(workspace, "refusal", return_value=None),
    "protected": lambda: mock.patch.object(workspace, "write_refusal", return_value=None),
    "links": _following,
    "regular files": lambda: mock.patch.object(descent, "_refuse_irregular", return_value=None),
    "rename": lambda: mock.patch.object(writing, "replace_file", _write_in_place),
    "check before the rename": lambda: mock.patch.object(writing, "_require", return_value=None),
    "length": lambda: mock.patch.object(workspace, "MAX_PATH_CHARS", 1_000_000),
}

# ---------------------------------------------------------------- the attacks


class Target:
    """A project, and beside it what is not the project's."""

    def __init__(self, folder: Path) -> None:
        (folder / "project").mkdir()
        self.project = Project(folder / "project")
        self.root = self.project.root
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "file.txt").write_text(HELD)
        self.project.write(".git/config", HELD)
        self.project.write("notes.md", HELD)
        self.project.write("src/a.py", HELD)
        self.told = ""

    def holds_mark(self, path: Path) -> bool:
        return stat.S_ISREG(os.stat(path).st_mode) and MARK in path.read_text() if path.exists() else False


def _no_change(_target: Target) -> None: ...


def _marked(path: str) -> Callable[[Target], bool]:
    return lambda target: target.holds_mark(target.root / path)


def _outside_is_marked(target: Target) -> bool:
    return any(target.holds_mark(path) for path in target.outside.rglob("*") if path.is_file())


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str
    path: str
    guards: tuple[str, ...]
    got_through: Callable[[Target], bool]
    prepare: Callable[[Target], object] = _no_change
    between: Callable[[Target], object] = _no_change  # after the plan, before it is made

    def __str__(self) -> str:
        return self.name


def _aimed_at(path: str, *guards: str, lands: str = "") -> Attack:
    return Attack(name=f"{path!a} is written", path=path, guards=guards, got_through=_marked(lands or path))


def _swap_folder(target: Target) -> None:
    (target.root / "src" / "a.py").unlink()
    (target.root / "src").rmdir()
    (target.root / "src").symlink_to("../outside")


def _swap_file(target: Target) -> None:
    (target.root / "notes.md").unlink()
    (target.root / "notes.md").symlink_to("../outside/file.txt")


def _swap_new_folder(target: Target) -> None:
    (target.root / "new").symlink_to("../outside")


def _link_outside(target: Target) -> None:
    os.link(target.outside / "file.txt", target.root / "hard.txt")


def _null(target: Target) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    try:
        os.mknod(target.root / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")


_OUT = ("confinement", "real paths")
ATTACKS = [
    _aimed_at(".git/hooks/pre-commit", "secrets", "protected"),
    _aimed_at(".git/config", "secrets", "protected"),
    _aimed_at("sub/.git/config", "secrets", "protected"),
    _aimed_at(".GIT/config", "secrets", "protected"),
    _aimed_at(".g\u200cit/config", "secrets", "protected"),
    _aimed_at("src/.hg/hgrc", "secrets", "protected"),
    _aimed_at(".svn/entries", "secrets", "protected"),
    _aimed_at(".vibe/workflows/x.py", "secrets", "protected"),
    _aimed_at("vibe.yaml", "protected"),
    _aimed_at("sub/Vibe.YAML", "protected"),
    _aimed_at(".claude/agents/x.md", "protected"),
    _aimed_at(".Claude/settings.json", "protected"),
    _aimed_at(".env", "secrets"),
    _aimed_at("config/.env.local", "secrets"),
    _aimed_at("deploy/id_ed25519", "secrets"),
    Attack(
        name="a link leads to the hooks of git",
        path="harmless/pre-commit",
        guards=("secrets", "protected"),
        got_through=_marked(".git/pre-commit"),
        prepare=lambda target: (target.root / "harmless").symlink_to(".git"),
    ),
    Attack(
        name="a link leads to the configuration",
        path="harmless.txt",
        guards=("protected",),
        got_through=_marked("vibe.yaml"),
        prepare=lambda target: (target.root / "harmless.txt").symlink_to("vibe.yaml"),
    ),
    Attack(
        name="a link leads to a file outside",
        path="link.txt",
        guards=_OUT,
        got_through=_outside_is_marked,
        prepare=lambda target: (target.root / "link.txt").symlink_to("../outside/file.txt"),
    ),
    Attack(
        name="a link leads to a folder outside",
        path="link/new/file.txt",
        guards=_OUT,
        got_through=_outside_is_marked,
        prepare=lambda target: (target.root / "link").symlink_to("../outside"),
    ),
    Attack(
        name="the path climbs out",
        path="src/../../outside/x",
        guards=_OUT,
        got_through=_outside_is_marked,
    ),
    Attack(
        name="the path is absolute",
        path="/ABSOLUTE",
        guards=_OUT,
        got_through=_outside_is_marked,
    ),
    Attack(
        name="a folder is exchanged for a link between plan and write",
        path="src/new.txt",
        guards=("links",),
        got_through=_outside_is_marked,
        between=_swap_folder,
    ),
    Attack(
        name="a folder that is to be made is put there as a link",
        path="new/x.txt",
        guards=("links",),
        got_through=_outside_is_marked,
        between=_swap_new_folder,
    ),
    Attack(
        name="a file is exchanged for a link between plan and write",
        path="notes.md",
        guards=("regular files", "rename", "check before the rename"),
        got_through=_outside_is_marked,
        between=_swap_file,
    ),
    Attack(
        name="a hard link leads to a file outside",
        path="hard.txt",
        guards=("rename",),
        got_through=_outside_is_marked,
        prepare=_link_outside,
    ),
    Attack(
        name="a person saves the file between plan and write",
        path="notes.md",
        guards=("check before the rename",),
        got_through=_marked("notes.md"),
        between=lambda target: (target.root / "notes.md").write_text("by hand"),
    ),
    Attack(
        name="a pipe is replaced",
        path="pipe",
        guards=("regular files", "check before the rename"),
        got_through=_marked("pipe"),
        prepare=lambda target: os.mkfifo(target.root / "pipe"),
    ),
    Attack(
        name="a device is replaced",
        path="null",
        guards=("regular files", "check before the rename"),
        got_through=_marked("null"),
        prepare=_null,
    ),
    Attack(
        name="a path without end comes back to the model",
        path="x" * 5_000,
        guards=("length",),
        got_through=lambda target: len(target.told) > 1_000,
    ),
]


def _attempt(target: Target, attack: Attack) -> None:
    path = str(target.outside / "file.txt") if attack.path == "/ABSOLUTE" else attack.path

    async def main() -> None:
        files = target.project.workspace
        plan = await WriteFile(files).plan({"path": path, "content": MARK})
        assert plan.after is not None
        attack.between(target)
        await files.write(Place.at(plan.path), plan.after, before=plan.before)

    attack.prepare(target)
    try:
        trio.run(main)
    except (ToolDenied, ToolFailed) as error:
        target.told = error.message


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_edit_that_no_grant_covers_is_stopped(target: Target, attack: Attack) -> None:
    _attempt(target, attack)
    assert not attack.got_through(target)
    assert target.told or attack.guards == ("rename",)  # the file of the project is new, and the other one as it was


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_an_edit_gets_through_without_its_guards(target: Target, attack: Attack) -> None:
    with _all(*(GUARDS[name]() for name in attack.guards)):
        _attempt(target, attack)
    assert attack.got_through(target), target.told


def test_every_guard_is_needed_by_an_attack() -> None:
    assert {name for attack in ATTACKS for name in attack.guards} == set(GUARDS)


# ---------------------------------------------------------------- what the system itself refuses as well


def test_a_socket_and_a_folder_are_refused_and_stay(target: Target) -> None:
    listener = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(target.root)  # the address of a Unix socket is short
    try:
        listener.bind("socket")
    finally:
        os.chdir(before)
    with listener:
        for path in ("socket", "src"):
            _attempt(target, _aimed_at(path))
            assert target.told
    assert stat.S_ISSOCK(os.stat(target.root / "socket").st_mode)
    assert (target.root / "src" / "a.py").read_text() == HELD
