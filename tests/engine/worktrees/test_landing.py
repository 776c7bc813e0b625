"""What steps do in worktrees of their own comes into the project whole, one after the other, or not at all."""

from __future__ import annotations

import json

from tests.support.deeds import deeds, do
from tests.support.whole_runs import RunProject, body

TEN = "".join(f"line {number}\n" for number in range(10))


def test_an_edit_comes_into_the_project_when_its_step_is_done(project: RunProject) -> None:
    project.write("a.txt", "one\n")
    prompt = deeds(
        [["read_file", {"path": "a.txt"}]],
        [["write_file", {"path": "a.txt", "content": "two\n"}]],
        [["read_file", {"path": "a.txt"}]],
    )
    source = body(f"return await agent({prompt!r}, tools=['read', 'write'], isolation='worktree')")
    assert project.result(source, do, flags={"allow": ("write",)}) == "done"
    assert (project.folder / "a.txt").read_text() == "two\n"
    assert project.result(source, do, flags={"allow": ("write",)}) == "done"
    assert project.asked == 0
