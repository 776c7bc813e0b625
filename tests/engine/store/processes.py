"""Second processes on a store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def writing_child(path: Path, name: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that is about to write; see writing_child.py. Killed at the end of the block, if it still runs."""
    argv = [sys.executable, "-m", "tests.engine.store.writing_child", str(path), name, str(count)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def upkeep_child(path: Path, action: str, argument: str | int) -> Iterator[subprocess.Popen[str]]:
    """A process that is about to do what upkeep_child.py says. Killed at the end of the block, if it still runs."""
    argv = [sys.executable, "-m", "tests.engine.store.upkeep_child", str(path), action, str(argument)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert line_of(child) == ["ready"]
            yield child
        finally:
            child.kill()


def line_of(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout is not None
    return child.stdout.readline().split(maxsplit=1)


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
