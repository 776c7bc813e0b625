"""A project whose steps edit files, killed: what must hold of the files and of their chains, after each kill."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from tests.support.crash_world import Costs, Course, CrashedProject, Ended
from tests.support.edit_stories import EditStory
from tests.support.fork_server import Server
from vibe_workflows.engine.keys import content_digest

#: Every file by path, with its mode and contents.
Files: TypeAlias = dict[str, tuple[int, str]]

#: A mode that no new file has: an edit must keep it.
_MODE = 0o751


class EditWorld(CrashedProject):
    def __init__(
        self,
        server: Server,
        folder: Path,
        story: EditStory,
        *,
        course: Course | None = None,
        concurrency: int = 16,
        elsewhere: Path | None = None,
        costs: Costs | None = None,
        allow: str = "write",
    ) -> None:
        super().__init__(
            server,
            folder,
            story.source,
            story.files,
            course=course,
            concurrency=concurrency,
            elsewhere=elsewhere,
            costs=costs,
            allow=allow,
        )
        self.story = story
        self.unbroken = True
        self._executable = list(story.files)[::2]
        for path in self._executable:
            (self.project / path).chmod(_MODE)
        self._new_mode = stat.S_IMODE((self.project / "vibe.yaml").stat().st_mode)

    def learn(self) -> Course:
        """Run undisturbed, and take that for what is expected. The story itself knows what the files must come to."""
        ended = self.unchecked_run()
        self._course = Course(ended.outcome["result"], self.story.steps, self.asked()[0], self._turns_before())
        self.check(ended)
        return self.course

    def learn_more(self, ended: Ended) -> Course:
        """Likewise, of one more undisturbed run on the same store, whose turns come to those before."""
        asked = self.asked()[0]
        before = {**self.course.before, **self._turns_before()}
        self._course = Course(ended.outcome["result"], self.story.steps, self.needed + asked, before)
        self.check(ended)
        return self.course

    def _turns_before(self) -> dict[str, str | None]:
        lines = [line.split() for line in (self.folder / "run.log").read_text().splitlines()]
        return {line[1]: line[2] if len(line) > 2 else None for line in lines if line[0] == "asked"}

    # ------------------------------------------------------------ what must hold

    def check(self, ended: Ended) -> None:
        super().check(ended)
        self.check_whole()

    def check_whole(self) -> None:
        """Each file holds what it may hold at some time, and nothing between."""
        for path, (mode, content) in self.lying().items():
            if ".vibe-tmp-" not in path:
                assert content in self.story.histories[path], f"{path} is half edited: {content!r}"
                assert mode == (_MODE if path in self._executable else self._new_mode), f"{path} has mode {mode:o}"

    def check_finished(self, ended: Ended) -> None:
        super().check_finished(ended)
        self.check_files()

    def check_files(self) -> None:
        """All edits are made, each once, and no trace is left of their making."""
        lying = self.lying()
        assert {path: content for path, (_, content) in lying.items()} == {
            path: history[-1] for path, history in self.story.histories.items() if history[-1] is not None
        }
        with closing(sqlite3.connect(self.store)) as connection:
            check_chains(connection, {path: content for path, (_, content) in lying.items()}, unbroken=self.unbroken)

    def lying(self) -> Files:
        """All files of the project but for those of the product itself."""
        return {
            str(path.relative_to(self.project)): (path.stat().st_mode & 0o7777, path.read_text())
            for path in self.project.rglob("*")
            if path.is_file() and ".vibe" not in path.parts and path.name != "vibe.yaml"
        }

    def changes(self) -> list[tuple[str, bool]]:
        """The entries of all chains: path, and whether it is marked as done. From a copy, as `committed_turns`."""
        with tempfile.TemporaryDirectory(dir=self.folder) as copy:
            for suffix in ("", "-wal"):
                if (file := self.store.with_name("vibe.db" + suffix)).exists():
                    shutil.copy(file, copy)
            with closing(sqlite3.connect(Path(copy) / "vibe.db")) as connection:
                rows = connection.execute("SELECT path, done FROM changes ORDER BY epoch").fetchall()
        return [(path, bool(done)) for path, done in rows]


def check_chains(connection: sqlite3.Connection, lying: Mapping[str, str], *, unbroken: bool) -> None:
    """Nothing is unsettled, and the last entry of each path is what lies there.

    `unbroken`: nobody but steps has edited these files, so that each entry follows on the one before.
    """
    assert connection.execute("SELECT count(*) FROM changes WHERE done = 0").fetchone() == (0,), "not settled"
    chains: dict[str, list[tuple[str, str]]] = {}
    for path, before, after in connection.execute("SELECT path, hex(before), hex(after) FROM changes ORDER BY epoch"):
        chains.setdefault(path, []).append((before.lower(), after.lower()))
    for path, chain in chains.items():
        content = lying.get(path)
        assert chain[-1][1] == ("" if content is None else content_digest(content.encode())), path
        assert not unbroken or all(one[1] == two[0] for one, two in pairwise(chain)), path
