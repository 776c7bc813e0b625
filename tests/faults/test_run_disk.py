"""A whole run on a disk that is full, failing, read-only or in use: a clear error, and it goes on when that is over."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.support.crash_stories import FILES, random_tree
from tests.support.crash_world import CrashWorld
from tests.support.fork_server import Server
from tests.support.memory_folder import memory_folder
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.store.reader import open_reader

_FULL = "the disk is full; free some space and run again: what was committed is safe"


def a_world(server: Server, folder: Path, elsewhere: Path | None = None) -> CrashWorld:
    seed = random.randrange(2**32)
    print("seed", seed)
    return CrashWorld(server, folder, random_tree(random.Random(seed), 4), FILES, elsewhere=elsewhere)


@pytest.fixture
def world(server: Server) -> Iterator[CrashWorld]:
    with memory_folder() as folder:
        yield a_world(server, folder)


@pytest.fixture
def world_on_disk(server: Server) -> Iterator[CrashWorld]:
    """Its project is a disk of its own, which can be made smaller, larger or read-only."""
    with memory_folder() as folder:
        project = folder / "disk"
        project.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(project)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a disk needs root; a limit on the size of files is tried without")
        try:
            yield a_world(server, folder, project)
        finally:
            subprocess.run(["umount", str(project)], check=True)


def remount(world: CrashWorld, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(world.project)], check=True)


def message_of_failure(world: CrashWorld, **more: object) -> str:
    """Of a run that ends with an error of the store; everything committed is still there."""
    ended = world.unchecked_run(**more)
    assert ended.outcome["exit_code"] == ExitCode.STORE, ended.outcome
    world.check_kept()
    return str(ended.outcome["error"])


@pytest.mark.parametrize("kilobytes", [64, 200, 700, 1100])  # while the store is made, and as it is used
def test_a_full_disk_ends_the_run_with_what_to_do_and_room_lets_it_go_on(
    world_on_disk: CrashWorld, kilobytes: int
) -> None:
    remount(world_on_disk, f"size={kilobytes}k")
    assert _FULL in message_of_failure(world_on_disk)
    assert bool(world_on_disk.committed) == (kilobytes >= 700)
    remount(world_on_disk, "size=64m")
    world_on_disk.run()


@pytest.mark.parametrize("store", ["to be made", "of a killed run", "of a complete run"])
def test_a_disk_without_any_room_is_named_as_full(world_on_disk: CrashWorld, store: str) -> None:
    if store == "of a killed run":
        assert world_on_disk.run(die_at=("before INSERT INTO turns", 25)).killed
    if store == "of a complete run":
        world_on_disk.run()
    filler = world_on_disk.project / "filler.bin"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(2**16)):
            pass
    assert _FULL in message_of_failure(world_on_disk)
    filler.unlink()
    world_on_disk.run()


def test_a_disk_that_fails_ends_the_run_and_a_sound_one_lets_it_go_on(world: CrashWorld) -> None:
    message = message_of_failure(world, file_size=400_000)
    assert "the disk reports an error; check its space and its health: what was committed is safe" in message
    assert world.committed
    world.run()


def test_a_read_only_disk_is_named_and_the_store_is_read_there(world_on_disk: CrashWorld) -> None:
    assert world_on_disk.run(die_at=("before INSERT INTO turns", 25)).killed
    remount(world_on_disk, "ro")
    message = message_of_failure(world_on_disk)
    assert "check the permissions of the file and its folder, or use --db" in message
    with closing(open_reader(world_on_disk.store)) as reader:
        (run,) = reader.runs(10)
        assert len(reader.steps_of_run(run.id)) > 1
    remount(world_on_disk, "rw")
    world_on_disk.run()


def hold_lock(world: CrashWorld) -> sqlite3.Connection:
    other = sqlite3.connect(world.store, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_run_waits_while_another_program_writes(world: CrashWorld) -> None:
    assert world.run(die_at=("before INSERT INTO turns", 25)).killed
    with closing(hold_lock(world)) as other:
        pid = world.start()
        time.sleep(1.0)  # how long the lock is held
        assert not world.has_ended()
        other.execute("ROLLBACK")
    world.check(world.wait(pid))


@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "long", reason="takes 30 s: part of `make test-long`")
@pytest.mark.parametrize("answers", [0, 10])
def test_a_program_that_writes_for_too_long_is_named_and_nothing_is_lost(world: CrashWorld, answers: int) -> None:
    """While the run begins, and in its middle: it waits for as long as SQLite is told to, and no longer."""
    assert world.run(die_at=("before INSERT INTO turns", 25)).killed
    pid = world.start(latency_s=0.05)
    while world.asked()[1].total() < answers:
        assert not world.has_ended()
    with closing(hold_lock(world)):
        ended = world.wait(pid)
    assert ended.outcome["exit_code"] == ExitCode.STORE, ended.outcome
    assert "another program keeps it locked; close that program" in ended.outcome["error"]
    world.check_kept()
    world.run()
