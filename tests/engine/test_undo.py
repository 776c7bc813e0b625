"""What an undo takes back of a file, whoever edited it in between, and wherever it was killed before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.memory_folder import memory_folder
from tests.support.past_runs import a_run, a_step, delivered
from tests.support.stores import origins_of, write_store
from vibe_workflows.engine import undo
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE, Change, Observation, RunId
from vibe_workflows.engine.ports import FileChange, FileContents, Record, Tool
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.sqlite import open_store

OURS, OTHER = "r1", "r2"
FIRST = b"0"


class Killed(BaseException):
    """The process is gone."""


class DyingFiles:
    """The files of a project whose process is killed before or after a write; `writes` are left until then."""

    def __init__(self, files: WorkspaceFiles, writes: int, *, behind: bool = False) -> None:
        self._files = files
        self._writes = writes
        self._behind = behind

    @property
    def state(self) -> Tool:
        return self._files.state

    async def digest(self, path: str) -> str | None:
        return await self._files.digest(path)

    async def read(self, path: str) -> bytes | None:
        return await self._files.read(path)

    def require_writable(self, path: str) -> None:
        self._files.require_writable(path)

    async def write(self, path: str, before: bytes | None, after: bytes | None) -> None:
        self._writes -= 1
        if self._writes < 0 and not self._behind:
            raise Killed
        await self._files.write(path, before, after)
        if self._writes < 0:
            raise Killed

    def clear_leftovers(self, paths: Collection[str]) -> None:
        self._files.clear_leftovers(paths)


class Scene:
    """A project whose files were edited; each edit makes contents that were never there before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".vibe" / "vibe.db"
        self._contents = 0
        self._epoch = 0
        self._edits: dict[str, list[FileChange]] = {OURS: [], OTHER: []}
        self._records: list[Record] = []

    def read(self, path: str) -> bytes | None:
        file = self.folder / path
        return file.read_bytes() if file.exists() else None

    def edit(self, path: str, run: str | None, *, done: bool = True) -> None:
        """By a step of a run, or by hand."""
        self._contents += 1
        before, after = self.read(path), str(self._contents).encode()
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(after)
        if run is None:
            return
        self._epoch += 1
        sides = [data for data in (before, after) if data is not None]
        self._records += [FileContents(digest=content_digest(data), data=data) for data in sides]
        change = Change(
            path=path, before=None if before is None else content_digest(before), after=content_digest(after)
        )
        entry = FileChange(epoch=self._epoch, change=change, step_id=a_step(run, 1).id, run_id=RunId(run), done=done)
        self._edits[run].append(entry)

    def stored(self) -> None:
        records: list[Record] = []
        for number, (run, edits) in enumerate(self._edits.items()):
            seen = tuple(
                Observation(
                    tool=FILE_STATE,
                    arguments=json.dumps({"path": edit.change.path}),
                    digest="d",
                    epoch=edit.epoch,
                    change=edit.change,
                )
                for edit in edits
            )
            step = a_step(run, 1, observations=seen)
            records += [a_run(run, started_at=1000.0 + number), step, delivered(run, 1, step), *edits]
        write_store(self.store, [*self._records, *records])

    def files(self) -> WorkspaceFiles:
        workspace = Workspace(self.folder, None)
        return WorkspaceFiles(workspace, FileState(workspace, FileDigests(workspace, lambda: 0.0)))

    def undo(self, files: DyingFiles | WorkspaceFiles | None = None, run: str = OURS) -> undo.Undo:
        async def main() -> undo.Undo:
            used = files or self.files()
            async with open_island() as island, open_store(self.store, island, origins=origins_of(self.store)) as store:
                asked = store.reader.run(RunId(run))
                assert asked is not None
                return await undo.take_back(await undo.look(asked, store.reader, used), store, used)

        return trio.run(main)

    def chain(self, path: str) -> int:
        """How many entries are left."""
        with closing(sqlite3.connect(self.store)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM changes WHERE path = ?", (path,)).fetchone()
        return int(count)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return new_scene(tmp_path / "project")


def new_scene(folder: Path) -> Scene:
    folder.mkdir()
    (folder / "f").write_bytes(FIRST)
    return Scene(folder)


@given(st.lists(st.sampled_from([OURS, OTHER, None]), min_size=1, max_size=6))
def test_the_edits_on_top_are_taken_back_as_far_as_they_are_the_runs_own(editors: Sequence[str | None]) -> None:
    with memory_folder() as folder:
        scene = new_scene(folder / "project")
        contents = [scene.read("f")]
        for editor in editors:
            scene.edit("f", editor)
            contents.append(scene.read("f"))
        scene.stored()
        kept = len(editors)
        while kept and editors[kept - 1] == OURS:
            kept -= 1
        done = scene.undo()
        assert scene.read("f") == contents[kept]
        assert len(done.files) == (kept < len(editors))
        assert bool(done.kept) == (OURS in editors[:kept])
        if done.kept:
            above = editors[:kept][max(at for at, editor in enumerate(editors[:kept]) if editor == OURS) + 1]
            assert done.kept[0].why is (undo.Why.BY_STEP if above == OTHER else undo.Why.BY_HAND)
        again = scene.undo()
        assert scene.read("f") == contents[kept]
        assert (again.files, again.kept) == ((), done.kept)


@pytest.mark.parametrize("behind", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("writes", [0, 1, 2])
def test_killed_before_or_after_any_write_another_undo_finishes_it(scene: Scene, writes: int, behind: bool) -> None:
    for path in ("f", "g", "new/h", "f", "g"):
        scene.edit(path, OURS)
    scene.stored()
    with pytest.raises(Killed):
        scene.undo(DyingFiles(scene.files(), writes, behind=behind))
    done = scene.undo()
    assert done.kept == ()
    assert (scene.read("f"), scene.read("g"), scene.read("new/h")) == (FIRST, None, None)
    assert not (scene.folder / "new").exists()
    assert scene.chain("f") == scene.chain("g") == scene.chain("new/h") == 0
    assert scene.undo().files == ()


def test_an_edit_that_a_run_died_over_is_taken_back_and_no_later_run_makes_it_again(scene: Scene) -> None:
    scene.edit("f", OURS, done=False)
    scene.stored()
    with pytest.raises(Killed):  # the file is as it was before the edit, and the undo is not written down
        scene.undo(DyingFiles(scene.files(), 0, behind=True))
    assert scene.read("f") == FIRST
    with closing(sqlite3.connect(scene.store)) as connection:
        assert connection.execute("SELECT count(*) FROM changes WHERE done = 0").fetchone() == (0,)


def test_what_the_store_does_not_keep_any_more_stays(scene: Scene) -> None:
    scene.edit("f", OURS)
    edited = scene.read("f")
    scene.stored()
    with closing(sqlite3.connect(scene.store)) as connection, connection:
        connection.execute("DELETE FROM blobs WHERE digest = ?", (bytes.fromhex(content_digest(FIRST)),))
    done = scene.undo()
    assert [(each.path, each.why) for each in done.kept] == [("f", undo.Why.NOT_KEPT)]
    assert (done.files, scene.read("f")) == ((), edited)


def test_a_file_that_changes_between_the_look_and_the_write_stays(scene: Scene) -> None:
    scene.edit("f", OURS)
    scene.stored()

    class Meanwhile(DyingFiles):
        async def write(self, path: str, before: bytes | None, after: bytes | None) -> None:
            scene.edit("f", None)
            await super().write(path, before, after)

    done = scene.undo(Meanwhile(scene.files(), 10))
    assert [(each.path, each.why) for each in done.kept] == [("f", undo.Why.REFUSED)]
    assert scene.read("f") == b"2"
    assert scene.chain("f") == 1, "nothing was withdrawn"


def test_it_refuses_while_any_run_of_the_store_is_at_work(scene: Scene) -> None:
    scene.edit("f", OURS)
    scene.stored()
    with closing(sqlite3.connect(scene.store)) as connection, connection:
        connection.execute("UPDATE runs SET status = 'running', finished_at = NULL WHERE id = ?", (OTHER,))
    with RunLocks(scene.store).hold(RunId(OTHER)), pytest.raises(ConfigError, match=f"run {OTHER} is at work"):
        scene.undo()
    assert len(scene.undo().files) == 1
