"""Takes from a store what its retention rules let go: runs, then steps, then texts that nothing refers to.

Other processes may be at work. What a run that is alive has been offered is in its memory alone, so while there is one,
steps stay; runs that are over go all the same. A plan holds as long as nobody else has committed: each transaction that
takes steps or texts checks that first, and after a change the plan is made anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from ..model import RunId, StepId
from .holdings import HeldRun, Holdings, read_holdings
from .locks import RunLocks, alive_runs
from .references import PARTS_OF_STEPS, blobs_referred_to
from .retention import Going, Retention, decide
from .upkeep import bytes_on_disk, data_version, open_for_looking, open_for_upkeep, transaction, used_bytes

_T = TypeVar("_T")

#: Of one transaction: a few milliseconds to some tenths of a second.
_RUNS, _STEPS, _BLOBS, _PAGES = 20, 200, 500, 2000
#: How often a plan is made anew because others wrote meanwhile.
_TRIES = 5


class Collected(Struct, kw_only=True):
    """What went, or would go."""

    runs: int = 0
    steps: int = 0
    texts: int = 0  # blobs; 0 for a dry run, which cannot know
    bytes_before: int = 0
    bytes_after: int = 0  # of a dry run an estimate
    alive: tuple[RunId, ...] = ()  # runs at work, for whose sake steps stayed
    unsettled: bool = False  # others wrote all the time: some of it is left for the next time
    too_large: bool = False  # above `max_bytes` still: what is left may not go


def would_go(path: Path, rules: Retention, now: float) -> Collected:
    """What `collect` would take now. Only reads. Raises StoreError."""
    with open_for_looking(path) as connection:
        held = read_holdings(connection, RunLocks(path))
        going = decide(held, rules, now, used_bytes(connection))
        return Collected(
            runs=going.runs,
            steps=len(going.steps),
            bytes_before=bytes_on_disk(path),
            bytes_after=min(going.estimated_bytes, bytes_on_disk(path)),
            alive=held.alive,
            too_large=rules.max_bytes is not None and going.estimated_bytes > rules.max_bytes,
        )


def collect(path: Path, rules: Retention, now: float) -> Collected:
    """Take what may go, and give its space back. Raises StoreError; what was taken by then is gone for good."""
    with open_for_upkeep(path) as connection:
        done = Collected(bytes_before=bytes_on_disk(path))
        _Collector(connection, RunLocks(path), done).collect(rules, now)
        done.bytes_after = bytes_on_disk(path)
        done.too_large = rules.max_bytes is not None and done.bytes_after > rules.max_bytes
        return done


class _Collector:
    def __init__(self, connection: sqlite3.Connection, locks: RunLocks, done: Collected) -> None:
        self._connection = connection
        self._locks = locks
        self._done = done

    def collect(self, rules: Retention, now: float) -> None:
        for _try in range(_TRIES):
            version = data_version(self._connection)
            going = self._plan(rules, now)
            self._take_runs(going.lineages)
            if self._take_steps(going.steps, version):
                break
        else:
            self._done.unsettled = True
        if not any(self._take_blobs() for _try in range(_TRIES)):
            self._done.unsettled = True
        self._give_back()

    def _plan(self, rules: Retention, now: float) -> Going:
        held: Holdings = read_holdings(self._connection, self._locks)
        return decide(held, rules, now, used_bytes(self._connection))

    # ------------------------------------------------------------ runs

    def _take_runs(self, lineages: Sequence[Sequence[HeldRun]]) -> None:
        for batch in _batches(lineages, _RUNS):
            with transaction(self._connection):
                for runs in batch:
                    if self._as_planned(runs):
                        self._take_lineage(runs)

    def _as_planned(self, runs: Sequence[HeldRun]) -> bool:
        """Whether nobody has gone on with the lineage since: whoever does so adds a run to it."""
        found = self._connection.execute("SELECT id FROM runs WHERE lineage = ?", (runs[0].lineage,)).fetchall()
        return {run for (run,) in found} == {run.id for run in runs}

    def _take_lineage(self, runs: Sequence[HeldRun]) -> None:
        execute = self._connection.execute
        for run in runs:
            execute("DELETE FROM deliveries WHERE run_id = ?", (run.id,))
            execute("DELETE FROM events WHERE run_id = ?", (run.id,))
            execute("DELETE FROM runs WHERE id = ?", (run.id,))
            execute(
                "DELETE FROM sources WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE source_digest = ?1)",
                (run.source,),
            )
        self._done.runs += len(runs)

    # ------------------------------------------------------------ steps and texts

    def _take_steps(self, steps: Sequence[StepId], version: int) -> bool:
        """False where the plan is out of date. Where a run is alive, nothing is taken.

        A run commits its row before it reads what the store has for it: so one that is not seen here will not be
        offered what goes now.
        """
        connection = self._connection
        for batch in _batches(steps, _STEPS):
            with transaction(connection):
                self._done.alive = alive_runs(connection, self._locks)
                if self._done.alive:
                    return True
                if data_version(connection) != version:
                    return False
                rows = [(step,) for step in batch]
                for table in (*PARTS_OF_STEPS, "steps"):
                    owner = "id" if table == "steps" else "step_id"
                    connection.executemany(f"DELETE FROM {table} WHERE {owner} = ?", rows)  # noqa: S608
            self._done.steps += len(batch)
        with transaction(connection):
            connection.execute("DELETE FROM imports WHERE NOT EXISTS (SELECT 1 FROM steps WHERE run_id = imports.id)")
        return True

    def _take_blobs(self) -> bool:
        """False where others have written meanwhile: a text that was of no use may be in use again."""
        connection = self._connection
        version = data_version(connection)
        used = blobs_referred_to(connection)
        loose = connection.execute(f"SELECT digest FROM blobs WHERE digest NOT IN ({used})").fetchall()  # noqa: S608
        for batch in _batches(loose, _BLOBS):
            with transaction(connection):
                if data_version(connection) != version:
                    return False
                connection.executemany("DELETE FROM blobs WHERE digest = ?", batch)
            self._done.texts += len(batch)
        return True

    # ------------------------------------------------------------ space

    def _give_back(self) -> None:
        """Shorten the file, some pages a transaction; a store from before that was possible is rewritten once."""
        connection = self._connection
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            if not alive_runs(connection, self._locks):
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                connection.execute("VACUUM")
        else:
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            for _slice in range(0, free, _PAGES):
                connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")  # `execute` would free one page
        # Does what it can: while it waits for readers, nobody can write.
        connection.execute("PRAGMA busy_timeout = 500")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _batches(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
