"""Two steps that edit one file without knowing of each other: who is told of, and how near they came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support import hands
from tests.support.kept_records import KeptRecords
from tests.support.projects import Project
from tests.support.whole_runs import Seen
from vibe_workflows.engine.events import EditsCollided, Nearness
from vibe_workflows.engine.git import LineChange
from vibe_workflows.engine.journal import Journal, Observers
from vibe_workflows.engine.merging import Collisions
from vibe_workflows.engine.merging.collisions import MAX_BYTES, joined, nearness, shifted, spans_of
from vibe_workflows.engine.merging.lines import line_changes
from vibe_workflows.engine.model import RunId, StepId
from vibe_workflows.engine.ports import EditingTool
from vibe_workflows.engine.timeline.order import NOTHING_YET, Past
from vibe_workflows.engine.timeline.timeline import Witness

BASE = "".join(f"{number}\n" for number in range(1, 21))
SAME, ADJACENT, ELSEWHERE = Nearness.SAME, Nearness.ADJACENT, Nearness.ELSEWHERE


def _journal(seen: Seen) -> Journal:
    return Journal(RunId("r1"), KeptRecords(), Observers([seen]), lambda: 1.0)


class Desk:
    """One file, and steps that edit it; `told` is what was said, in order."""

    def __init__(self, text: str | None = BASE) -> None:
        self._seen = Seen()
        self.collisions = Collisions(_journal(self._seen))
        self.text = text

    def edit(self, witness: Witness, *changes: tuple[str, str]) -> None:
        assert self.text is not None
        after = self.text
        for old, new in changes:
            assert after.count(old) == 1, old
            after = after.replace(old, new)
        self.write(witness, after)

    def write(self, witness: Witness, text: str | None) -> None:
        sides = [None if side is None else side.encode() for side in (self.text, text)]
        self.collisions.changed(witness, "a.txt", sides[0], sides[1])
        self.text = text

    @property
    def told(self) -> list[tuple[int, int, Nearness, tuple[int, int]]]:
        return [(each.number, each.other_number, each.where, each.lines) for each in self._seen.of(EditsCollided)]


def _step(number: int, past: Past = NOTHING_YET, *, attempt: str = "") -> Witness:
    return Witness(StepId(f"s{number}{attempt}"), past, number=number)


ONE, TWO, THREE = _step(1), _step(2), _step(3)


@pytest.mark.parametrize(
    ("first", "second", "where", "lines"),
    [
        (("\n5\n", "\nfive\n"), ("\nfive\n", "\nFIVE\n"), SAME, (5, 5)),
        (("\n5\n", "\nfive\n"), ("\n6\n", "\nsix\n"), ADJACENT, (6, 6)),
        (("\n5\n", "\nfive\n"), ("\n7\n", "\nseven\n"), ADJACENT, (7, 7)),
        (("\n5\n", "\nfive\n"), ("\n8\n", "\neight\n"), ELSEWHERE, (0, 0)),
        (("\n5\n", "\n5\na\nb\nc\n"), ("\nb\n", "\nB\n"), SAME, (7, 7)),
        (("\n5\n", "\n5\na\nb\nc\n"), ("\n6\n", "\nsix\n"), ADJACENT, (9, 9)),
        (("\n5\n6\n", "\n"), ("\n4\n7\n", "\n4\n5\n7\n"), SAME, (5, 5)),
        (("\n5\n6\n", "\n"), ("\n4\n7\n", "\n4\nseven\n"), ADJACENT, (5, 5)),
        (("\n5\n6\n", "\n"), ("\n12\n", "\ntwelve\n"), ELSEWHERE, (0, 0)),
    ],
)
def test_two_steps_are_told_how_near_they_came(
    first: tuple[str, str], second: tuple[str, str], where: Nearness, lines: tuple[int, int]
) -> None:
    desk = Desk()
    desk.edit(ONE, first)
    desk.edit(TWO, second)
    assert desk.told == [(2, 1, where, lines)]


def test_lines_are_found_where_later_changes_have_moved_them() -> None:
    desk = Desk()
    desk.edit(ONE, ("\n10\n", "\nten\n"))
    desk.edit(TWO, ("1\n2\n", "a\nb\nc\nd\n1\n2\n"), ("\n4\n", "\n"))
    desk.edit(THREE, ("\nten\n", "\nTEN\n"))
    assert desk.told == [(2, 1, ELSEWHERE, (0, 0)), (3, 1, SAME, (13, 13)), (3, 2, ELSEWHERE, (0, 0))]


def test_an_edit_by_hand_in_between_moves_them_too() -> None:
    desk = Desk()
    desk.edit(ONE, ("\n10\n", "\nten\n"))
    desk.edit(TWO, ("\n19\n", "\nnineteen\n"))
    assert desk.text is not None
    desk.text = "by hand\nby hand\nby hand\n" + desk.text
    desk.edit(THREE, ("\nten\n", "\nTEN\n"))
    assert desk.told[1:] == [(3, 1, SAME, (13, 13)), (3, 2, ELSEWHERE, (0, 0))]


def test_a_step_that_was_asked_after_the_other_one_answered_knows_of_its_edits() -> None:
    desk = Desk()
    desk.edit(ONE, ("\n5\n", "\nfive\n"))
    after_one = NOTHING_YET.then(ONE.id, 1)
    desk.edit(_step(2, after_one), ("\nfive\n", "\nFIVE\n"))
    branches = Past.joined([after_one.then(StepId("s8"), 2), after_one.then(StepId("s9"), 3)])
    desk.edit(_step(3, branches), ("\nFIVE\n", "\n5\n"))
    assert desk.told == [(3, 2, SAME, (5, 5))]


def test_a_pair_is_told_once_and_again_only_when_it_comes_nearer() -> None:
    desk = Desk()
    desk.edit(ONE, ("\n5\n", "\nfive\n"))
    desk.edit(TWO, ("\n15\n", "\nfifteen\n"))
    desk.edit(ONE, ("\n6\n", "\nsix\n"))
    desk.edit(TWO, ("\n8\n", "\neight\n"))
    desk.edit(ONE, ("\neight\n", "\n8\n"))
    desk.edit(TWO, ("\nfive\n", "\nFIVE\n"))
    assert [each[2] for each in desk.told] == [ELSEWHERE, ADJACENT, SAME]


def test_what_one_step_does_to_its_own_lines_is_nobody_elses_business() -> None:
    desk = Desk()
    for old, new in (("\n5\n", "\nfive\n"), ("\nfive\n", "\n5\n"), ("\n9\n", "\nnine\n")):
        desk.edit(ONE, (old, new))
    assert desk.told == []
    desk.edit(TWO, ("\n5\n", "\nFIVE\n"))
    assert desk.told == [(2, 1, ELSEWHERE, (0, 0))], "what was taken back was not changed"


def test_another_attempt_at_a_call_does_not_meet_the_one_before_it() -> None:
    desk = Desk()
    desk.edit(ONE, ("\n5\n", "\nfive\n"))
    desk.edit(_step(1, attempt="-again"), ("\nfive\n", "\nFIVE\n"))
    assert desk.told == []


def test_a_file_that_is_written_anew_counts_by_the_lines_that_differ() -> None:
    desk = Desk(None)
    desk.write(ONE, BASE)
    desk.write(TWO, BASE.replace("\n5\n", "\nfive\n"))
    desk.write(THREE, BASE.replace("\n5\n", "\nfive\n").replace("\n15\n", "\nfifteen\n"))
    assert desk.told == [(2, 1, SAME, (5, 5)), (3, 1, SAME, (15, 15)), (3, 2, ELSEWHERE, (0, 0))]


def test_a_file_that_is_removed_takes_all_lines_with_it() -> None:
    desk = Desk()
    desk.edit(ONE, ("\n5\n", "\nfive\n"))
    desk.write(TWO, None)
    assert [each[2] for each in desk.told] == [SAME]


@pytest.mark.parametrize("text", ["x" * (MAX_BYTES + 1), "\n" * 60_000, "\0"], ids=["large", "many lines", "binary"])
def test_what_has_no_lines_to_compare_is_edited_elsewhere(text: str) -> None:
    desk = Desk(BASE)
    desk.edit(ONE, ("\n5\n", "\nfive\n"))
    desk.write(TWO, text)
    desk.write(THREE, BASE)
    assert [each[:3] for each in desk.told] == [(2, 1, ELSEWHERE), (3, 1, ELSEWHERE), (3, 2, ELSEWHERE)]


def test_files_beyond_what_is_remembered_are_edited_elsewhere() -> None:
    collisions = Collisions(_journal(seen := Seen()))
    large = b"x" * (MAX_BYTES - 1)
    for number in range(100):
        collisions.changed(ONE, f"{number}.txt", large, large + b"y")
    collisions.changed(TWO, "0.txt", large + b"y", large)
    collisions.changed(TWO, "99.txt", large + b"y", large)
    assert [(each.path, each.where) for each in seen.of(EditsCollided)] == [("0.txt", SAME), ("99.txt", ELSEWHERE)]


def test_edits_through_the_project_are_watched(tmp_path: Path) -> None:
    journal = _journal(seen := Seen())
    project = hands.new_project(journal, tmp_path)
    tools = Project(tmp_path).tools.by_name
    (tmp_path / "a.txt").write_text(BASE)
    tool = tools["edit_file"]
    assert isinstance(tool, EditingTool)

    async def main() -> None:
        for witness, old, new in ((ONE, "5\n6", "five\nsix"), (TWO, "six", "SIX"), (TWO, "absent", "x")):
            project.timeline.stand(witness)
            arguments = {"path": "a.txt", "old": old, "new": new}
            await project.edit(witness, witness.number, tool, arguments, lambda *_: [])

    trio.run(main)
    (event,) = seen.of(EditsCollided)
    assert event == EditsCollided(
        at=1.0, number=2, step="s2", other_number=1, other_step="s1", path="a.txt", where=SAME, lines=(6, 6)
    )


# ---------------------------------------------------------------- whatever changes

_texts = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=12).map("".join)
_spans = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=4)


@given(before=_texts, after=_texts, spans=_spans)
def test_lines_that_nobody_changed_stay_where_they_belong(
    before: str, after: str, spans: Sequence[tuple[int, int]]
) -> None:
    """A line of before that is still there is within the moved spans exactly if it was within them."""
    count = before.count("\n")
    own = joined([(min(pair), max(pair)) for pair in spans if max(pair) <= count])
    changes = line_changes(before.encode(), after.encode())
    moved = joined(shifted(own, changes))
    assert all(0 <= start <= end <= after.count("\n") for start, end in moved)
    for line in range(count):
        if any(change.start <= line < change.end for change in changes):
            continue
        passed = [change for change in changes if change.end <= line]
        now = line + (passed[-1].new_end - passed[-1].end if passed else 0)
        assert _holds(own, line) == _holds(moved, now)


def _holds(spans: Sequence[tuple[int, int]], line: int) -> bool:
    return any(start <= line < end for start, end in spans)


@given(before=_texts, middle=_texts, after=_texts)
def test_how_near_two_changes_come_is_what_comparing_each_with_each_gives(before: str, middle: str, after: str) -> None:
    first = line_changes(before.encode(), middle.encode())
    second = line_changes(middle.encode(), after.encode())
    spans = joined(spans_of(first))
    assert nearness(spans, second)[0] is min(
        (_near(span, change) for span in spans for change in second),
        key=[SAME, ADJACENT, ELSEWHERE].index,
        default=ELSEWHERE,
    )


def _near(span: tuple[int, int], change: LineChange) -> Nearness:
    ours, theirs = set(range(*span)), set(range(change.start, change.end))
    if ours & theirs or (span == (change.start, change.end) and not ours):
        return SAME
    if (not ours and change.start < span[0] < change.end) or (not theirs and span[0] < change.start < span[1]):
        return SAME
    gap = max(change.start - span[1], span[0] - change.end)
    return ADJACENT if gap <= 1 else ELSEWHERE
