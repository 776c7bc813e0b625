"""A repository that ships a store with an edit in it that was begun and not made: a run must not make it."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.field_project import FieldProject
from tests.support.obedient_model import obey
from vibe_workflows.engine.keys import content_digest

FLOW = 'async def main(args):\n    return await agent("Look: read f.txt", tools=["read"])\n'
OLD, OWNED = b"begin end\n", b"owned\n"


@pytest.mark.parametrize("trusted", [False, True])
def test_an_edit_in_a_store_of_unknown_origin_is_never_made(project: FieldProject, trusted: bool) -> None:
    project.model.handler = obey
    project.write("f.txt", OLD.decode())
    project.write("flow.py", FLOW)
    first = project.run("flow.py")
    _begin_an_edit(project.folder / ".vibe/vibe.db", first.document["run"])
    if not trusted:
        (Path(project.environ["HOME"]) / ".local/state/vibe/stores.json").unlink()
    project.run("flow.py", "--allow", "write")
    # With the guard off, here by trust, it is made: it looks like one that a killed run of this person left behind.
    assert project.read("f.txt") == (OWNED if trusted else OLD).decode()


def _begin_an_edit(store: Path, run: str) -> None:
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        for data in (OLD, OWNED):
            connection.execute(
                "INSERT INTO blobs (digest, size, data) VALUES (?, ?, ?)",
                (bytes.fromhex(content_digest(data)), len(data), zlib.compress(data)),
            )
        before, after = (bytes.fromhex(content_digest(data)) for data in (OLD, OWNED))
        connection.execute(
            "INSERT INTO changes VALUES (1, 'f.txt', ?, ?, ?, ?, 0)",
            (before, after, f"{run}-1", run),
        )
