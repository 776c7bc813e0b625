"""Jobs on both benches: what they see, what they leave, and what becomes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from tests.support.benches import InCopies, Performing, Yard, shell, yard
from tests.support.memory_folder import memory_folder
from tests.support.repositories import git
from vibe_workflows.cli.jobs import ConfinedJobs
from vibe_workflows.engine.agents.tools import descent
from vibe_workflows.engine.agents.tools.descent import Place
from vibe_workflows.engine.bench import effects, found
from vibe_workflows.engine.errors import CommandUnavailable, ToolFailed
from vibe_workflows.engine.ports import CommandEnd, FileMade, Ground, Job, JobRunner, OwnProgram

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
BENCHES = ("view", "copy")


def _runner(kind: str) -> ConfinedJobs | InCopies:
    runner = ConfinedJobs(accepted="weak")
    return runner if kind == "view" else InCopies(runner)


@pytest.fixture(params=BENCHES)
def made(request: pytest.FixtureRequest) -> Iterator[Yard]:
    with memory_folder() as folder, yard(folder, _runner(request.param)) as made:
        made.tree.write(".gitignore", "*.log\nbuild/\n.venv/\n")
        made.tree.write("a.py", "a\n")
        made.tree.write("src/b.py", "b\n")
        made.tree.write(".venv/tool", "a tool\n")
        git(made.root, "init", "-q")
        git(made.root, "add", ".")
        git(made.root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "first")
        yield made


def _made(files: tuple[FileMade, ...]) -> dict[str, tuple[bytes | None, bytes | None]]:
    return {made.path: (made.before, made.after) for made in files}


def test_a_job_sees_the_project_its_history_and_its_tools_and_changes_none_of_it(made: Yard) -> None:
    script = (
        "cat .venv/tool; git log --format=%s; git status --short a.py; echo x > .venv/mine; echo x > .git/HEAD; "
        "echo x >> a.py"
    )

    async def main() -> None:
        async with made.benches.worktrees.open() as worktree, worktree.bench.working(shell(script), {}) as worked:
            assert worked.end.stdout == b"a tool\nfirst\n"
            assert _made(worked.files) == {"a.py": (b"a\n", b"a\nx\n")}
            await worked.put_beside()

    trio.run(main)
    assert (made.root / "a.py").read_text() == "a\n"
    assert not (made.root / ".venv/mine").exists()
    assert (made.root / ".git/HEAD").read_text().startswith("ref:")
    made.benches.close()
    assert made.left() == []


def test_jobs_of_a_worktree_find_what_those_before_left_and_the_files_that_they_are_told(made: Yard) -> None:
    async def main() -> None:
        async with made.benches.worktrees.open() as worktree:
            first = shell(
                "cat new; echo made > build.log; echo kept >> a.py; echo lost >> src/b.py; rm new; ln -s a.py l"
            )
            async with worktree.bench.working(first, {"new": b"told\n", "deep/er": b""}) as worked:
                assert worked.end.stdout == b"told\n"
                assert _made(worked.files) == {
                    "a.py": (b"a\n", b"a\nkept\n"),
                    "new": (b"told\n", None),
                    "src/b.py": (b"b\n", b"b\nlost\n"),
                }
                assert worked.beside == ("l",)
            # What the engine did not take over is not there any more; what git ignores is.
            second = shell("cat build.log a.py src/b.py l; test -e new || echo gone; test -e deep/er || echo not told")
            async with worktree.bench.working(second, {"a.py": b"a\nkept\n", "new": None}) as worked:
                assert worked.end.stdout == b"made\na\nkept\nb\na\nkept\ngone\nnot told\n"
                assert worked.files == ()
            third = shell("echo more >> a.py; echo back > new; rm -r src")
            async with worktree.bench.working(third, {"a.py": b"a\nkept\n", "new": None}) as worked:
                assert _made(worked.files) == {
                    "a.py": (b"a\nkept\n", b"a\nkept\nmore\n"),
                    "new": (None, b"back\n"),
                    "src/b.py": (b"b\n", None),
                }
            assert (await made.tree.tree.digest()) == worktree.tree
            assert sorted(os.listdir(worktree.root)) == [".gitignore", "a.py", "src"]

    trio.run(main)


def test_what_is_too_large_or_too_much_lies_beside(made: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "MAX_FILES", 2)
    script = "head -c 9000000 /dev/zero > big; for n in 1 2 3; do echo $n > n$n; done"

    async def main() -> None:
        async with made.benches.project.working(shell(script), {}) as worked:
            assert list(_made(worked.files)) == ["n1", "n2"]
            assert worked.beside == ("big", "n3")
            await made.apply(worked.files)
            await worked.put_beside()

    trio.run(main)
    assert (made.root / "big").stat().st_size == 9_000_000
    assert (made.root / "n3").read_text() == "3\n"


def test_what_takes_the_place_of_a_file_that_lies_beside_lies_beside(
    made: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "MAX_FILES_BYTES", 1)
    script = "rm a.py; mkdir a.py; echo > a.py/b; echo > c; echo long > src/b.py"

    async def main() -> None:
        async with made.benches.project.working(shell(script), {}) as worked:
            assert list(_made(worked.files)) == ["c"]
            assert worked.beside == ("a.py", "a.py/b", "src/b.py")
            await worked.put_beside()

    trio.run(main)
    assert (made.root / "a.py/b").read_text() == "\n"


def test_what_is_written_together_has_a_limit(made: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "MAX_FILES_BYTES", 10)

    async def main() -> None:
        async with made.benches.project.working(shell("for n in 1 2 3; do echo 1234 > n$n; done"), {}) as worked:
            assert list(_made(worked.files)) == ["n1", "n2"]
            assert worked.beside == ("n3",)

    trio.run(main)


class _Meanwhile:
    """Somebody edits files of the project after a job has read them."""

    def __init__(self, runner: JobRunner, root: Path) -> None:
        self.runner = runner
        self.root = root

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        end = await self.runner.run(job, ground)
        for name in ("a.py", "src/b.py"):
            (self.root / name).write_text("theirs\n")
        return end


@pytest.mark.parametrize("kind", BENCHES)
def test_who_edits_a_file_meanwhile_is_not_overwritten(kind: str) -> None:
    with memory_folder() as folder, yard(folder, _Meanwhile(_runner(kind), folder / "project")) as made:
        made.tree.write("a.py", "a\n")
        made.tree.write("src/b.py", "b\n")

        async def main() -> None:
            script = "cat a.py; echo mine >> a.py; rm src/b.py; echo new > c.py"
            async with made.benches.project.working(shell(script), {}) as worked:
                assert list(_made(worked.files)) == ["a.py", "c.py", "src/b.py"]
                held = [made.root / file.path for file in worked.files]
                same = [
                    file.before == (path.read_bytes() if path.exists() else None)
                    for file, path in zip(worked.files, held, strict=True)
                ]
                assert same == [False, True, False]
                assert all(file.before != file.after for file in worked.files)

        trio.run(main)


def test_secrets_and_what_decides_what_runs_are_refused_and_stay(made: Yard) -> None:
    (made.root / ".env").write_text("KEY=1")
    script = (
        "echo 2 > .env; mkdir -p sub; git init -q sub; echo x > id_rsa; mkdir -p pkg/.claude; "
        "echo x > pkg/.claude/a.md; echo x > tool/run"
    )
    (made.root / "tool").mkdir()

    async def main() -> None:
        async with made.benches.project.working(shell(script), {}) as worked:
            assert worked.refused == (".env", "id_rsa", "pkg/.claude", "sub/.git")
            assert list(_made(worked.files)) == ["tool/run"]
            await worked.put_beside()

    trio.run(main)
    assert (made.root / ".env").read_text() == "KEY=1"
    assert not (made.root / "sub/.git").exists()
    assert not (made.root / "pkg/.claude").exists()


def test_what_cannot_be_looked_at_any_more_is_not_taken_for_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root everything can: here, the system says no."""
    opened = descent.open_folder

    def shut(root: str, place: Place) -> AbstractContextManager[int]:
        if place.path == "shut" and "snapshots" in root:
            raise ToolFailed("permission denied") from PermissionError()
        return opened(root, place)

    runner = Performing()
    runner.script = [("write", "shut/b", "x"), ("mode", "shut", 0o000), ("remove", "a")]
    with memory_folder() as folder, yard(folder, runner) as made:
        for path in ("shut/a", "shut/in/a", "a"):
            made.tree.write(path, "x")
        monkeypatch.setattr(found, "open_folder", shut)

        async def main() -> None:
            async with made.benches.project.working(shell(""), {}) as worked:
                assert _made(worked.files) == {"a": (b"x", None)}
                await worked.put_beside()

        trio.run(main)
        assert (made.root / "shut/in/a").read_text() == "x"


