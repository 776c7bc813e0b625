"""The check of a store says of every damage what it is, and never fails itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine.store.making import a_delivery, a_run, a_step
from tests.support.stores import origins_of, write_store
from vibe_workflows.cli.render.health import health_json, health_text
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import Change, RunId, StepId
from vibe_workflows.engine.ports import FileChange, FileContents, Source
from vibe_workflows.engine.store.contents import contents, find_step
from vibe_workflows.engine.store.export import export
from vibe_workflows.engine.store.gc import collect, would_go
from vibe_workflows.engine.store.locks import RunLocks
from vibe_workflows.engine.store.migrate import latest_schema
from vibe_workflows.engine.store.retention import Retention
from vibe_workflows.engine.store.soundness import StoreHealth, examine


@pytest.fixture
def path(path: Path) -> Path:
    """Of a sound store."""
    step = a_step("run1-1", result=f'"{"a" * 5000}"', spec="s" * 3000)
    write_store(path, [Source(digest="digest", text="source"), a_run("run1"), step, a_delivery(1, "run1-1")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def look(path: Path) -> StoreHealth:
    return examine(path, origins_of(path))


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_store_that_this_user_made_is_sound(path: Path) -> None:
    health = look(path)
    assert (health.exists, health.sound, health.problems, health.origin, health.advice) == (True, True, (), None, "")
    assert health.schema == health.latest_schema == latest_schema()
    assert health.bytes == path.stat().st_size


def test_no_store_is_no_problem(tmp_path: Path) -> None:
    health = look(tmp_path / "project" / ".vibe" / "vibe.db")
    assert (health.exists, health.sound) == (False, True)


def test_a_store_from_elsewhere_is_sound_and_its_origin_is_told(path: Path) -> None:
    origins_of(path).path.unlink()
    health = look(path)
    assert health.sound
    assert health.origin is not None
    assert "vibe trust" in health.origin


def test_edits_that_a_run_died_over_are_counted_while_nobody_works_on_it(path: Path) -> None:
    change = Change(path="a.py", before=None, after=None)
    write_store(
        path,
        [
            FileChange(epoch=epoch, change=change, step_id=StepId("run1-1"), run_id=RunId("run1"), done=epoch == 3)
            for epoch in (1, 2, 3)
        ],
    )
    health = look(path)
    assert (health.half_done, health.sound) == (2, True)
    assert "a run ended in the middle of 2 edits" in health_text(health, colour=False)
    assert health_json(health)["half_done_edits"] == 2
    with RunLocks(path).hold(RunId("run1")):
        assert look(path).half_done == 0


def overwrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 12] = os.urandom(4096 * 9)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20_000])


def flip_a_blob(path: Path) -> None:
    """What SQLite cannot see: it has no checksums."""
    execute(path, "UPDATE blobs SET data = zeroblob(length(data))")


def unfold(path: Path) -> None:
    """A small blob that says to be as large as the memory."""
    bomb = zlib.compress(b"a" * (1 << 24))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE blobs SET size = ?, data = ?", (1 << 40, bomb))


def break_an_index(path: Path) -> None:
    """What reading the rows does not show."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        root = "SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_start'"
        connection.execute(f"UPDATE sqlite_schema SET rootpage = ({root}) WHERE name = 'events_by_run'")


def other_bytes(path: Path) -> None:
    path.write_bytes(b"nothing of the kind" * 500)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "overwritten": (overwrite, ""),
    "cut off": (cut, ""),
    "not a database": (other_bytes, "not a vibe store"),
    "an index that is another's": (break_an_index, "SQLite's check"),
    "a blob that unfolds without end": (unfold, "larger than any text"),
    "a blob that is missing": (lambda path: execute(path, "DELETE FROM blobs"), "is missing"),
    "a blob that is not what was written": (flip_a_blob, "blob"),
    "a delivery without its step": (lambda path: execute(path, "DELETE FROM steps"), "step_id that is not in steps"),
    "a delivery without its run": (lambda path: execute(path, "DELETE FROM runs"), "run_id that is not in runs"),
    "a run without its source": (lambda path: execute(path, "DELETE FROM sources"), "not in sources"),
    "a predecessor that is gone": (
        lambda path: execute(path, "UPDATE steps SET predecessor = 'gone'"),
        "predecessor that is not in steps",
    ),
    "an attempt that is gone": (
        lambda path: execute(path, "UPDATE steps SET attempt_after = 'gone'"),
        "attempt_after that is not in steps",
    ),
    "an edit of no step": (
        lambda path: execute(path, "INSERT INTO changes VALUES (1, 'a.py', NULL, NULL, 'gone', 'run1', 1)"),
        "changes name a step_id that is not in steps",
    ),
    "contents that are missing": (
        lambda path: execute(path, "INSERT INTO changes VALUES (1, 'a.py', NULL, zeroblob(32), 'run1-1', 'run1', 1)"),
        "is missing",
    ),
    "a trigger": (
        lambda path: execute(path, "CREATE TRIGGER evil AFTER INSERT ON runs BEGIN SELECT 1; END"),
        "trigger evil",
    ),
    "a view in the place of a table": (
        lambda path: execute(path, "DROP TABLE events", "CREATE VIEW events AS SELECT 1 AS number"),
        "view events",
    ),
    "a table that is gone": (lambda path: execute(path, "DROP TABLE deliveries"), "table deliveries"),
    "a table with another column": (lambda path: execute(path, "ALTER TABLE runs ADD COLUMN evil TEXT"), "table runs"),
    "another program's database": (lambda path: execute(path, "PRAGMA application_id = 7"), "another program"),
    "a newer schema": (lambda path: execute(path, "PRAGMA user_version = 999"), "newer vibe"),
    "no id": (lambda path: execute(path, "DELETE FROM meta"), ""),
}


