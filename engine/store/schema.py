"""Is the schema of an open database the one that this vibe makes? A strange one may hold triggers and views."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from .migrate import migrate

_Objects: TypeAlias = Mapping[tuple[str, str], str]  # (type, name): SQL without its white space


def schema_problem(connection: sqlite3.Connection) -> str | None:
    """How the schema differs from that of a store of the latest schema, in words. Raises sqlite3.Error."""
    found, expected = _objects(connection), _expected()
    if found == expected:
        return None
    strange = [f"{kind} {name}" for kind, name in found if (kind, name) not in expected]
    missing = [f"{kind} {name}" for kind, name in expected if (kind, name) not in found]
    other = [
        f"{kind} {name}" for kind, name in found if expected.get((kind, name), found[kind, name]) != found[kind, name]
    ]
    parts = [
        f"{what}: {', '.join(sorted(names)[:5])}"
        for what, names in (("holds what no vibe made", strange), ("lacks", missing), ("changed", other))
        if names
    ]
    return f"its schema is not that of a vibe store ({'; '.join(parts)})"


@functools.cache
def _expected() -> _Objects:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for _number in migrate(connection, Path(":memory:")):
            pass
        return _objects(connection)
    finally:
        connection.close()


def _objects(connection: sqlite3.Connection) -> _Objects:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return {(kind, name): "".join((sql or "").split()) for kind, name, sql in rows.fetchall()}
