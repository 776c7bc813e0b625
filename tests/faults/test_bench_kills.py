"""A process that is killed while it works on benches leaves the project as it was, and nothing after the next start."""

from __future__ import annotations

import fcntl
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.benches import Yard
from tests.support.job_scripts import shown
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.bench.premises import Premises

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
ROOT = Path(__file__).resolve().parents[2]
#: For the commands of a killed process to be gone: their supervisor ends them.
_GONE_S = 30.0
_KILLS = 2


@contextmanager
def _working(folder: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.support.bench_program", str(folder), kind]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _read(process: subprocess.Popen[str], lines: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(lines)]


@pytest.fixture
def made() -> Iterator[Yard]:
    with memory_folder() as folder:
        made = Yard(folder)
        made.tree.write(".gitignore", "*.log\n")
        for number in range(6):
            made.tree.write(f"{number}/file", str(number))
        yield made


def _is_clear(made: Yard) -> bool:
    """After a start, and if need be another one: what is being killed may still hold a folder open."""
    until = time.monotonic() + _GONE_S
    while time.monotonic() < until:
        Premises(made.cache, str(made.root)).clear_dead()
        if not made.left():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("kind", ["view", "copy"])
def test_a_process_killed_anywhere_leaves_nothing_after_the_next_start(made: Yard, kind: str) -> None:
    before = shown(made.root)
    with _working(made.folder, kind) as process:
        steps = _read(process, 1_000)
        steps = steps[: steps.index("closed") + 1]
    assert process.returncode == 0
    assert made.left() == []
    assert steps.count("ran") == 2
    seed = secrets.randbits(32)
    for lines in sorted(random.Random(seed).sample(range(1, len(steps)), _KILLS)):
        with _working(made.folder, kind) as process:
            assert _read(process, lines)[-1] in steps
            process.send_signal(signal.SIGKILL)
        assert shown(made.root) == before
        assert _is_clear(made), f"{made.left()} after {lines} steps ({steps[lines - 1]}); seed {seed}"


def test_a_start_leaves_alone_what_a_living_process_works_with(made: Yard) -> None:
    with _working(made.folder, "view") as process:
        while _read(process, 1) != ["opened"]:
            pass
        os.kill(process.pid, signal.SIGSTOP)
        held = sorted(made.cache.rglob("snapshots/**/file"))
        assert len(held) == 6
        assert Premises(made.cache, str(made.root)).clear_dead() == 0
        other = Premises(made.cache, str(made.root))
        mine = other.new_folder()
        assert sorted(made.cache.rglob("snapshots/**/file")) == held
        other.close()
        assert not os.path.exists(mine)
        assert sorted(made.cache.rglob("snapshots/**/file")) == held
        os.kill(process.pid, signal.SIGCONT)
        steps = process.communicate()[0].split("\n")
        assert steps[-2] == "closed"
    assert process.returncode == 0
    assert made.left() == []


def test_what_a_killed_process_had_half_made_in_the_project_is_gone_after_the_next_start(made: Yard) -> None:
    """It makes what git ignores, which no edit stands for: `.vibe-tmp-...` is there at the moment of the kill."""
    (made.root / "logs").mkdir()
    alive = made.root / "logs" / f".vibe-tmp-{'0' * 16}"
    with _working(made.folder, "putting") as process, alive.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # another process, at work on another file
        assert _read(process, 1) == ["half made"]
        half = [path for path in made.root.rglob(".vibe-tmp-*") if path != alive]
        assert len(half) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert half[0].exists()
        assert _is_clear(made)
        assert not half[0].exists()
        assert alive.exists()
