"""`kill -9` while what was done in a worktree lands: it comes into the project once, and nobody is asked again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.deeds import edit, isolated, read, write
from tests.support.fork_server import Server, fork_server
from tests.support.whole_runs import body

FILES = {"a.txt": "one\ntwo\nthree\n", "b.txt": "b\n"}
DONE = {"a.txt": "ONE\ntwo\nTHREE\n", "b.txt": "changed\n", "new/c.txt": "c\n"}
CALLS = (
    isolated([read("a.txt")], [edit("a.txt", "one", "ONE"), write("b.txt", "changed\n")], [read("b.txt")]),
    isolated([edit("a.txt", "three", "THREE"), write("new/c.txt", "c\n")]),
)
TURNS = 4 + 2

#: Of the landing of the first step, and of the second one.
POINTS = (
    ("before INSERT INTO changes", 1),
    ("after rename of an edit", 1),
    ("before INSERT INTO changes, done", 1),
    ("before rename of an edit", 4),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fork_server("tests.support.worktree_program") as started:
        yield started


@dataclass
class Killed:
    server: Server
    folder: Path

    def __post_init__(self) -> None:
        for path, content in FILES.items():
            self.write(path, content)
        self.write("vibe.yaml", "concurrency: 16\n")
        self.write("flow.py", body(f"return [await {CALLS[0]}, await {CALLS[1]}]"))
        (self.folder / "home").mkdir()

    def write(self, path: str, content: str) -> None:
        target = self.folder / "project" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def run(self, die_at: tuple[str, int] | None = None) -> dict[str, Any] | None:
        """None where it was killed."""
        work = {
            "project": str(self.folder / "project"),
            "home": str(self.folder / "home"),
            "log": str(self.folder / "log"),
            "report": str(self.folder / "report"),
            "die_at": die_at,
            "points": str(self.folder / "points"),
        }
        (self.folder / "report").unlink(missing_ok=True)
        status = self.server.wait(self.server.start(work))
        if status != 0:
            return None
        report: dict[str, Any] = msgspec.json.decode((self.folder / "report").read_bytes())
        return report

    @property
    def asked(self) -> int:
        return len((self.folder / "log").read_text().splitlines())

    def files(self) -> dict[str, str]:
        root = self.folder / "project"
        return {
            path.relative_to(root).as_posix(): path.read_text()
            for path in root.rglob("*")
            if path.is_file() and ".vibe" not in path.parts and path.name not in ("vibe.yaml", "flow.py")
        }

    def changes(self) -> list[tuple[str, int]]:
        with closing(sqlite3.connect(self.folder / "project/.vibe/vibe.db")) as connection:
            return connection.execute("SELECT path, done FROM changes ORDER BY epoch").fetchall()

    def left_in_cache(self) -> list[str]:
        cache = self.folder / "home/.cache"
        return [str(path) for path in cache.glob("vibe/snapshots/*/*")]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[0]} {point[1]}".replace(" ", "-"))
def test_a_kill_while_it_lands_loses_nothing_and_merges_nothing_twice(
    server: Server, tmp_path: Path, point: tuple[str, int]
) -> None:
    killed = Killed(server, tmp_path)
    assert killed.run(point) is None, "it was not killed"
    found = killed.run()
    assert found == {"result": ["done", "done"], "error": None}
    assert killed.files() == DONE
    assert sorted(killed.changes()) == [("a.txt", 1), ("a.txt", 1), ("b.txt", 1), ("new/c.txt", 1)]
    assert killed.asked == TURNS, "a turn was paid for twice"
    assert killed.left_in_cache() == []
