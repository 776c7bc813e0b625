"""What refers to what in a store: rows to rows, and columns to blobs.

A step's `run_id` only says who did the work: `vibe cache gc` may have taken that run. So does a run's `parent`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from msgspec import Struct


class Reference(Struct, frozen=True):
    """`table.column` holds a value of `target.target_column`, or NULL."""

    table: str
    column: str
    target: str
    target_column: str = "id"

    @property
    def dangling(self) -> str:
        """SQL that counts the rows whose target is not there."""
        return (
            f"SELECT count(*) FROM {self.table} AS referring WHERE referring.{self.column} IS NOT NULL "  # noqa: S608
            f"AND NOT EXISTS (SELECT 1 FROM {self.target} AS target "
            f"WHERE target.{self.target_column} = referring.{self.column})"
        )


REFERENCES = (
    Reference("runs", "source_digest", "sources", "digest"),
    Reference("deliveries", "run_id", "runs"),
    Reference("deliveries", "step_id", "steps"),
    Reference("events", "run_id", "runs"),
    Reference("steps", "predecessor", "steps"),
    Reference("steps", "attempt_after", "steps"),
    Reference("observations", "step_id", "steps"),
    Reference("attempts", "step_id", "steps"),
    Reference("turns", "step_id", "steps"),
    Reference("tool_calls", "step_id", "steps"),
    Reference("looks", "step_id", "steps"),
    Reference("changes", "step_id", "steps"),
)

#: The tables that hold texts or contents of files, with the column that says whose they are.
OWNERS: Mapping[str, str] = {
    "runs": "id",
    "deliveries": "run_id",
    "events": "run_id",
    "sources": "digest",
    "steps": "id",
    "observations": "step_id",
    "attempts": "step_id",
    "turns": "step_id",
    "tool_calls": "step_id",
    "looks": "step_id",
    "changes": "step_id",
}

#: The tables whose rows are parts of a step, and end with it. Where an entry of a chain is missing, a hand seems to
#: have edited the file.
PARTS_OF_STEPS = ("observations", "attempts", "tool_calls", "looks", "turns", "changes")


def text_columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """The columns that hold a text or the digest of a blob: those of type ANY."""
    columns = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE type = 'ANY'", (table,))
    return tuple(name for (name,) in columns.fetchall())


def blobs_referred_to(connection: sqlite3.Connection) -> str:
    """SQL that gives the digest of each blob that a row refers to."""
    return " UNION ".join(
        f"SELECT {column} FROM {table} WHERE typeof({column}) = 'blob'"  # noqa: S608
        for table in OWNERS
        for column in text_columns(connection, table)
    )
