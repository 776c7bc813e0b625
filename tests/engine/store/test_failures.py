"""A commit that fails: everyone learns of it, nothing half-written stays, and the store is sound afterwards."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.engine.store.making import RUN, a_step, in_trio, opened, origins_of, with_store
from tests.engine.store.processes import ROOT
from vibe_workflows.engine.errors import StoreError
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.engine.store.sqlite import SqliteStore, open_store


def assert_sound(path: Path, ids: list[str]) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    reader = open_reader(path)
    assert [step.id for step in reader.steps_of_run(RUN)] == ids
    reader.close()


def test_a_failed_commit_fails_all_who_wait_all_who_come_and_the_block(path: Path) -> None:
    failed: list[str] = []
    called: list[str] = []

    async def commit(store: SqliteStore, id_: str) -> None:
        try:
            await store.commit([a_step(id_)])
        except StoreError:
            failed.append(id_)

    async def main() -> None:
        with_lock = sqlite3.connect(path, isolation_level=None)
        try:
            async with opened(path, busy_timeout_s=0.05) as store:
                await store.commit([a_step("before")])
                with_lock.execute("BEGIN IMMEDIATE")
                store.post([a_step("posted")], lambda: called.append("posted"))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(commit, store, "s1")
                    nursery.start_soon(commit, store, "s2")
                with pytest.raises(StoreError):
                    store.post([a_step("late")])
                with pytest.raises(StoreError):
                    await store.commit([a_step("late")])
                await trio.sleep_forever()  # a block that waits for callbacks only must not wait for ever
        finally:
            with_lock.close()

    with_store(path, lambda store: store.commit([]))
    with pytest.raises(StoreError, match="another program keeps it locked"):
        in_trio(main)
    assert sorted(failed) == ["s1", "s2"]
    assert called == []
    assert_sound(path, ["before"])


def test_waiting_for_another_writer_is_no_failure(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.commit, [a_step("s1")])
            await trio.testing.wait_all_tasks_blocked()
            other.execute("COMMIT")
            other.close()

    with_store(path, body)
    assert_sound(path, ["s1"])


def test_a_bad_record_fails_its_transaction_as_a_whole(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("good")])
        await store.commit([a_step("innocent"), a_step("bad", turns=2**70)])

    with pytest.raises(StoreError, match=r"OverflowError.*please report it"):
        with_store(path, body)
    assert_sound(path, ["good"])
    with_store(path, lambda store: store.commit([a_step("later")]))
    assert_sound(path, ["good", "later"])


def test_an_error_of_the_block_wins_over_the_failure_of_the_store(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        try:
            await store.commit([a_step("bad", turns=2**70)])
        except StoreError as error:
            raise KeyError("the block's own") from error

    with pytest.raises(KeyError, match="own"):
        with_store(path, body)


def test_records_that_cannot_be_drained_on_leaving_are_an_error(path: Path) -> None:
    async def body(store: SqliteStore) -> None:
        store.post([a_step("bad", turns=2**70)], lazy=True)

    with pytest.raises(StoreError, match="OverflowError"):
        with_store(path, body)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_named_and_what_was_committed_is_safe(small_disk: Path) -> None:
    path = small_disk / "project" / ".vibe" / "vibe.db"
    committed: list[str] = []

    async def body(store: SqliteStore) -> None:
        for number in range(10_000):
            await store.commit([a_step(f"s{number:04}", spec="x" * 2000)])
            committed.append(f"s{number:04}")

    with pytest.raises(StoreError, match="the disk is full; free some space"):
        with_store(path, body)
    assert len(committed) > 10
    assert_sound(path, committed)


def test_a_store_that_finds_no_room_to_be_listed_is_not_made(
    small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It would answer nothing for good, and room can be made."""
    path = tmp_path_factory.mktemp("project") / ".vibe" / "vibe.db"
    origins = StoreOrigins(small_disk / "state")
    origins.path.parent.mkdir()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1024 * 1024))

    async def reusable() -> bool:
        async with open_island() as island, open_store(path, island, origins=origins) as store:
            return store.reusable

    with pytest.raises(StoreError, match="the disk is full; free some space"):
        in_trio(reusable)
    filler.unlink()
    assert in_trio(reusable)


def test_a_disk_that_fails_is_named_and_what_was_committed_is_safe(path: Path) -> None:
    """A limit on the size of files stands for the disk: it needs no privilege, and a process of its own."""
    code = f"""
import resource
from pathlib import Path
from tests.engine.store.making import a_step, with_store

async def body(store):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    for number in range(10_000):
        await store.commit([a_step(f"s{{number:04}}", spec="x" * 2000)])
        print(f"s{{number:04}}", flush=True)

with_store(Path({str(path)!r}), body)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "StoreError" in run.stderr
    assert "the disk reports an error" in run.stderr
    committed = run.stdout.split()
    assert len(committed) > 10
    assert_sound(path, committed)


@pytest.mark.usefixtures("tasks_are_cut_off")
def test_when_the_island_dies_the_store_fails_and_leaves_no_thread_behind(path: Path) -> None:
    async def kill() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(3600)

    async def main() -> None:
        async with open_island() as island, open_store(path, island, origins=origins_of(path)) as store:
            await store.commit([a_step("s1")])
            with pytest.raises(Exception, match="thread"):
                await island.run(kill)
            await store.commit([a_step("s2")])

    with pytest.raises(StoreError, match="asyncio thread"):
        in_trio(main)
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(timeout=5)
            assert not thread.is_alive()
    assert_sound(path, ["s1"])