def test_the_code_that_runs_here_is_nobodys_to_change() -> None:
    runner = Performing()
    runner.script = [("make", "own/lib"), ("write", "own/lib/os.py", "evil"), ("write", "owner", "fine")]
    with memory_folder() as folder, yard(folder, runner, protected=["own"]) as made:

        async def main() -> None:
            async with made.benches.project.working(shell(""), {}) as worked:
                assert worked.refused == ("own",)
                assert list(_made(worked.files)) == ["owner"]
                await worked.put_beside()

        trio.run(main)
        assert not (made.root / "own").exists()


def test_a_job_that_is_cancelled_leaves_nothing(made: Yard) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            with trio.fail_after(30):
                while not any(made.cache.glob("snapshots/**/started")):  # noqa: ASYNC110 - a job tells in no other way
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    async def work() -> None:
        async with made.benches.project.working(shell("echo x > a.py; echo > started; sleep 60"), {}):
            raise AssertionError("it ends in a minute")

    trio.run(main)
    assert (made.root / "a.py").read_text() == "a\n"
    assert not any(made.cache.glob("snapshots/**/started"))
    made.benches.close()
    assert made.left() == []


def test_where_no_view_can_be_had_it_is_tried_once() -> None:
    asked: list[bool] = []

    class Counting(Performing):
        async def run(self, job: Job, ground: Ground) -> CommandEnd:
            asked.append(ground.upper is not None)
            return await super().run(job, ground)

    with memory_folder() as folder, yard(folder, Counting()) as made:

        async def main() -> None:
            for _ in range(2):
                async with made.benches.project.working(shell(""), {}):
                    pass
            for _ in range(2):
                async with made.benches.worktrees.open() as worktree:
                    for _ in range(2):
                        async with worktree.bench.working(shell(""), {}):
                            pass

        trio.run(main)
    assert asked == [True, False, False, True, False, False, False, False]


