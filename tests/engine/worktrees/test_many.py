"""A dozen agents at the same time: what goes together is merged once, in order, and the rest is reported."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

from tests.support.deeds import edit, isolated, read
from vibe_workflows.engine.edited import worktree_files
from vibe_workflows.engine.model import Step, StepStatus
from vibe_workflows.engine.ports import StoreReader
from vibe_workflows.engine.store.reader import open_reader

from .conftest import Lab

AGENTS = 12
#: Two lines lie between those of two agents; each third agent takes the line of the one before it.
BASE = "".join(f"line {number}\n" for number in range(AGENTS * 3))


def line_of(number: int) -> str:
    return f"line {3 * (number - 1 if number % 3 == 2 else number)}\n"


def merge_file(folder: Path, ours: bytes, base: bytes, theirs: bytes) -> bytes:
    """What git makes of them. Raises CalledProcessError for a conflict."""
    for name, data in (("ours", ours), ("base", base), ("theirs", theirs)):
        (folder / name).write_bytes(data)
    argv = ["git", "merge-file", "-p", "ours", "base", "theirs"]
    return subprocess.run(argv, cwd=folder, check=True, capture_output=True, timeout=30).stdout


def left_by(reader: StoreReader, step: Step) -> bytes:
    """The file as the step left it in its worktree."""
    changes = [seen.change for seen in step.observations if seen.aside and seen.change is not None]
    assert changes[-1].after is not None
    return reader.contents(changes[-1].after) or b""


def test_every_change_is_merged_once_in_order_or_a_conflict_with_both_sides(lab: Lab, tmp_path: Path) -> None:
    lab.write("shared.txt", BASE)
    calls = [
        isolated([read("shared.txt")], [edit("shared.txt", line_of(number), f"agent {number}\n")], name=str(number))
        for number in range(AGENTS)
    ]
    source = (
        f"found = await parallel([{', '.join(calls)}], on_error='return')",
        "return [each.files if isinstance(each, Conflict) else each for each in found]",
    )
    report = lab.run(*source)
    assert report.result is not None
    found = json.loads(report.result)
    conflicts = [each for each in found if each != "done"]
    assert len(conflicts) == sum(number % 3 == 2 for number in range(AGENTS))
    for (file,) in conflicts:
        sides = [file["hunks"][0][side] for side in ("ours", "theirs")]
        assert all(side.startswith("agent ") for side in sides)
        assert sides[0] != sides[1]
    with closing(open_reader(lab.project.folder / ".vibe/vibe.db")) as reader:
        steps = {each.step.id: each.step for each in reader.deliveries(report.run.id)}
        order = [entry.step_id for entry in reader.chains(["shared.txt"])]
        merged = [step.id for step in steps.values() if step.status is StepStatus.COMPLETED]
        assert sorted(order) == sorted(merged), "one of them was merged twice, or not at all"
        expected = BASE.encode()
        for step in order:
            expected = merge_file(tmp_path, expected, BASE.encode(), left_by(reader, steps[step]))
        assert all(worktree_files(reader, steps[step])[0].landed != "not" for step in order)
    assert lab.read("shared.txt").encode() == expected
    assert lab.project.asked == 3 * AGENTS
