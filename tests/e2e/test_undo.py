"""`vibe undo`: what a run edited is taken back, and what a person or another run did since is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.behaviours import Fail, Hang
from tests.support.field_project import Ended, FieldProject, prompt_of
from tests.support.leaks import wait_until
from tests.support.obedient_model import obey


@pytest.fixture
def files(project: FieldProject) -> FieldProject:
    """A project with a few files, whose model obeys."""
    project.model.handler = obey
    for name in ("a.txt", "b.txt", "f.txt"):
        project.write(name, "begin end\n")
    return project


def step(orders: str, label: str = "step") -> str:
    return f'    await agent("{label}: {orders}", tools=["read", "write"], label="{label}", retries=0)\n'


def run(project: FieldProject, *steps: str, name: str = "flow.py", code: int = 0) -> Ended:
    project.write(name, "async def main(args):\n" + "".join(steps))
    return project.run(name, "--allow", "write", code=code)


BOTH = step("edit a.txt end more end; edit b.txt end more end; edit a.txt more most; write new/deep/g.txt text", "fix")


def contents(project: FieldProject) -> dict[str, str]:
    """Of all files but the project's own ones and the store."""
    return {
        str(path.relative_to(project.folder)): path.read_text()
        for path in sorted(project.folder.rglob("*"))
        if path.is_file() and ".vibe" not in path.parts and path.name not in ("vibe.yaml", "flow.py", "other.py")
    }


# ---------------------------------------------------------------- what it takes back


def test_all_edits_of_the_latest_run_are_taken_back_in_reverse_and_made_again_by_the_same_command(
    files: FieldProject,
) -> None:
    before = contents(files)
    first = run(files, BOTH)
    after = contents(files)
    assert after["a.txt"] == "begin most end\n"
    undone = files.vibe("undo")
    assert (undone.code, undone.requests) == (0, ())
    assert contents(files) == before
    assert not (files.folder / "new").exists(), "folders that an edit made go with its file"
    lines = undone.out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["restored", "a.txt"],
        ["restored", "b.txt"],
        ["removed", "new/deep/g.txt"],
    ]
    assert f"3 files are as before run {first.document['run']} of flow" in lines[-1]
    again = run(files, BOTH)
    assert (again.prompts, again.result) == ([], first.result)
    assert contents(files) == after


def test_a_second_undo_finds_nothing_left(files: FieldProject) -> None:
    run(files, BOTH)
    files.vibe("undo")
    before = contents(files)
    again = files.vibe("undo", "--json")
    assert again.code == 0
    assert (again.document["files"], again.document["kept"]) == ([], [])
    assert contents(files) == before


def test_a_rerun_that_was_answered_from_the_store_is_undone_like_the_run_that_edited(files: FieldProject) -> None:
    before = contents(files)
    run(files, BOTH)
    again = run(files, BOTH)
    assert again.prompts == []
    assert files.vibe("undo", again.document["run"]).code == 0
    assert contents(files) == before


def test_edits_of_a_step_that_failed_and_of_the_invocation_before_are_taken_back_too(files: FieldProject) -> None:
    before = contents(files)
    files.model.handler = lambda request: (
        Fail(status=400, code="content_filter")
        if prompt_of(request).startswith("two") and any(each.role == "tool" for each in request.conversation().messages)
        else obey(request)
    )
    one, two = step("edit a.txt end more end", "one"), step("edit b.txt end more end", "two")
    run(files, one, two, code=1)
    run(files, two, code=1)  # goes on with it, and does not come to the first step
    assert contents(files)["a.txt"] == "begin more end\n"
    assert contents(files)["b.txt"] == "begin more more end\n"
    assert files.vibe("undo").code == 0
    assert contents(files) == before


def test_a_dry_run_lists_what_it_would_do_and_changes_nothing(files: FieldProject) -> None:
    run(files, BOTH)
    before = contents(files)
    ahead = files.vibe("undo", "--dry-run")
    assert ahead.code == 0
    assert [line.split()[:2] for line in ahead.out.splitlines()[:-1]] == [
        ["restore", "a.txt"],
        ["restore", "b.txt"],
        ["remove", "new/deep/g.txt"],
    ]
    assert contents(files) == before
    assert len(files.vibe("undo", "--json").document["files"]) == 3


# ---------------------------------------------------------------- what stays


def test_a_file_that_a_person_edited_since_stays_and_is_named(files: FieldProject) -> None:
    run(files, BOTH)
    files.write("a.txt", "by hand\n")
    undone = files.vibe("undo", "--json")
    assert undone.code == 1
    assert [(each["path"], each["why"]) for each in undone.document["kept"]] == [("a.txt", "by_hand")]
    assert [each["path"] for each in undone.document["files"]] == ["b.txt", "new/deep/g.txt"]
    assert files.read("a.txt") == "by hand\n"
    assert files.read("b.txt") == "begin end\n"
    assert "stays     a.txt  (fix): edited since by hand" in files.vibe("undo").out


def test_an_edit_below_that_of_another_workflow_stays_until_that_one_is_undone(files: FieldProject) -> None:
    before = contents(files)
    first = run(files, BOTH)
    other = run(files, step("edit a.txt most all", "other"), name="other.py")
    undone = files.vibe("undo", first.document["run"])
    assert undone.code == 1
    assert f"a.txt  (fix): edited since by other of run {other.document['run']}" in undone.out
    assert files.read("a.txt") == "begin all end\n"
    assert files.vibe("undo", other.document["run"]).code == 0
    assert files.vibe("undo", first.document["run"]).code == 0
    assert contents(files) == before


