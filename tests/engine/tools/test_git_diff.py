"""What git_diff says of a repository, in every shape that repositories have."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.commands import PlainCommands
from tests.support.projects import Project
from tests.support.repositories import commit, git, repository, write
from vibe_workflows.cli.commands import ConfinedCommands
from vibe_workflows.engine.agents.tools import git_diff as git_diff_module
from vibe_workflows.engine.agents.tools.render import MAX_TEXT_BYTES
from vibe_workflows.engine.errors import CommandUnavailable, ToolFailed
from vibe_workflows.engine.git import diff
from vibe_workflows.engine.git import program as git_program
from vibe_workflows.engine.git.borrowed import borrow
from vibe_workflows.engine.observe import Replayer, observation_of
from vibe_workflows.engine.ports import Command

ONE = {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "project", ONE)


def _data(root: Path, **arguments: Any) -> Any:
    return Project(root).data("git_diff", **arguments)


def _statuses(root: Path, **arguments: Any) -> dict[str, str]:
    return {each["path"]: each["status"] for each in _data(root, **arguments)["files"]}


# ---------------------------------------------------------------- what it says


def test_all_that_is_not_committed_is_shown_with_counts_and_as_a_diff(root: Path) -> None:
    write(root, "a.txt", "one\n2\nthree\n")
    write(root, "new.txt", "new\n")
    git(root, "add", "new.txt")
    write(root, "untracked.txt", "?\n")
    result = Project(root).call("git_diff")
    assert result.data == {
        "files": [
            {"path": "a.txt", "old_path": None, "status": "modified", "added": 1, "deleted": 1},
            {"path": "new.txt", "old_path": None, "status": "added", "added": 1, "deleted": 0},
            {"path": "untracked.txt", "old_path": None, "status": "untracked", "added": None, "deleted": None},
        ],
        "diff": "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
        "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+new\n",
        "left_out": [],
        "truncated": False,
    }
    assert result.text.startswith(
        "3 files changed since HEAD:\nmodified +1 -1 a.txt\nadded +1 -0 new.txt\n"
        "untracked untracked.txt (new, not added to git: read_file shows it)\n\ndiff --git a/a.txt b/a.txt\n"
    )


def test_the_diff_applies(root: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(root, before)
    write(root, "a.txt", "one\n2\nthree")
    git(root, "mv", "b.txt", "c.txt")
    git(before, "apply", "-", stdin=_data(root)["diff"])
    assert {path.name: path.read_text() for path in before.glob("*.txt")} == {"a.txt": "one\n2\nthree", "c.txt": "b\n"}


def test_staged_shows_the_index_and_no_untracked_files(root: Path) -> None:
    write(root, "a.txt", "staged\n")
    git(root, "add", "a.txt")
    write(root, "a.txt", "later\n")
    write(root, "untracked.txt")
    assert "+staged" in _data(root, staged=True)["diff"]
    assert _statuses(root, staged=True) == {"a.txt": "modified"}
    assert "+later" in _data(root)["diff"]


def test_a_base_is_any_commit_and_merge_base_leaves_out_what_others_did(root: Path) -> None:
    git(root, "checkout", "-qb", "work")
    write(root, "mine.txt", "mine\n")
    commit(root, "mine")
    git(root, "tag", "v1")
    git(root, "checkout", "-q", "main")
    write(root, "theirs.txt", "theirs\n")
    hashed = commit(root, "theirs")
    git(root, "checkout", "-q", "work")
    assert _statuses(root, base="main") == {"mine.txt": "added", "theirs.txt": "deleted"}
    assert _statuses(root, base=hashed[:9]) == {"mine.txt": "added", "theirs.txt": "deleted"}
    assert _statuses(root, base="main", merge_base=True) == {"mine.txt": "added"}
    assert _statuses(root, base="HEAD~1") == {"mine.txt": "added"}
    assert _statuses(root, base="v1") == {}
    assert Project(root).call("git_diff", base="v1", path="a.txt").text == "no change since v1 in a.txt"
    with pytest.raises(ToolFailed, match="nothing: no commit, branch or tag"):
        _data(root, base="nothing")


def test_a_path_narrows_it_to_a_file_or_folder_even_one_that_is_gone(root: Path) -> None:
    write(root, "src/x.txt", "x\n")
    commit(root, "more")
    shutil.rmtree(root / "src")
    write(root, "a.txt")
    write(root, "new/y.txt")
    assert _statuses(root, path="src") == {"src/x.txt": "deleted"}
    assert _statuses(root, path="./src/x.txt") == {"src/x.txt": "deleted"}
    assert _statuses(root, path="new") == {"new/y.txt": "untracked"}
    assert _statuses(root, path="b.txt") == {}
    with pytest.raises(ToolFailed, match="none: no such file or folder, and no change of one"):
        _data(root, path="none")


def test_what_is_renamed_or_changes_its_type_or_is_binary_says_so(root: Path) -> None:
    git(root, "mv", "a.txt", "moved to.txt")
    (root / "b.txt").unlink()
    (root / "b.txt").symlink_to("moved to.txt")
    (root / "binary").write_bytes(b"\0\1")
    git(root, "add", "binary")
    found = _data(root)
    assert [(each["path"], each["old_path"], each["status"], each["added"]) for each in found["files"]] == [
        ("b.txt", None, "type_changed", 1),
        ("binary", None, "added", None),
        ("moved to.txt", "a.txt", "renamed", 0),
    ]
    assert "rename from a.txt\nrename to moved to.txt\n" in found["diff"]
    assert "Binary files /dev/null and b/binary differ\n" in found["diff"]
    assert not found["truncated"]


def test_a_merge_that_waits_for_a_person_shows_its_marks(root: Path) -> None:
    git(root, "checkout", "-qb", "other")
    write(root, "a.txt", "theirs\n")
    commit(root, "theirs")
    git(root, "checkout", "-q", "main")
    write(root, "a.txt", "mine\n")
    write(root, "b.txt", "changed too\n")
    commit(root, "mine")
    with pytest.raises(AssertionError):
        git(root, "merge", "other")
    assert "+<<<<<<< HEAD" in _data(root)["diff"]
    assert _statuses(root, staged=True) == {"a.txt": "unmerged"}
    assert _statuses(root, staged=True, base="HEAD~1") == {"a.txt": "unmerged", "b.txt": "modified"}
    assert "+changed too" in _data(root, staged=True, base="HEAD~1")["diff"]


def test_before_the_first_commit_everything_is_new(tmp_path: Path) -> None:
    root = repository(tmp_path / "fresh")
    write(root, "a.txt", "a\n")
    assert _statuses(root) == {"a.txt": "untracked"}
    git(root, "add", "a.txt")
    assert _statuses(root) == {"a.txt": "added"}
    assert _statuses(root, staged=True) == {"a.txt": "added"}


def test_ignored_files_are_no_news(root: Path) -> None:
    write(root, ".gitignore", "*.log\n/build/\n")
    write(root, "x.log")
    write(root, "build/y")
    write(root, "sub/z")
    assert _statuses(root) == {".gitignore": "untracked", "sub/z": "untracked"}


def test_secrets_are_named_and_never_shown(root: Path) -> None:
    write(root, ".env", "TOKEN=1\n")
    write(root, "id_rsa", "key\n" * 30)
    commit(root, "oh no")
    write(root, ".env", "TOKEN=2\n")
    git(root, "mv", "id_rsa", "harmless.txt")
    write(root, "deep/server.pem", "key\n")
    write(root, "a.txt", "changed\n")
    result = Project(root).call("git_diff")
    assert result.data["left_out"] == [".env", "harmless.txt", "deep/server.pem"]  # type: ignore[call-overload,index]
    assert [each["path"] for each in result.data["files"]] == ["a.txt"]  # type: ignore[call-overload,index,union-attr]
    for text in (result.text, str(result.data)):
        assert "TOKEN" not in text
        assert "key" not in text
    assert "changed, but not shown, since they look like secrets: .env, harmless.txt, deep/server.pem" in result.text


# ---------------------------------------------------------------- names that look like something else


@pytest.mark.parametrize(
    "name", ["a\nb", "x\ndiff --git a/a.txt b/a.txt", 'quo"te\\', "tab\tname", " blank ", "é", "-p"]
)
def test_a_name_of_any_kind_comes_back_as_it_is(root: Path, name: str) -> None:
    write(root, name, "content\n")
    write(root, "a.txt", "changed\n")
    git(root, "add", "-A")
    found = _data(root)
    assert {each["path"]: each["status"] for each in found["files"]} == {name: "added", "a.txt": "modified"}
    assert "+content" in found["diff"]
    assert not found["truncated"]


def test_a_name_that_is_no_utf8_is_written_as_its_bytes(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/bad\xff")).write_text("content\n")
    git(root, "add", "-A")
    assert _statuses(root) == {"bad\\xff": "added"}


def test_an_unmerged_name_cannot_pass_a_secret_off_as_another_files_change(root: Path) -> None:
    """Git writes the name of an unmerged file as it is, so that it can look like the header of a section."""
    write(root, ".env", "TOKEN=1\n")
    blob = git(root, "hash-object", "-w", ".env")
    forged = "\0".join(f"100644 {blob} {stage}\t.a\ndiff --git a/x b/x\n" for stage in (1, 2)) + "\0"
    git(root, "update-index", "-z", "--index-info", stdin=forged)
    git(root, "add", ".env")
    write(root, "a.txt", "changed\n")
    git(root, "add", "a.txt")
    found = _data(root, staged=True)
    assert found["left_out"] == [".env"]
    assert "TOKEN" not in str(found)
    assert "+changed" in found["diff"]


def test_text_that_is_not_made_as_expected_is_dropped_and_not_attributed() -> None:
    raw = b":100644 100644 aaa bbb M\0a\0:100644 100644 aaa bbb M\0b\0" + b"1\t0\ta\0" + b"1\t0\tb\0"
    whole = b"\0diff --git a/a b/a\n@@ @@\n+x\ndiff --git a/b b/b\n@@ @@\n+y\n"
    parsed = diff.parse_difference(raw + whole, cut=False)
    assert [change.text[-2:] for change in parsed.changes] == ["+x", "+y"]
    for patch in (whole + b"diff --git a/c b/c\n", whole[: whole.rindex(b"diff")], b"\0garbage\n" + whole[1:]):
        parsed = diff.parse_difference(raw + patch, cut=False)
        assert [change.path for change in parsed.changes] == ["a", "b"]
        assert ([change.text for change in parsed.changes], parsed.complete) == (["", ""], False)


# ---------------------------------------------------------------- limits


def test_long_changes_are_cut_and_say_how_to_see_the_rest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "a.txt", "".join(f"line {number}\n" for number in range(5_000)))
    write(root, "b.txt", "changed\n")
    text = Project(root).call("git_diff").text
    assert "more lines: git_diff with path a.txt]" in text
    assert "+changed" in text, "one long file does not hide the others"
    alone = Project(root).call("git_diff", path="a.txt").text
    assert len(alone.encode()) <= MAX_TEXT_BYTES + 100
    assert alone.endswith("[cut here: name a file or folder with path to see the rest]")
    monkeypatch.setattr(git_diff_module, "MAX_DIFF_BYTES", 1_000)
    found = _data(root)
    assert found["truncated"]
    assert len(found["diff"]) <= 1_001
    assert found["diff"].endswith("\n")
    monkeypatch.setattr(git_diff_module, "MAX_FILES", 1)
    assert ([each["path"] for each in _data(root)["files"]], _data(root)["truncated"]) == (["a.txt"], True)


def test_output_beyond_what_is_read_is_cut_or_an_error_and_never_taken_for_all(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "a.txt", "x" * 4_000)
    write(root, "b.txt", "changed\n")
    monkeypatch.setattr(git_program, "MAX_BYTES", 1_000)
    found = _data(root)
    assert ([each["path"] for each in found["files"]], found["truncated"]) == (["a.txt", "b.txt"], True)
    monkeypatch.setattr(git_program, "MAX_BYTES", 90)
    with pytest.raises(ToolFailed, match="the list of changed files alone"):
        _data(root)


def test_a_git_that_does_not_end_is_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stopped(command: Command) -> Any:
        end = await runner.plain(command)
        return type(end)(None, b"", b"", 0, 0, timed_out=True)

    class Slow(PlainCommands):
        plain = PlainCommands.run

    runner = Slow(root)
    monkeypatch.setattr(runner, "run", stopped)
    with pytest.raises(ToolFailed, match="git took more than 30 s, and was stopped"):
        Project(root, commands=runner).call("git_diff")


def test_without_git_without_a_repository_or_without_walls_the_error_says_so(root: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/.git").mkdir()  # empty, as a confined command leaves it for a moment
    with pytest.raises(ToolFailed, match=r"^this project is in no git repository$"):
        Project(tmp_path / "plain").call("git_diff")
    with pytest.raises(ToolFailed, match="git is not installed"):
        Project(root, commands=PlainCommands(root, environ={"PATH": "/nonexistent"})).call("git_diff")

    class Refusing(PlainCommands):
        async def run(self, command: Command) -> Any:
            raise CommandUnavailable("no walls")

    with pytest.raises(ToolFailed, match="git cannot be run here: no walls"):
        Project(root, commands=Refusing(root)).call("git_diff")


def test_a_repository_that_git_cannot_read_is_an_error_without_a_path_of_this_machine(root: Path) -> None:
    (root / ".git/index").write_bytes(b"garbage" * 10)
    with pytest.raises(ToolFailed, match="git could not tell") as error:
        Project(root).call("git_diff")
    assert "/" not in error.value.message.replace("./", "").replace(".git/", "")


# ---------------------------------------------------------------- the shapes of repositories


def _worktree(root: Path) -> Path:
    git(root, "worktree", "add", "-q", "-b", "work", str(root.parent / "worktree"))
    return root.parent / "worktree"


def _submodule(root: Path) -> Path:
    outer = repository(root.parent / "outer", {"o.txt": "o\n"})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(root), "sub")
    assert (outer / "sub/.git").is_file()
    return outer / "sub"


def _subfolder(root: Path) -> Path:
    for name in ONE:
        (root / "deep").mkdir(exist_ok=True)
        git(root, "mv", name, f"deep/{name}")
    commit(root, "moved")
    write(root, "outside.txt", "not of this project\n")
    return root / "deep"


def _inside(root: Path) -> Path:
    (root / ".git").rename(root / ".bare")
    write(root, ".git", "gitdir: ./.bare\n")
    write(root, ".gitignore", "/.bare/\n/.gitignore\n")
    return root


def _packed(root: Path) -> Path:
    git(root, "gc", "-q")
    assert not (root / ".git/refs/heads/main").exists()
    return root


def _split_index(root: Path) -> Path:
    git(root, "update-index", "--split-index")
    assert list((root / ".git").glob("sharedindex.*"))
    return root


def _sha256(root: Path) -> Path:
    shutil.rmtree(root / ".git")
    return repository(root, ONE, options=("--object-format=sha256",))


def _shallow(root: Path) -> Path:
    write(root, "later.txt")
    commit(root, "second")
    git(root.parent, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    assert (root.parent / "shallow/.git/shallow").exists()
    return root.parent / "shallow"


def _detached(root: Path) -> Path:
    git(root, "checkout", "-q", "--detach")
    return root


def _plain(root: Path) -> Path:
    return root


SHAPES = [_plain, _worktree, _submodule, _subfolder, _inside, _packed, _split_index, _sha256, _shallow, _detached]


@pytest.mark.parametrize("confined", [False, True], ids=["plain", "confined"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__.strip("_"))
def test_every_shape_of_repository_is_read(root: Path, shape: Callable[[Path], Path], confined: bool) -> None:
    folder = shape(root)
    write(folder, "a.txt", "one\n2\nthree\n")
    write(folder, "new.txt")
    commands = ConfinedCommands(folder, accepted="strong", environ=os.environ) if confined else PlainCommands(folder)
    found: Any = Project(folder, commands=commands).data("git_diff")
    assert {each["path"]: each["status"] for each in found["files"]} == {"a.txt": "modified", "new.txt": "untracked"}
    assert "\n-two\n+2\n" in found["diff"]


def test_how_files_lie_on_this_disk_is_taken_from_the_config(root: Path) -> None:
    (root / "a.txt").chmod(0o755)
    assert _statuses(root) == {"a.txt": "modified"}
    git(root, "config", "core.fileMode", "false")
    assert _statuses(root) == {}
    write(root, "b.txt", "b\r\n")
    assert _statuses(root) == {"b.txt": "modified"}
    git(root, "config", "core.autocrlf", "input")
    assert _statuses(root) == {}


# ---------------------------------------------------------------- reuse


def test_the_same_repository_gives_the_same_whatever_its_config_and_dates(root: Path) -> None:
    write(root, "a.txt", "one\n2\nthree\n")
    project = Project(root)
    before = project.call("git_diff")
    for name, value in {
        "diff.context": "9",
        "diff.noprefix": "true",
        "diff.algorithm": "patience",
        "diff.renames": "false",
        "color.ui": "always",
        "core.abbrev": "4",
        "core.quotePath": "true",
        "diff.orderFile": "/nonexistent",
        "diff.mnemonicPrefix": "true",
    }.items():
        git(root, "config", name, value)
    os.utime(root / "b.txt", (1, 1))
    assert project.call("git_diff") == before


def test_a_look_holds_until_what_it_saw_changes(root: Path) -> None:
    write(root, "a.txt", "one\n2\nthree\n")
    project = Project(root)
    tool = project.tools.get("git_diff")
    arguments = {"path": "a.txt"}
    seen = observation_of(tool, arguments, project.call("git_diff", **arguments))

    def holds() -> bool:
        async def main() -> bool:
            return await Replayer([tool]).holds([seen]) is None

        return trio.run(main)

    assert holds()
    write(root, "b.txt", "another file\n")
    commit_of_another = git(root, "commit", "-qm", "other", "b.txt")
    assert commit_of_another == ""
    assert holds(), "a commit that leaves this file alone"
    write(root, "a.txt", "one\n22\nthree\n")
    assert not holds()


def test_reading_writes_nothing_to_the_repository(root: Path) -> None:
    os.utime(root / "a.txt", (1, 1))  # git would write the index

    def state() -> dict[str, tuple[int, bytes]]:
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in (root / ".git").rglob("*") if p.is_file()}

    before = state()
    Project(root).call("git_diff")
    assert state() == before


def test_the_index_is_lent_with_its_date_by_which_git_knows_what_may_have_changed_since(root: Path) -> None:
    os.utime(root / ".git/index", ns=(5, 1_234_567_890))

    async def main() -> str:
        async with borrow(str(root)) as borrowed:
            assert os.stat(f"{borrowed.git_dir}/index").st_mtime_ns == 1_234_567_890
        return borrowed.git_dir

    assert not os.path.lexists(trio.run(main))


def test_a_cancelled_look_leaves_nothing_behind(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(PlainCommands):
        async def run(self, command: Command) -> Any:
            assert os.listdir(temporary)
            if len(self.ran) == 1:
                scope.cancel()
            self.ran.append(command)
            await trio.sleep_forever()

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    scope = trio.CancelScope()

    async def main() -> None:
        with scope:
            await Project(root, commands=Hanging(root)).tools.get("git_diff").run({})

    trio.run(main)
    assert scope.cancelled_caught
    assert os.listdir(temporary) == []
