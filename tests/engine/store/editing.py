"""Records of steps that edit files."""

from __future__ import annotations

from tests.engine.store.making import RUN, a_step
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE, Change, Observation, RunId, Step, StepId, StepStatus, ToolCall, Turn
from vibe_workflows.engine.ports import FileChange, FileContents, Record

KEY = a_step("any").key


def digest_of(text: str | None) -> str | None:
    return None if text is None else content_digest(text.encode())


def a_change(path: str, before: str | None, after: str | None) -> Change:
    return Change(path=path, before=digest_of(before), after=digest_of(after))


def an_edit(epoch: int, path: str = "a.py", before: str | None = "old", after: str | None = "new") -> Observation:
    return Observation(
        tool=FILE_STATE,
        arguments=f'{{"path":"{path}"}}',
        digest=f"state of {before}",
        epoch=epoch,
        change=a_change(path, before, after),
    )


def a_look(path: str, digest: str = "seen", epoch: int = 0) -> Observation:
    return Observation(tool="read_file", arguments=f'{{"path":"{path}"}}', digest=digest, epoch=epoch)


def a_call(step_id: str, turn: int, number: int, seen: Observation | None, output: str = "") -> ToolCall:
    return ToolCall(
        step_id=StepId(step_id),
        turn=turn,
        number=number,
        call_id=f"c{turn}.{number}",
        name="edit_file" if seen is not None and seen.change is not None else "read_file",
        arguments="{}",
        output=output,
        outcome="ok",
        started_at=1.0,
        finished_at=2.0,
        observations=() if seen is None else (seen,),
    )


def a_turn(step_id: str, number: int) -> Turn:
    return Turn(
        step_id=StepId(step_id),
        number=number,
        attempt=1,
        model="m",
        input="[]",
        output="{}",
        outcome="tool_calls",
        started_at=1.0,
        finished_at=2.0,
    )


def cut_off(id_: str, status: StepStatus = StepStatus.CANCELLED, **changes: object) -> Step:
    return a_step(id_, status=status, result=None, **changes)


def entries(step_id: str, *seen: Observation, run_id: RunId = RUN, done: bool = True) -> list[Record]:
    """The chain entries of edits, with the contents that they name, which are their own digests' texts."""
    records: list[Record] = []
    for each in seen:
        assert each.change is not None
        records.append(
            FileChange(epoch=each.epoch, change=each.change, step_id=StepId(step_id), run_id=run_id, done=done)
        )
    return records


def contents(*texts: str) -> list[Record]:
    return [FileContents(digest=content_digest(text.encode()), data=text.encode()) for text in texts]


def edit_call(step_id: str, turn: int, number: int, seen: Observation, *, done: bool = True) -> list[Record]:
    """A call that edited a file, with its entry and its contents."""
    return [*contents("old", "new"), a_call(step_id, turn, number, seen), *entries(step_id, seen, done=done)]
