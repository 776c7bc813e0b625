"""A store that an earlier vibe filled: it is read, answers, is gone on with, and no kill leaves it half migrated."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine.store.making import with_store
from tests.support.crash_stories import FILES, random_tree
from tests.support.crash_world import CrashWorld
from tests.support.earlier_schema import (
    MIGRATIONS,
    columns_of_schema,
    shape_of,
    shape_of_schema,
    value_today,
    write_back,
)
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.store.migrate import latest_schema
from vibe_workflows.engine.store.reader import SqliteReader, StoreNotReady, open_reader
from vibe_workflows.engine.store.sqlite import SqliteStore

#: Every schema that was released, with a digest of the SQL that brought it: it must never change.
RELEASED = {
    1: "5a2baea74e99e0ad573e5b385766ba8df44566bb6602edd959f4ba29cba2e7cd",
    2: "ac719cfe858bcb621e9cf2023f7947d771f5f3087e4f2742be4532e8380706e5",
    3: "985956831cf078716021046b7b9aa7af113df7b1af2a1892adccdc413a08fe5e",
}
EARLIER = [schema for schema in RELEASED if schema < latest_schema()]


@pytest.fixture
def world(server: Server) -> Iterator[CrashWorld]:
    seed = random.randrange(2**32)
    print("seed", seed)
    with memory_folder() as folder:
        yield CrashWorld(server, folder, random_tree(random.Random(seed), 3), FILES)


def rows_of(store: Path, schema: int) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables of an earlier schema, in its columns; but for the number of the schema itself.

    The store is of that schema, or of the latest.
    """
    with closing(sqlite3.connect(store)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        value = (lambda table, column: column) if found == schema else value_today
        rows = {
            table: connection.execute(
                f"SELECT {', '.join(value(table, column) for column in columns)} FROM {table}"
            ).fetchall()
            for table, columns in columns_of_schema(schema).items()
        }
    rows["meta"] = [row for row in rows["meta"] if row[0] != "schema_version"]
    return rows


def what_is_read(reader: SqliteReader) -> Counter[str]:
    """Ask a reader for everything, and count what it gives."""
    count: Counter[str] = Counter()
    for run in reader.runs(100):
        count["sources"] += reader.source(run.source_digest) is not None
        count["deliveries"] += len(reader.deliveries(run.id))
        count["events"] += len(reader.events(run.id))
        for step in reader.steps_of_run(run.id):
            count["steps"] += 1
            count["turns"] += len(reader.turns(step.id))
            count["tool calls"] += len(reader.tool_calls(step.id))
            count["attempts"] += len(reader.attempts(step.id))
            count["answers"] += len(reader.pool(step.key))
            count["cut off"] += len(reader.cut_off(step.key))
    return count


def schema_left(store: Path) -> int:
    """The schema of a store whose writer was killed, which is whole. Read from a copy: its log stays as it is."""
    with tempfile.TemporaryDirectory() as copy:
        for suffix in ("", "-wal"):
            if (file := store.with_name(store.name + suffix)).exists():
                shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy) / store.name)) as connection:
            (schema,) = connection.execute("PRAGMA user_version").fetchone()
            assert connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone() == (
                str(schema),
            )
            assert shape_of(connection) == shape_of_schema(schema)
            return int(schema)


@pytest.mark.parametrize(("schema", "digest"), RELEASED.items())
def test_a_released_migration_is_as_it_was(schema: int, digest: str) -> None:
    content = (MIGRATIONS / f"{schema:04}.sql").read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest, "write a new file instead"


@pytest.mark.parametrize("schema", EARLIER)
def test_everything_of_an_earlier_store_is_read_and_answers(world: CrashWorld, schema: int) -> None:
    assert world.run(die_at=("before INSERT INTO turns", 25)).killed
    world.run()
    rows = write_back(world.store, schema)
    assert all(count > 0 for table, count in rows.items() if table not in ("imports", "changes")), rows
    with pytest.raises(StoreNotReady, match=f"schema {schema} is older"):
        open_reader(world.store)
    ended = world.run()
    assert ended.outcome["live"] == 0
    assert world.asked() == (Counter(), Counter())
    with closing(sqlite3.connect(world.store)) as connection:
        assert shape_of(connection) == shape_of_schema(latest_schema())


@pytest.mark.parametrize("schema", EARLIER)
def test_what_an_earlier_store_holds_comes_through_the_migration_as_it_was(world: CrashWorld, schema: int) -> None:
    world.run()
    with closing(open_reader(world.store)) as reader:
        read = what_is_read(reader)
    write_back(world.store, schema)
    before = rows_of(world.store, schema)

    async def migrated(store: SqliteStore) -> None:
        assert what_is_read(store.reader) == read

    with_store(world.store, migrated)
    assert rows_of(world.store, schema) == before


@pytest.mark.parametrize("schema", EARLIER)
def test_a_step_that_was_cut_off_under_an_earlier_schema_is_gone_on_with(world: CrashWorld, schema: int) -> None:
    assert world.run(die_at=("before INSERT INTO turns", 25)).killed
    write_back(world.store, schema)
    kept = world.committed.total()
    assert kept > 0
    world.run()
    assert world.asked()[0].total() == world.needed.total() - kept


@pytest.mark.parametrize("schema", EARLIER[:1])  # the earliest goes through all migrations
def test_a_kill_in_a_migration_leaves_one_schema_or_the_next(world: CrashWorld, schema: int) -> None:
    assert world.run(die_at=("before INSERT INTO turns", 25)).killed
    write_back(world.store, schema)
    copy = world.folder / "earlier.db"
    shutil.copy(world.store, copy)
    log = world.folder / "points"
    world.run(points=str(log))
    points = log.read_text().splitlines()
    first = next(number for number, point in enumerate(points) if point.startswith("before ALTER TABLE"))
    after = points.index("before COMMIT", first) + 5
    counts: Counter[str] = Counter()
    left: Counter[int] = Counter()
    for point in points[:after]:
        counts[point] += 1
        restore(world, copy)
        assert world.run(die_at=(point, counts[point])).killed, point
        left[schema_left(world.store)] += 1
    world.run()
    print(left)
    assert set(left) == {schema, latest_schema()}


def restore(world: CrashWorld, copy: Path) -> None:
    """The earlier store anew."""
    for suffix in ("-wal", "-shm"):
        world.store.with_name(world.store.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, world.store)
    world.committed = world.committed_turns()


@pytest.mark.parametrize("schema", EARLIER)
def test_two_processes_that_migrate_at_once_both_end_right(world: CrashWorld, schema: int) -> None:
    world.run()
    for _ in range(5):
        write_back(world.store, schema)
        pids = {name: world.start(name, new=True) for name in ("one", "two")}
        ended = {name: world.wait(pid, name) for name, pid in pids.items()}  # a copy of what is written to is none
        world.committed = world.committed_turns()
        for name in pids:
            world.check_finished(ended[name])
            assert world.asked(name) == (Counter(), Counter())