def test_contents_of_files_need_not_be_text(path: Path) -> None:
    data = bytes(range(256)) * 20
    change = Change(path="a.bin", before=None, after=content_digest(data))
    entry = FileChange(epoch=1, change=change, step_id=StepId("s"), run_id=RunId("run1"), done=True)
    write_store(path, [a_step("s"), entry, FileContents(digest=content_digest(data), data=data)])
    assert look(path).sound


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_told_and_what_to_do(path: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    damage(path)
    health = look(path)
    if name == "no id":
        assert health.origin is not None
        assert "no id" in health.origin
        return
    assert not health.sound
    assert words in "\n".join(health.problems)
    assert "vibe cache export" in health.advice
    assert str(path) in health.advice


def test_a_folder_or_a_pipe_in_the_place_of_a_store_is_told(tmp_path: Path) -> None:
    for make in (Path.mkdir, os.mkfifo):
        path = tmp_path / "project" / ".vibe" / "vibe.db"
        path.parent.mkdir(parents=True)
        make(path)
        assert look(path).problems
        shutil.rmtree(tmp_path / "project")


def test_a_view_that_never_ends_keeps_no_command_busy(path: Path, tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n"
    execute(path, "DROP TABLE runs", f"CREATE VIEW runs AS {endless}")
    rules = Retention(keep_runs=1)
    looks: list[Callable[[], object]] = [
        lambda: contents(path),
        lambda: find_step(path, "run1-1"),
        lambda: would_go(path, rules, 1.0),
        lambda: collect(path, rules, 1.0),
        lambda: export(path, [RunId("run1")], tmp_path / "f", {}),
    ]
    for each in looks:
        with pytest.raises(StoreError, match="view runs"):
            each()
    assert not look(path).sound


def test_an_older_schema_is_no_damage(path: Path) -> None:
    execute(path, f"PRAGMA user_version = {latest_schema() - 1}")
    health = look(path)
    assert health.sound
    assert "next `vibe run` brings it up to date" in health.note


def test_a_list_of_stores_that_cannot_be_read_is_told_and_the_rest_is_looked_at(path: Path) -> None:
    origins_of(path).path.write_text("{")
    health = look(path)
    assert health.sound
    assert health.origin is not None
    assert "stores.json" in health.origin


@pytest.mark.parametrize("column", ["runs.workflow", "steps.run_id", "deliveries.step_id", "steps.status"])
def test_text_that_is_none_is_a_clear_error_of_every_look(path: Path, column: str) -> None:
    table, name = column.split(".")
    execute(path, f"UPDATE {table} SET {name} = CAST(x'ff' AS TEXT)")
    looks: list[Callable[[], object]] = [lambda: find_step(path, "run1-1")]
    if column != "steps.status":
        looks += [
            lambda: contents(path),
            lambda: collect(path, Retention(keep_runs=0), 1.0),
            lambda: would_go(path, Retention(keep_runs=0), 1.0),
        ]
    for each in looks:
        if column == "deliveries.step_id" and each is looks[0]:
            continue
        with pytest.raises(StoreError, match="damaged"):
            each()


def test_after_a_collection_took_the_run_that_did_the_work_a_step_is_sound_and_says_so(path: Path) -> None:
    write_store(path, [a_run("run2"), a_delivery(1, "run1-1", run_id=RunId("run2"))])
    execute(path, "DELETE FROM deliveries WHERE run_id = 'run1'", "DELETE FROM runs WHERE id = 'run1'")
    assert look(path).sound
    assert find_step(path, "run1-1").workflow == ""


def test_contents_count_each_step_and_text_once(path: Path) -> None:
    write_store(path, [a_run("run2"), a_delivery(1, "run1-1", run_id=RunId("run2")), a_step("run2-2", run_id="gone")])
    held = contents(path)
    assert (held.runs, held.steps, held.answers, held.imported, held.unused) == (2, 2, 2, 0, 1)
    (workflow,) = held.workflows
    assert (workflow.runs, workflow.steps, workflow.answers) == (2, 1, 1)
    assert workflow.bytes == held.text_bytes > 0
    view = find_step(path, StepId("run1-1"))
    assert [use.run for use in view.uses] == ["run2", "run1"]
    assert [sample.step for sample in view.pool] == ["run2-2", "run1-1"]
