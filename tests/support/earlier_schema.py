"""A store as an earlier vibe wrote it: the frozen SQL of its schema, with the rows of a store of today."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from vibe_workflows.engine.store.migrate import APPLICATION_ID

MIGRATIONS = Path(__file__).resolve().parents[2] / "engine" / "store" / "migrations"

#: Columns of tool calls that earlier schemas had: what each call saw.
_OF_LOOKS = {
    **{f"observed_{column}": column for column in ("tool", "arguments", "digest")},
    **{column: column for column in ("epoch", "changed", "before", "after")},
}


def write_back(store: Path, schema: int) -> dict[str, int]:
    """Put a store of an earlier schema in the place of `store`; gives how many rows each of its tables has."""
    earlier = store.with_name("earlier.db")
    rows: dict[str, int] = {}
    with closing(_made(earlier, schema)) as connection:
        connection.execute("ATTACH ? AS today", (str(store),))
        for table, columns in columns_of_schema(schema).items():
            names = ", ".join(columns)
            values = ", ".join(value_today(table, column) for column in columns)
            copied = connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {values} FROM today.{table}")
            rows[table] = copied.rowcount
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(schema),))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema}")
        connection.commit()
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    earlier.replace(store)
    return rows


def value_today(table: str, column: str) -> str:
    """SQL for what a column of an earlier schema holds, in a store of today."""
    if table != "tool_calls" or column not in _OF_LOOKS:
        return column
    call = " AND ".join(f"looks.{name} = tool_calls.{name}" for name in ("step_id", "turn", "number"))
    value = f"(SELECT {_OF_LOOKS[column]} FROM looks WHERE {call} AND position = 1)"
    return f"coalesce({value}, 0)" if column == "epoch" else value


def columns_of_schema(schema: int) -> dict[str, list[str]]:
    """The columns of each table, without those that SQLite computes."""
    with closing(_made(":memory:", schema)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            table: [name for _, name, *_, hidden in connection.execute(f"PRAGMA table_xinfo({table})") if not hidden]
            for (table,) in tables
        }


def shape_of_schema(schema: int) -> set[tuple[str, ...]]:
    with closing(_made(":memory:", schema)) as connection:
        return shape_of(connection)


def shape_of(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    """All tables and indexes of a database, each with its columns."""
    found = connection.execute("SELECT type, name FROM sqlite_schema").fetchall()
    return {
        (name, *(str(column[1 if kind == "table" else 2]) for column in connection.execute(f"PRAGMA {pragma}({name})")))
        for kind, name in found
        for pragma in ["table_xinfo" if kind == "table" else "index_info"]
    }


def _made(path: Path | str, schema: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    for number in range(1, schema + 1):
        connection.executescript((MIGRATIONS / f"{number:04}.sql").read_text())
    return connection
