"""A project whose runs are killed, and what must hold after each kill and in the end."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fork_server import Server, fork_server
from tests.support.reuse_world import FLOW, Asked, Expected, Oracle, Tree, answer_to, source_of
from vibe_workflows.engine.store.migrate import latest_schema
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.references import REFERENCES
from vibe_workflows.engine.store.soundness import examine


@contextmanager
def crash_server() -> Iterator[Server]:
    """See crash_program.py."""
    with fork_server("tests.support.crash_program") as server:
        yield server


@dataclass(frozen=True)
class Ended:
    status: int
    outcome: dict[str, Any]

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


@dataclass
class Costs:
    """What kills have cost, in model calls."""

    kills: int = 0
    in_flight: int = 0  # the model had them when the process died
    not_committed: int = 0  # answered, and the process died before the turn was durable


@dataclass(frozen=True)
class Course:
    """What a run that nobody disturbs comes to."""

    result: Any
    steps: int
    needed: Counter[str]  # its turns, by what the model sees
    before: dict[str, str | None]  # of each turn the one before it; None for the first one of a step


class CrashedProject:
    """One project with its store, and what the model has been asked for it."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        source: str,
        files: Mapping[str, str],
        *,
        course: Course | None = None,
        concurrency: int = 16,
        elsewhere: Path | None = None,  # the project, where it is not in `folder`
        costs: Costs | None = None,
        allow: str = "",
    ) -> None:
        self.server = server
        self.folder = folder
        self.concurrency = concurrency
        self.costs = costs or Costs()
        self.committed: Counter[str] = Counter()
        self.starts_over = False
        self._elsewhere = elsewhere
        self._allow = allow
        self._course = course
        for path, content in ({**files, FLOW: source, "vibe.yaml": ""}).items():
            self.write(path, content)
        (self.folder / "home").mkdir()

    def write(self, path: str, content: str) -> None:
        place = self.project / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)

    @property
    def course(self) -> Course:
        assert self._course is not None
        return self._course

    @property
    def needed(self) -> Counter[str]:
        return self.course.needed

    @property
    def project(self) -> Path:
        return self._elsewhere or self.folder / "project"

    @property
    def store(self) -> Path:
        return self.project / ".vibe" / "vibe.db"

    # ------------------------------------------------------------ runs

    def start(self, name: str = "run", **more: Any) -> int:
        for kind in ("log", "report"):
            (self.folder / f"{name}.{kind}").write_text("")
        return self.server.start(
            {
                "project": str(self.project),
                "home": str(self.folder / "home"),
                "log": str(self.folder / f"{name}.log"),
                "report": str(self.folder / f"{name}.report"),
                "flow": FLOW,
                "concurrency": self.concurrency,
                "allow": self._allow,
                **more,
            }
        )

    def wait(self, pid: int, name: str = "run") -> Ended:
        status = self.server.wait(pid)
        text = (self.folder / f"{name}.report").read_text()
        return Ended(status, json.loads(text) if text else {})

    def has_ended(self, name: str = "run") -> bool:
        return bool((self.folder / f"{name}.report").read_text())

    def asked(self, name: str = "run") -> tuple[Counter[str], Counter[str]]:
        """What the model was asked in a run, and what it answered."""
        lines = [line.split() for line in (self.folder / f"{name}.log").read_text().splitlines()]
        asked, answered = (Counter(line[1] for line in lines if line[0] == kind) for kind in ("asked", "answered"))
        return asked, answered

    def unchecked_run(self, **more: Any) -> Ended:
        return self.wait(self.start(**more))

    def run(self, **more: Any) -> Ended:
        """A run that may be killed at a point of its own, checked."""
        ended = self.unchecked_run(**more)
        self.check(ended)
        return ended

    # ------------------------------------------------------------ what must hold

    def check(self, ended: Ended) -> None:
        """The latest run was killed, and all that it committed was kept; or it came to its end, and that is right."""
        before = self.committed
        self.check_kept()
        if not ended.killed:
            self.check_finished(ended)
            return
        asked, answered = self.asked()
        in_flight = (asked - answered).total()
        assert in_flight <= self.concurrency, f"{in_flight} calls at the same time, with {self.concurrency} allowed"
        self.costs.kills += 1
        self.costs.in_flight += in_flight
        self.costs.not_committed += (answered - (self.committed - before)).total()

    def check_kept(self) -> None:
        """The latest run asked for no turn that was committed before, and what it committed is there to stay."""
        before, self.committed = self.committed, self.committed_turns()
        asked, answered = self.asked()
        needless = asked - (self.needed - before)
        assert not needless, f"asked again for finished turns: {needless}"
        assert not before - self.committed, "a committed turn is gone"
        new = self.committed - before
        assert not new - answered, "a turn was stored that the model never gave"
        twice = asked - new - self.next_turns()
        assert not twice, f"a step lost more than the turn that it was at: {twice}"

    def next_turns(self) -> Counter[str]:
        """What may be asked for next, and what a kill may cost: of each step the first turn that is not committed."""
        ready = Counter(
            {
                turn: count if before is None else self.committed[before]
                for turn, count in self.needed.items()
                for before in (self.course.before[turn],)
            }
        )
        return ready - self.committed

    def check_finished(self, ended: Ended) -> None:
        assert ended.status == 0, ended.outcome
        assert ended.outcome["exit_code"] == 0, ended.outcome["error"]
        assert ended.outcome["result"] == self.course.result
        counted = ended.outcome["live"] + ended.outcome["stored"]
        if self.starts_over:  # a step that was at work then, and what went on with it, are two
            assert counted >= self.course.steps
        else:
            assert counted == self.course.steps
        assert self.committed == self.needed
        with self.copied_store() as copy:
            health = examine(copy, StoreOrigins(self.folder / "home"))
        assert health.sound, health.problems

    def committed_turns(self) -> Counter[str]:
        """From a copy, so that the next run finds what the killed one left: its log, and locks that nobody holds."""
        if not self.store.exists():
            return Counter()
        with self.copied_store() as copy, closing(sqlite3.connect(copy)) as connection:
            return sound_turns(connection)

    @contextmanager
    def copied_store(self) -> Iterator[Path]:
        """Who looks at it leaves SQLite's files beside it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for suffix in ("", "-wal"):
                if (file := self.store.with_name("vibe.db" + suffix)).exists():
                    shutil.copy(file, folder)
            yield Path(folder) / "vibe.db"

    def left_behind(self) -> set[str]:
        """Every file of the project and of the user's own folders, by name."""
        roots = (self.project, self.folder / "home")
        return {str(path.relative_to(root)) for root in roots for path in root.rglob("*")}


