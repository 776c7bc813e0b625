"""A trace says what became of each file that a step changed in its worktree."""

from __future__ import annotations

from contextlib import closing

from tests.support.deeds import edit, isolated, write
from vibe_workflows.cli.render.edited_files import file_parts
from vibe_workflows.engine.edited import edited_files, worktree_files
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.store.reader import open_reader

from .conftest import Lab

TEN = "".join(f"line {number}\n" for number in range(10))


def titles(lab: Lab, report: RunReport, merge: str = "auto") -> list[list[str]]:
    """Of the steps, by number."""
    with closing(open_reader(lab.project.folder / ".vibe/vibe.db")) as reader:
        steps = sorted(reader.deliveries(report.run.id), key=lambda each: each.delivery.number)
        return [
            [
                title
                for title, _ in file_parts(
                    worktree_files(reader, each.step), edited_files(reader, each.step), merge, colour=False
                )
            ]
            for each in steps
        ]


def test_files_are_merged_as_they_are_or_with_what_others_changed_or_were_there_already(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    calls = [
        isolated([edit("a.txt", f"line {number}\n", f"{number}\n"), write("same.txt", "same\n")]) for number in (2, 7)
    ]
    shown = sorted(titles(lab, lab.run(f"return await parallel([{', '.join(calls)}])")))
    assert shown == [
        ["edited a.txt in its worktree, merged", "created same.txt in its worktree, merged"],
        [
            "edited a.txt in its worktree, merged with what others had changed",
            "created same.txt in its worktree, as the project had it by then",
            "edited a.txt",
        ],
    ]


def test_what_was_not_merged_is_told_as_well(lab: Lab) -> None:
    lab.write("a.txt", TEN)
    calls = [isolated([edit("a.txt", "line 2\n", f"{name}\n")]) for name in ("one", "other")]
    shown = titles(lab, lab.run(f"await parallel([{', '.join(calls)}], on_error='return')"))
    assert sorted(shown) == [["edited a.txt in its worktree, merged"], ["edited a.txt in its worktree, not merged"]]
    manual = isolated([edit("a.txt", "line 8\n", "8\n")], merge="manual", detail=True)
    shown = titles(lab, lab.run(f"await merge(await {manual})"), "manual")
    assert shown == [["edited a.txt in its worktree, for the script to merge"], ["edited a.txt"]]
