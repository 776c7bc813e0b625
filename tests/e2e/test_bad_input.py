"""Bad input gets a clear error and an exit code, and loses nothing."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from tests.e2e.conftest import Machine
from tests.support.behaviours import Raw
from tests.support.model_server import ModelServer

GOOD = 'async def main(args):\n    return await agent("hello")\n'
WITH_ARGS = (
    'meta = {"args": {"type": "object", "properties": {"path": {"type": "string"}, "count": {"type": "integer", '
    '"minimum": 1}}, "required": ["path"]}}\n' + GOOD
)

#: name, files, command line, exit code, what the message must say
CASES: list[tuple[str, dict[str, str], list[str], int, list[str]]] = [
    ("a missing file", {"good.py": GOOD}, ["run", "god.py"], 2, ["god.py", "no such file", "good.py"]),
    ("a missing name", {}, ["run", "multi-reviev"], 2, ["multi-reviev", "did you mean `multi-review`"]),
    ("no Python file", {"notes.txt": "hello"}, ["run", "./notes.txt"], 2, ["notes.txt", "Python file"]),
    ("not a workflow", {"lib.py": "import os\nprint(os.name)\n"}, ["run", "lib.py"], 2, ["lib.py:1:", "os"]),
    ("a syntax error", {"bad.py": "async def main(args):\n    return (1\n"}, ["run", "bad.py"], 2, ["bad.py:2:"]),
    ("a refused construct", {"c.py": "class A:\n    pass\n" + GOOD}, ["run", "c.py"], 2, ["c.py:1:1", "class", "dict"]),
    (
        "an unknown argument of a primitive",
        {"p.py": 'async def main(args):\n    return await agent("x", temprature=1)\n'},
        ["run", "p.py"],
        2,
        ["p.py:2", "temprature", "temperature"],
    ),
    ("a missing argument", {"w.py": WITH_ARGS}, ["run", "w.py"], 2, ["path", "--path"]),
    (
        "an argument that does not fit",
        {"w.py": WITH_ARGS},
        ["run", "w.py", "--path", "x", "--count", "0"],
        2,
        ["count", "0"],
    ),
    (
        "an argument of another type",
        {"w.py": WITH_ARGS},
        ["run", "w.py", "--path", "x", "count=many"],
        2,
        ["count", "whole"],
    ),
    ("an unknown argument", {"w.py": WITH_ARGS}, ["run", "w.py", "--path", "x", "--cuont", "1"], 2, ["cuont", "count"]),
    ("a misspelt option", {"g.py": GOOD}, ["run", "g.py", "--frsh"], 2, ["--frsh", "did you mean --fresh?"]),
    (
        "a misspelt option beside arguments",
        {"w.py": WITH_ARGS},
        ["run", "w.py", "--path", "x", "--frsh"],
        2,
        ["--frsh", "did you mean --fresh?"],
    ),
    (
        "an unknown model",
        {"g.py": GOOD},
        ["run", "g.py", "--model", "nobody/has-this"],
        2,
        ["g.py:2", "nobody/has-this"],
    ),
    ("a model without a key", {"g.py": GOOD}, ["run", "g.py", "--model", "openai/gpt-4o-mini"], 2, ["OPENAI_API_KEY"]),
    ("no model where one is required", {"g.py": GOOD}, ["run", "g.py", "--require-model"], 2, ["g.py:2", "--model"]),
    (
        "a grant that is missing",
        {"p.py": 'meta = {"permissions": ["write"]}\n' + GOOD},
        ["run", "p.py"],
        6,
        ["write", "--allow write"],
    ),
    ("a wrong budget", {"g.py": GOOD}, ["run", "g.py", "--budget", "lots"], 2, ["budget", "200k"]),
    (
        "an error of the script",
        {"e.py": "async def main(args):\n    return 1 / 0\n"},
        ["run", "e.py"],
        1,
        ["e.py:2", "Zero"],
    ),
    (
        "an endless loop",
        {"l.py": "async def main(args):\n    while True:\n        pass\n"},
        ["run", "l.py"],
        4,
        ["l.py", "CPU"],
    ),
    ("metadata that is no literal", {"m.py": "meta = dict(a=1)\n" + GOOD}, ["run", "m.py"], 2, ["m.py:1:", "literal"]),
]


@pytest.mark.parametrize(("name", "files", "command", "code", "said"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_is_told_with_what_where_and_the_next_move(
    machine: Machine, name: str, files: dict[str, str], command: list[str], code: int, said: list[str]
) -> None:
    for path, text in files.items():
        machine.write(path, text)
    if name == "an endless loop":
        (machine.project.parent / "home/.config/vibe").mkdir(parents=True)
        (machine.project.parent / "home/.config/vibe/config.yaml").write_text("sandbox: {cpu_s: 1}\n")
    ran = machine.vibe(*command)
    assert ran.code == code, ran.err
    assert ran.out == ""
    for fragment in said:
        assert fragment in ran.err


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
