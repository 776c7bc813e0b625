"""Bad input gets a clear error and an exit code, and loses nothing. The messages as a whole are in tests/messages."""

from __future__ import annotations

import json
import os
import sqlite3

from tests.e2e.conftest import Machine
from tests.support.behaviours import Raw
from tests.support.model_server import ModelServer

GOOD = 'async def main(args):\n    return await agent("hello")\n'


def test_a_provider_that_answers_garbage_fails_the_step_with_its_kind(
    online: Machine, model_server: ModelServer
) -> None:
    model_server.handler = lambda _request: Raw(body="<html>gateway</html>")
    online.write(
        "g.py",
        "async def main(args):\n"
        "    try:\n"
        '        return await agent("hello", retries=1)\n'
        "    except ProviderError as error:\n"
        "        return [error.kind, error.message]\n",
    )
    ran = online.vibe("run", "g.py", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["result"][0] == "provider_error"
    assert len(model_server.requests) == 2  # one retry


def test_a_store_where_no_folder_can_be_made_is_a_store_error(machine: Machine) -> None:
    machine.write("g.py", GOOD)
    machine.write("taken", "a file")
    ran = machine.vibe("run", "g.py", "--db", "taken/vibe.db")
    assert ran.code == 74, ran.err
    assert "taken" in ran.err


def test_a_corrupt_store_is_a_store_error_and_stays_as_it_is(machine: Machine) -> None:
    machine.write("g.py", GOOD)
    store = machine.write(".vibe/vibe.db", "this is no database, and long enough to look like one" * 100)
    before = store.read_bytes()
    ran = machine.vibe("run", "g.py")
    assert ran.code == 74, ran.err
    assert "vibe.db" in ran.err
    assert store.read_bytes() == before


def test_a_newer_store_is_refused_by_name(machine: Machine) -> None:
    machine.write("g.py", GOOD)
    assert machine.vibe("run", "g.py").code == 0
    connection = sqlite3.connect(machine.project / ".vibe/vibe.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    ran = machine.vibe("run", "g.py")
    assert ran.code == 74, ran.err
    assert "99" in ran.err


def test_what_a_project_may_not_set_is_ignored_with_a_warning(machine: Machine) -> None:
    machine.write("g.py", GOOD)
    machine.write("vibe.yaml", "api_base: http://stranger.example/v1\nallow: [write]\n")
    ran = machine.vibe("run", "g.py")
    assert ran.code == 0, ran.err
    assert "api_base" in ran.err
    assert "vibe trust" in ran.err


def test_a_store_of_unknown_origin_answers_nothing_until_it_is_trusted(machine: Machine) -> None:
    machine.write("g.py", GOOD)
    assert machine.vibe("run", "g.py").code == 0
    stranger = {"HOME": str(machine.project.parent / "other")}
    os.mkdir(stranger["HOME"])
    ran = machine.vibe("run", "g.py", "--json", **stranger)
    assert ran.code == 0, ran.err
    assert ran.document["cached"] == 0
    assert "vibe trust" in ran.err
    assert machine.vibe("trust", "--yes", **stranger).code == 0
    trusted = machine.vibe("run", "g.py", "--json", **stranger)
    assert trusted.document["cached"] == 1, trusted.err


def test_standard_input_is_a_workflow_too(machine: Machine) -> None:
    ran = machine.vibe("run", "-", stdin='async def main(args):\n    return {"a": [1, 2]}\n')
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == {"a": [1, 2]}
