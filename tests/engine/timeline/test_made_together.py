"""Edits that are made together: all of them or none, also where a write fails, and where the process died over them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.store.editing import a_turn, cut_off
from tests.engine.store.making import opened
from tests.support.checking import PlainChecker
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.journal import Journal, Observers
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import Change, Observation, RunId, StepId, ToolCall
from vibe_workflows.engine.observe import Replayer, file_observation
from vibe_workflows.engine.ports import PlannedEdit, Record, ToolResult
from vibe_workflows.engine.store.sqlite import SqliteStore
from vibe_workflows.engine.timeline.disk import Disk
from vibe_workflows.engine.timeline.opening import open_project

RUN = RunId("run1")
STEP = StepId("s")
#: What one call makes of files, by path: each side, None for no such file.
PLAN: Mapping[str, tuple[bytes | None, bytes | None]] = {
    "a.txt": (b"a", None),
    "b.txt": (b"b", b"B"),
    "d/c.txt": (None, b"C"),
}


class Killed(BaseException):
    """The process is gone."""


class FragileFiles(WorkspaceFiles):
    """Something comes to pass before a write: `before` holds what, by how many writes there were."""

    def __init__(self, workspace: Workspace, state: FileState) -> None:
        super().__init__(workspace, state)
        self.writes = 0
        self.before: dict[int, BaseException] = {}

    async def write(self, path: str, before: bytes | None, after: bytes | None) -> None:
        self.writes += 1
        if (error := self.before.get(self.writes)) is not None:
            raise error
        await super().write(path, before, after)


class Place:
    """A project with its store, and the way to its disk."""

    def __init__(self, root: Path, store: SqliteStore) -> None:
        self.root = root
        self.store = store
        workspace = Workspace(root, PlainChecker())
        state = FileState(workspace, FileDigests(workspace, lambda: 0.0))
        self.files = FragileFiles(workspace, state)
        self.replayer = Replayer([state])
        self.journal = Journal(RUN, store, Observers([]), lambda: 1.0)
        self.disk = Disk(RUN, self.files, store.reader.contents, self.journal)

    def lay(self, contents: Mapping[str, bytes | None]) -> None:
        for path, data in contents.items():
            place = self.root / path
            if data is None:
                place.unlink(missing_ok=True)
                continue
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)

    def lying(self) -> dict[str, bytes | None]:
        return {path: (self.root / path).read_bytes() if (self.root / path).exists() else None for path in PLAN}

    async def make(self, epoch: int = 10) -> object:
        """Make all of PLAN, as one call of a step that is cut off."""
        seen: list[Observation] = []
        plans: list[PlannedEdit] = []
        for number, (path, (before, after)) in enumerate(PLAN.items()):
            change = Change(path=path, before=digest_of(before), after=digest_of(after))
            seen.append(file_observation(path, change.before, epoch=epoch + number, change=change))
            plans.append(PlannedEdit(path=path, before=before, after=after, result=ToolResult(text="", data=None)))
        records: list[Record] = [cut_off(STEP), a_turn(STEP, 1), a_call(seen)]
        return await self.disk.make_all(STEP, 1, plans, seen, records)

    async def settle(self, *, may_edit: bool = True) -> None:
        await open_project(
            run_id=RunId("next"),
            store=self.store,
            files=self.files,
            replayer=self.replayer,
            journal=self.journal,
            wall_clock=lambda: 2.0,
            own_steps=lambda reader: [],
            may_edit=may_edit,
            start_over=lambda told: None,
        )

    def entries(self) -> list[bool]:
        """Whether each entry of the chains is done."""
        return [entry.done for entry in self.store.reader.chains(list(PLAN))]

    def kept(self) -> bool:
        (step,) = self.store.reader.cut_off(cut_off(STEP).key)
        return bool(step.kept)


def a_call(seen: list[Observation]) -> ToolCall:
    return ToolCall(
        step_id=STEP,
        turn=1,
        number=1,
        call_id="c",
        name="run_command",
        arguments="{}",
        output="",
        outcome="ok",
        started_at=1.0,
        finished_at=2.0,
        observations=tuple(seen),
    )


def digest_of(data: bytes | None) -> str | None:
    return None if data is None else content_digest(data)


BEFORE = {path: before for path, (before, _) in PLAN.items()}
AFTER = {path: after for path, (_, after) in PLAN.items()}


def in_a_place(body: Callable[[Place], Awaitable[None]], root: Path) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with opened(root / ".vibe/vibe.db") as store:
                place = Place(root, store)
                place.lay(BEFORE)
                await body(place)

    trio.run(main)


def test_all_edits_of_a_call_are_made(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        assert await place.make() is None
        assert place.lying() == AFTER
        await place.journal.commit([], [])
        assert place.entries() == [True] * 3
        assert place.kept()

    in_a_place(body, tmp_path)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_where_one_edit_fails_the_others_are_taken_back_and_nothing_is_known_of_them(tmp_path: Path, at: int) -> None:
    async def body(place: Place) -> None:
        place.files.before[at] = ToolFailed("the disk is full")
        refused = await place.make()
        assert isinstance(refused, ToolFailed)
        assert refused.message == "the disk is full"
        assert place.lying() == BEFORE
        assert place.entries() == []
        assert not place.kept()
        assert await place.make(epoch=20) is None, "what was taken back can be made once more"

    in_a_place(body, tmp_path)


def test_an_edit_that_cannot_be_taken_back_is_named(tmp_path: Path) -> None:
    async def body(place: Place) -> None:
        place.files.before.update({3: ToolFailed("the disk is full"), 4: ToolFailed("still full")})
        refused = await place.make()
        assert isinstance(refused, ToolFailed)
        assert refused.message == "the disk is full; these files could not be put back as they were: b.txt"
        assert place.lying() == {**BEFORE, "b.txt": b"B"}
        assert place.entries() == []

    in_a_place(body, tmp_path)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_call_that_was_killed_between_its_edits_is_made_to_its_end_by_the_next_run(tmp_path: Path, at: int) -> None:
    async def body(place: Place) -> None:
        place.files.before[at] = Killed()
        with pytest.raises(Killed):
            await place.make()
        assert place.entries() == [False] * 3
        await place.settle()
        assert place.lying() == AFTER
        assert place.entries() == [True] * 3
        assert place.kept()

    in_a_place(body, tmp_path)


@pytest.mark.parametrize("at", [2, 3])
def test_where_the_next_run_cannot_make_the_rest_the_whole_call_is_taken_back(tmp_path: Path, at: int) -> None:
    async def body(place: Place) -> None:
        place.files.before[at] = Killed()
        with pytest.raises(Killed):
            await place.make()
        place.files.before[place.files.writes + 1] = ToolFailed("the disk is full")
        await place.settle()
        assert place.lying() == BEFORE
        assert place.entries() == []
        assert not place.kept()

    in_a_place(body, tmp_path)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_run_that_may_not_edit_leaves_a_half_made_call_to_one_that_may(tmp_path: Path, at: int) -> None:
    async def body(place: Place) -> None:
        place.files.before[at] = Killed()
        with pytest.raises(Killed):
            await place.make()
        half = place.lying()
        await place.settle(may_edit=False)
        assert place.lying() == half
        assert place.entries() == ([] if at == 1 else [False] * 3), "one of which nothing was made never was"
        await place.settle()
        assert place.lying() == (BEFORE if at == 1 else AFTER)

    in_a_place(body, tmp_path)


@settings(max_examples=20)
@given(st.tuples(*[st.sampled_from(["before", "after", "by hand"])] * 3))
def test_however_files_lie_when_a_run_begins_all_of_a_call_is_made_or_none(states: tuple[str, ...]) -> None:
    """What a person made of a file meanwhile stays as it is."""

    async def body(place: Place) -> None:
        place.files.before[1] = Killed()
        with pytest.raises(Killed):
            await place.make()
        found = {
            path: {"before": before, "after": after, "by hand": b"hand"}[state]
            for state, (path, (before, after)) in zip(states, PLAN.items(), strict=True)
        }
        place.lay(found)
        await place.settle()
        hand = {path for path, data in found.items() if data == b"hand"}
        lying = place.lying()
        assert {path for path, data in lying.items() if data == b"hand"} == hand
        rest = [path for path in PLAN if path not in hand]
        if place.entries():
            assert place.entries() == [True] * 3
            assert all(lying[path] == AFTER[path] for path in rest)
            assert "after" in states or not hand
        else:
            assert "after" not in states
            assert lying == found
        assert place.store.reader.unsettled_changes() == []

    with memory_folder() as folder:
        in_a_place(body, folder)