def test_a_worktree_is_set_up_once_and_what_git_shows_is_as_in_the_project() -> None:
    setup = [["sh", "-c", "mkdir build; echo once >> build/log; echo x >> a.py"]]
    with memory_folder() as folder, yard(folder, _runner("view"), setup=setup) as made:
        made.tree.write(".gitignore", "build/\n")
        made.tree.write("a.py", "a\n")

        async def main() -> None:
            async with made.benches.worktrees.open() as worktree:
                for _ in range(2):
                    async with worktree.bench.working(shell("cat build/log a.py"), {}) as worked:
                        assert worked.end.stdout == b"once\na\n"
                        assert worked.files == ()

        trio.run(main)


def test_a_worktree_that_cannot_be_set_up_is_an_error_with_what_was_said() -> None:
    with memory_folder() as folder, yard(folder, _runner("copy"), setup=[["sh", "-c", "echo why; exit 3"]]) as made:

        async def main() -> None:
            async with made.benches.worktrees.open() as worktree:
                job = Job(argv=("sh", "-c", "true"), timeout_s=30)
                async with worktree.bench.working(job, {}):
                    pass

        with pytest.raises(ToolFailed, match=r"(?s)worktree\.setup: `sh .*ended with 3:\nwhy"):
            trio.run(main)


def test_a_program_of_the_persons_own_works_in_a_copy_without_walls() -> None:
    with memory_folder() as folder, yard(folder) as made:
        made.tree.write("a.py", "a\n")
        outside = folder / "outside"
        outside.write_text("in the person's home\n")
        own = OwnProgram(environ={"MINE": "yes"}, stdin=b"given\n")

        def program(script: str, timeout_s: float = 60) -> Job:
            return replace(shell(script, timeout_s=timeout_s), own=own)

        async def main() -> None:
            job = program(f"cat {outside} -; echo $MINE >> a.py; echo no >&2; exit 7")
            async with made.benches.project.working(job, {}) as worked:
                assert (worked.end.exit_code, worked.end.stdout) == (7, outside.read_bytes() + b"given\n")
                assert worked.end.stderr == b"no\n"
                assert _made(worked.files) == {"a.py": (b"a\n", b"a\nyes\n")}
            async with made.benches.worktrees.open() as worktree:
                async with worktree.bench.working(program("cat a.py; rm a.py"), {"a.py": b"told"}) as worked:
                    assert worked.end.stdout == b"told"
                    assert _made(worked.files) == {"a.py": (b"told", None)}
                async with worktree.bench.working(program("sleep 60", timeout_s=0.2), {}) as worked:
                    assert (worked.end.timed_out, worked.end.exit_code) == (True, None)
            with pytest.raises(CommandUnavailable, match="no such program"):
                async with made.benches.project.working(Job(argv=("no-such",), timeout_s=1, own=own), {}):
                    pass

        trio.run(main)
        assert (made.root / "a.py").read_text() == "a\n"