def test_only_the_edits_of_the_named_run_go_where_a_later_one_edited_on_top(files: FieldProject) -> None:
    first = run(files, step("edit a.txt end more end", "one"))
    second = run(files, step("edit a.txt more most", "two"))
    assert files.read("a.txt") == "begin most end\n"
    assert files.vibe("undo", second.document["run"]).code == 0
    assert files.read("a.txt") == "begin more end\n"
    assert files.vibe("undo", first.document["run"]).code == 0
    assert files.read("a.txt") == "begin end\n"


def test_a_file_of_the_run_that_is_gone_counts_as_edited_and_one_that_was_restored_as_taken_back(
    files: FieldProject,
) -> None:
    run(files, BOTH)
    (files.folder / "new/deep/g.txt").unlink()  # as it was before
    files.write("b.txt", "begin end\n")  # likewise
    (files.folder / "a.txt").unlink()
    undone = files.vibe("undo", "--json")
    assert [(each["path"], each["was_so"]) for each in undone.document["files"]] == [
        ("b.txt", True),
        ("new/deep/g.txt", True),
    ]
    assert [(each["path"], each["why"]) for each in undone.document["kept"]] == [("a.txt", "by_hand")]
    assert not (files.folder / "a.txt").exists()


def test_what_lies_behind_a_link_by_now_is_not_written_through_it(files: FieldProject, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    run(files, step("write sub/h.txt one", "write"))
    (outside / "h.txt").write_text("one")
    (files.folder / "sub/h.txt").unlink()
    (files.folder / "sub").rmdir()
    (files.folder / "sub").symlink_to(outside)
    undone = files.vibe("undo", "--json")
    assert undone.code == 1
    assert [each["path"] for each in undone.document["kept"]] == ["sub/h.txt"]
    assert (outside / "h.txt").read_text() == "one"


# ---------------------------------------------------------------- when it refuses


def test_nothing_is_taken_back_while_a_run_is_at_work(files: FieldProject) -> None:
    run(files, BOTH)
    edited = contents(files)
    files.model.handler = lambda request: Hang()
    files.write("other.py", "async def main(args):\n" + step("read a.txt"))
    asked = len(files.model.requests)
    at_work = files.start("run", "other.py", "--allow", "write")
    files.model.wait_requests(asked + 1)
    refused = files.vibe("undo")
    files.kill(at_work)
    assert refused.code == 2
    assert "at work" in refused.err
    assert contents(files) == edited
    assert files.vibe("undo", "--json").code == 0, "a run that was killed is at work no more"


def test_a_store_of_unknown_origin_takes_nothing_back(files: FieldProject) -> None:
    run(files, BOTH)
    edited = contents(files)
    (Path(files.environ["HOME"]) / ".local/state/vibe/stores.json").unlink()
    refused = files.vibe("undo")
    assert refused.code == 6
    assert "vibe trust" in refused.err
    assert contents(files) == edited


def test_without_a_store_there_is_nothing_to_undo_and_none_is_made(files: FieldProject) -> None:
    assert files.vibe("undo").code == 2
    assert not (files.folder / ".vibe").exists()


def test_an_edit_that_a_killed_run_had_under_way_is_taken_back(files: FieldProject) -> None:
    before = contents(files)
    files.model.handler = lambda request: (
        Hang() if any(each.role == "tool" for each in request.conversation().messages) else obey(request)
    )
    files.write("flow.py", "async def main(args):\n" + step("edit a.txt end more end"))
    at_work = files.start("run", "flow.py", "--allow", "write")
    assert wait_until(lambda: files.read("a.txt") == "begin more end\n", 60)
    files.kill(at_work)
    assert files.vibe("undo").code == 0
    assert contents(files) == before
    files.model.handler = obey
    run(files, step("edit a.txt end more end"))
    assert files.read("a.txt") == "begin more end\n"


def test_after_kill_9_in_the_middle_of_an_undo_another_one_finishes_it(files: FieldProject) -> None:
    before = contents(files)
    names = [f"d{number}/f.txt" for number in range(80)]
    first = run(files, step(" & ".join(f"write {name} text" for name in names)))
    at_work = files.start("undo")
    assert wait_until(lambda: not (files.folder / names[0]).exists(), 60)
    files.kill(at_work)
    finished = files.vibe("undo", "--json")
    assert finished.code == 0
    assert contents(files) == before
    assert files.vibe("undo", "--json").document["files"] == []
    again = files.run("flow.py", "--allow", "write")
    assert (again.prompts, again.result) == ([], first.result)
    assert all(files.read(name) == "text" for name in names)


# ---------------------------------------------------------------- --accept


def test_with_accept_steps_see_the_files_as_they_lie(files: FieldProject) -> None:
    source = step("read a.txt; edit a.txt end more end", "fix")
    run(files, source)
    assert run(files, source).prompts == []
    again = files.run("flow.py", "--allow", "write", "--accept")
    assert len(again.requests) == 3
    assert files.read("a.txt") == "begin more more end\n"
    assert run(files, source).prompts == []
