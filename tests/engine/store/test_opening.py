"""Making and opening a store: modes, schema, migrations, and every file that is not a store of ours."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.engine.store.making import a_step, in_trio, opened, origins_of, with_store
from tests.engine.store.processes import ROOT
from vibe_workflows.engine.errors import ExitCode, StoreError
from vibe_workflows.engine.store import migrate
from vibe_workflows.engine.store.prepare import NewStore, prepare
from vibe_workflows.engine.store.reader import StoreNotReady, open_reader, store_id
from vibe_workflows.engine.store.sqlite import SqliteStore

Later: TypeAlias = Callable[[Mapping[int, str]], AbstractContextManager[None]]


async def nothing(store: SqliteStore) -> None:
    pass


@contextmanager
def sql(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def refusal(path: Path) -> str:
    """What opening `path` for writing says; reading it must be refused as well."""
    with pytest.raises(StoreError) as writing:
        with_store(path, nothing)
    with pytest.raises(StoreError):
        open_reader(path)
    assert writing.value.exit_code is ExitCode.STORE
    assert str(path) in writing.value.message
    return writing.value.message


# ---------------------------------------------------------------- a new one


def test_a_new_store_is_for_its_user_only_and_invisible_to_git(path: Path) -> None:
    def check(file: Path) -> None:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file

    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("s1")])
        for file in path.parent.glob("vibe.db*"):
            check(file)

    with_store(path, body)
    check(path)
    assert "*" in (path.parent / ".gitignore").read_text().splitlines()


def test_git_ignores_what_vibe_writes_and_not_what_people_keep_there(path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git here")
    with_store(path, nothing)
    folder = path.parent
    for name in ("workflows/deep/review.py", "agents/critic.md", "runs/r.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    root = folder.parent
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    shown = subprocess.run(
        ["git", "status", "--porcelain", "-uall", ".vibe"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert sorted(shown) == ["?? .vibe/agents/critic.md", "?? .vibe/workflows/deep/review.py"]


def test_a_store_elsewhere_leaves_the_folder_around_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "project" / "data.db"
    path.parent.mkdir()
    with_store(path, nothing)
    assert [file.name for file in path.parent.iterdir()] == ["data.db"]


def test_an_own_gitignore_is_kept(path: Path) -> None:
    path.parent.mkdir(parents=True)
    (path.parent / ".gitignore").write_text("mine\n")
    with_store(path, nothing)
    assert (path.parent / ".gitignore").read_text() == "mine\n"


def test_a_link_that_came_with_a_repository_is_not_written_through(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    for name in (".gitignore", ".gitignore.new"):
        (path.parent / name).symlink_to(tmp_path / "target")
    with_store(path, nothing)
    assert not (tmp_path / "target").exists()
    assert [each.name for each in path.parent.iterdir() if each.name.endswith(".new")] == []


def test_a_store_keeps_its_id(path: Path) -> None:
    with_store(path, nothing, new_id=lambda: "first")
    with_store(path, nothing, new_id=lambda: "second")
    assert store_id(path) == "first"


def test_many_who_prepare_a_store_at_once_all_succeed_and_one_of_them_makes_it(tmp_path: Path) -> None:
    """Threads stand for processes: the locks are those of open files and of connections."""
    for round_ in range(10):
        path = tmp_path / str(round_) / ".vibe" / "vibe.db"
        named: list[int] = []
        start = threading.Barrier(8)

        def make(number: int, path: Path = path, named: list[int] = named, start: threading.Barrier = start) -> None:
            def name() -> str:
                named.append(number)
                return str(number)

            start.wait()
            prepare(path, origins_of(path), NewStore(created_at=1.0, id=name), busy_timeout_s=10)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(make, range(8)))
        assert [str(number) for number in named] == [store_id(path)]


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(StoreNotReady, match="empty"):
        open_reader(path)
    with_store(path, lambda store: store.commit([a_step("s1")]))


def test_the_writer_keeps_a_write_ahead_log_that_is_synced_at_every_commit(path: Path) -> None:
    async def body(store: SqliteStore) -> dict[str, object]:
        connection = store._writer._connection
        names = ("journal_mode", "synchronous", "trusted_schema")

        async def ask() -> dict[str, object]:
            rows = {name: list(await connection.execute_fetchall(f"PRAGMA {name}")) for name in names}
            return {name: row[0][0] for name, row in rows.items()}

        return await store._island.run(ask)

    assert with_store(path, body) == {"journal_mode": "wal", "synchronous": 2, "trusted_schema": 0}


# ---------------------------------------------------------------- schemas


def test_a_newer_schema_is_refused_by_number(path: Path) -> None:
    with_store(path, nothing)
    with sql(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    message = refusal(path)
    assert f"written by a newer vibe: schema 7, this one reads up to {migrate.latest_schema()}" in message
    assert "upgrade" in message


@pytest.fixture
def later_migrations(tmp_path: Path) -> Iterator[Later]:
    """For a block: a vibe of the future, which has more migrations."""

    @contextmanager
    def use(scripts: Mapping[int, str]) -> Iterator[None]:
        folder = tmp_path / "migrations"
        shutil.copytree(migrate._FOLDER, folder)
        for number, script in scripts.items():
            (folder / f"{number:04}.sql").write_text(script)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrate, "_FOLDER", folder)
            migrate.latest_schema.cache_clear()
            yield

    yield use
    migrate.latest_schema.cache_clear()


def test_missing_migrations_are_applied_in_order_and_data_is_kept(path: Path, later_migrations: Later) -> None:
    with_store(path, lambda store: store.commit([a_step("s1")]))
    last = migrate.latest_schema()
    scripts = {
        last + 1: "CREATE TABLE colors (name TEXT); -- one; comment\n",
        last + 2: "ALTER TABLE colors ADD COLUMN hue REAL;\nINSERT INTO colors VALUES ('a;b', 1);",
    }

    async def body(store: SqliteStore) -> None:
        assert [step.id for step in store.reader.pool(a_step("s1").key)] == ["s1"]

    with later_migrations(scripts):
        with pytest.raises(StoreNotReady, match=f"schema {last} is older"):
            open_reader(path)
        with_store(path, body)
    with sql(path) as connection:
        written = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchall()
        assert connection.execute("PRAGMA user_version").fetchall() == [(last + 2,)]
        assert written == [(str(last + 2),)]
        assert connection.execute("SELECT * FROM colors").fetchall() == [("a;b", 1.0)]


def test_a_migration_that_fails_leaves_the_old_schema(path: Path, later_migrations: Later) -> None:
    with_store(path, nothing)
    script = "CREATE TABLE colors (name TEXT);\nCREATE TABLE runs (again TEXT);\n"
    with later_migrations({migrate.latest_schema() + 1: script}):
        assert "already exists" in refusal(path)
    migrate.latest_schema.cache_clear()
    with_store(path, lambda store: store.commit([a_step("s1")]))
    with sql(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'colors'").fetchall() == []


# ---------------------------------------------------------------- what is no store


def test_a_missing_store_is_named_with_the_next_move(path: Path) -> None:
    with pytest.raises(StoreNotReady, match="run a workflow first"):
        open_reader(path)


def test_a_text_file_is_no_store_and_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("dear diary " * 1000)
    assert "not a vibe store" in refusal(path)
    assert path.read_text() == "dear diary " * 1000


def test_another_programs_database_is_refused_and_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sql(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    assert "another program's database" in refusal(path)
    assert path.read_bytes() == before


def test_a_folder_is_no_store(path: Path) -> None:
    path.mkdir(parents=True)
    assert "it is no file" in refusal(path)


def test_a_damaged_store_is_an_error_of_the_store(path: Path) -> None:
    with_store(path, lambda store: store.commit([a_step(f"s{number}") for number in range(300)]))
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))

    async def body(store: SqliteStore) -> None:
        await store.commit([a_step("s1")])

    with pytest.raises(StoreError, match="damaged"):
        with_store(path, body)


def test_a_row_that_makes_no_sense_is_an_error_of_the_store(path: Path) -> None:
    with_store(path, lambda store: store.commit([a_step("s1")]))
    with sql(path) as connection:
        connection.execute("UPDATE steps SET kind = 'spell'")
    reader = open_reader(path)
    with pytest.raises(StoreError, match="spell"):
        reader.steps_of_run(a_step("s1").run_id)
    reader.close()


# ---------------------------------------------------------------- permissions


def test_a_folder_that_cannot_be_written_is_named(unprivileged: Path) -> None:
    (unprivileged / ".vibe").chmod(0o555)
    path = unprivileged / ".vibe" / "vibe.db"
    with pytest.raises(StoreError, match=r"Permission denied.*check the permissions"):
        with_store(path, nothing)
    (unprivileged / ".vibe").rmdir()
    unprivileged.chmod(0o555)
    with pytest.raises(StoreError, match=r"Permission denied.*check the permissions"):
        with_store(path, nothing)


@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_a_store_that_cannot_be_written_can_still_be_read(unprivileged: Path, mode: int) -> None:
    path = unprivileged / ".vibe" / "vibe.db"
    with_store(path, lambda store: store.commit([a_step("s1")]))
    path.chmod(0o400)
    path.parent.chmod(mode)
    with pytest.raises(StoreError, match=r"cannot be (written|opened); check the permissions"):
        with_store(path, nothing)
    reader = open_reader(path)
    assert [step.id for step in reader.steps_of_run(a_step("s1").run_id)] == ["s1"]
    reader.close()


# ---------------------------------------------------------------- other


def test_reading_needs_neither_trio_nor_asyncio() -> None:
    code = "import sys, vibe_workflows.engine.store.reader; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"trio", "asyncio", "aiosqlite"} & set(run.stdout.split())


def test_a_relative_path_means_the_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with opened(Path("project/.vibe/vibe.db")) as store:
            await store.commit([a_step("s1")])

    in_trio(main)
    assert (tmp_path / "project" / ".vibe" / "vibe.db").exists()
