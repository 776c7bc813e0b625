"""What was seen in a worktree is true as long as the project would show it there again."""

from __future__ import annotations

from tests.support.deeds import edit, isolated, read, write
from vibe_workflows.cli import wiring

from .conftest import WRITE, Lab


def undo(lab: Lab) -> None:
    wiring.undo(wiring.load({"model": "scripted", **WRITE}), lambda reader: reader.runs(1)[0], dry_run=False)


def test_after_undo_it_lands_again_without_a_model(lab: Lab) -> None:
    lab.write("a.txt", "one\ntwo\n")
    call = isolated([read("a.txt")], [edit("a.txt", "one", "ONE"), edit("a.txt", "ONE", "1")], [read("a.txt")])
    lab.result(f"return await {call}")
    undo(lab)
    assert lab.read("a.txt") == "one\ntwo\n"
    lab.result(f"return await {call}")
    assert (lab.asked, lab.read("a.txt")) == (0, "1\ntwo\n")
    lab.result(f"return await {call}")
    assert (lab.asked, lab.read("a.txt")) == (0, "1\ntwo\n")


def test_after_undo_steps_that_landed_in_one_file_land_again_without_a_model(lab: Lab) -> None:
    ten = "".join(f"line {number}\n" for number in range(10))
    lab.write("a.txt", ten)
    calls = [isolated([read("a.txt")], [edit("a.txt", f"line {n}\n", f"{n}\n")]) for n in (0, 3, 6, 9)]
    after = isolated([read("a.txt")], [edit("a.txt", "line 1\n", "1\n")])
    source = f"return [await parallel([{', '.join(calls)}]), await {after}]"
    lab.result(source)
    merged = lab.read("a.txt")
    undo(lab)
    assert lab.read("a.txt") == ten
    for _ in range(2):
        lab.result(source)
        assert (lab.asked, lab.read("a.txt")) == (0, merged)
    undo(lab)
    lab.write("a.txt", ten.replace("line 5", "by hand"))
    lab.result(source)
    assert lab.asked > 0
    assert lab.read("a.txt") == merged.replace("line 5", "by hand")


def test_a_file_that_it_read_beside_its_own_changes_makes_it_run_again(lab: Lab) -> None:
    lab.write("a.txt", "one\n")
    lab.write("b.txt", "b\n")
    call = isolated([write("a.txt", "two\n")], [["grep", {"pattern": "two|three"}]])
    lab.result(f"return await {call}")
    lab.result(f"return await {call}")
    assert lab.asked == 0
    lab.write("b.txt", "three\n")
    lab.result(f"return await {call}")
    assert lab.asked == 3


def test_a_step_that_was_not_merged_is_stored_as_well(lab: Lab) -> None:
    lab.write("a.txt", "one\n")
    call = isolated([write("a.txt", "two\n"), write("b.txt", "b\n")], [read("a.txt")], merge="manual", detail=True)
    lines = (f"found = await {call}", "return [found.cached, found.files, found.patch]")
    first = lab.result(*lines)
    again = lab.result(*lines)
    assert (first[0], again[0], lab.asked) == (False, True, 0)
    assert first[1:] == again[1:]
    assert first[1] == ["a.txt", "b.txt"]
    lab.write("a.txt", "uno\n")
    assert lab.result(*lines)[0] is False


def test_another_step_s_later_edit_of_what_it_saw_leaves_it_true(lab: Lab) -> None:
    """Each is looked at as the project was when it began."""
    lab.write("a.txt", "one\n")
    first = isolated([read("a.txt"), ["list_files", {}]], [write("b.txt", "b\n")])
    second = isolated([read("a.txt"), read("b.txt")], [write("a.txt", "two\n")])
    source = f"return [await {first}, await {second}]"
    lab.result(source)
    lab.result(source)
    assert lab.asked == 0
    assert (lab.read("a.txt"), lab.read("b.txt")) == ("two\n", "b\n")


def test_a_step_of_the_project_and_one_of_a_worktree_see_each_other_in_the_order_of_the_script(lab: Lab) -> None:
    lab.write("a.txt", "one\n")
    plain = isolated([read("a.txt")], [write("a.txt", "two\n")]).replace(", isolation='worktree'", "")
    apart = isolated([read("a.txt")], [edit("a.txt", "two", "three")])
    source = f"return [await {plain}, await {apart}, await {plain.replace('two', 'four')}]"
    lab.result(source)
    assert lab.read("a.txt") == "four\n"
    lab.result(source)
    assert lab.asked == 0


def test_files_that_go_along_are_those_of_the_snapshot(lab: Lab) -> None:
    lab.write(".gitignore", "*.log\n")
    lab.write("notes.log", "ignored, and sent all the same\n")
    lab.write("a.txt", "one\n")
    call = isolated([read("a.txt")], [write("a.txt", "two\n")], files=["a.txt", "notes.log"])
    lab.result(f"return await {call}")
    contents = lab.project.backend.requests[0].contents
    assert sorted(contents.values()) == [b"ignored, and sent all the same\n", b"one\n"]
    lab.result(f"return await {call}")
    assert lab.asked == 0
    lab.write("notes.log", "changed\n")
    lab.result(f"return await {call}")
    assert lab.asked == 3
