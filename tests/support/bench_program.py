"""A process that works on benches and says at each step what it is about to do: for tests that kill it there.

python -m tests.support.bench_program FOLDER view|copy|putting
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from vibe_workflows.cli.jobs import ConfinedJobs
from vibe_workflows.engine.bench import copying, putting
from vibe_workflows.engine.bench.premises import Premises
from vibe_workflows.engine.ports import CommandEnd, Ground, Job

from .benches import InCopies, Yard, shell


def _say(what: str) -> None:
    print(what, flush=True)


class _Telling:
    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        _say("run")
        end = await ConfinedJobs(accepted="weak").run(job, ground)
        _say("ran")
        return end


async def _work(yard: Yard) -> None:
    async with yard.benches.worktrees.open() as worktree:
        _say("opened")
        script = "mkdir -p deep/er; for n in 1 2 3; do echo $n > deep/er/$n; done; chmod 000 deep/er; echo started; "
        async with worktree.bench.working(shell(script), {"told": b"x"}):
            _say("worked")
        async with yard.benches.project.working(shell(script + "sleep 0.2"), {}):
            _say("worked")


async def _put(yard: Yard) -> None:
    """Stops where a file of the project is half made."""

    def stop(copy: int, source: int) -> None:
        _say("half made")
        sys.stdin.read()

    putting._fill = stop
    async with yard.benches.project.working(shell("echo x > logs/one.log"), {}) as worked:
        await worked.put_beside()


def main() -> None:
    if sys.argv[2] == "putting":
        trio.run(_put, Yard(Path(sys.argv[1]), ConfinedJobs(accepted="weak")))
        return
    copy, new_folder = copying._Copier.copy_folder, Premises.new_folder

    def telling_copy(*arguments: object) -> object:
        _say("copy a folder")
        return copy(*arguments)  # type: ignore[arg-type]

    def telling_folder(self: Premises) -> str:
        _say("make a folder")
        return new_folder(self)

    copying._Copier.copy_folder = telling_copy  # type: ignore[method-assign,assignment]
    Premises.new_folder = telling_folder  # type: ignore[method-assign]
    runner = _Telling()
    yard = Yard(Path(sys.argv[1]), runner if sys.argv[2] == "view" else InCopies(runner))
    trio.run(_work, yard)
    _say("close")
    yard.benches.close()
    _say("closed")


if __name__ == "__main__":
    main()