def sound_turns(connection: sqlite3.Connection) -> Counter[str]:
    """The turns of a sound database, by what the model saw."""
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if schema == 0:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,), "half a store"
        return Counter()
    if schema == latest_schema():  # earlier ones lack columns
        dangling = {each for each in REFERENCES if connection.execute(each.dangling).fetchone() != (0,)}
        assert not dangling, "rows name others that are not there"
    halves = connection.execute(
        "SELECT count(*) FROM steps WHERE status = 'completed' "
        "AND kind = 'agent' "  # what a tool edited is stored with its answer, before that is delivered
        "AND (id NOT IN (SELECT step_id FROM deliveries) OR id NOT IN (SELECT step_id FROM turns))"
    ).fetchone()
    assert halves == (0,), "a step came without its last turn or its delivery"
    return Counter(json.loads(output)["text"] for (output,) in connection.execute("SELECT output FROM turns"))


class CrashWorld(CrashedProject):
    """One whose steps edit nothing: an oracle knows what comes of it."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        tree: Tree,
        files: Mapping[str, str],
        *,
        concurrency: int = 16,
        elsewhere: Path | None = None,
        costs: Costs | None = None,
    ) -> None:
        source = source_of(tree, "plain")
        super().__init__(server, folder, source, files, concurrency=concurrency, elsewhere=elsewhere, costs=costs)
        self.expected = Oracle(self.project).expect(tree, frozenset())
        self._course = course_of(self.expected)


def course_of(expected: Expected) -> Course:
    """All turns of a run from scratch."""
    needed: Counter[str] = Counter()
    before: dict[str, str | None] = {}
    for step in expected.steps:
        earlier: str | None = None
        for turn in range(len(step.shown) + 1):
            name = answer_to(Asked(step.prompt, step.shown[:turn]))
            needed[name] += 1
            before[name], earlier = earlier, name
    return Course(expected.result, len(expected.steps), needed, before)
