"""`vibe trace --step` tells of the files, tools and grants of a step, from a real run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.command import Command, CommandHere
from tests.support.sample_files import PDF, PNG
from vibe_workflows.engine.keys import content_digest

FLOW = '''"""Looks at files."""
await agent("Compare these.", files=["shot.png", "docs/plan", "notes.md"], tools=["read_file", "grep"])
await tool("read_file", path="notes.md")
await agent("Think.")
'''
NOTES = b"first\nsecond\n" * 1_000


@pytest.fixture
def here(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandHere:
    command = Command(tmp_path)
    command.write("flow.py", FLOW)
    command.write("docs/plan", "")
    (command.project / "docs/plan").write_bytes(PDF)
    (command.project / "shot.png").write_bytes(PNG)
    (command.project / "notes.md").write_bytes(NOTES)
    return CommandHere(command, monkeypatch, capfd)


def test_a_step_s_files_are_told_with_kind_and_size(here: CommandHere) -> None:
    assert here("run", "flow.py", "-q").returncode == 0
    text = here("trace", "--step", "1").stdout
    assert (
        f"files\nshot.png (image/png, {len(PNG)} bytes)\ndocs/plan (application/pdf, {len(PDF)} bytes)\n"
        "notes.md (text/plain, 13.0 kB)\n"
    ) in text
    assert "second" not in text, "what is in them is not"
    document = json.loads(here("trace", "--step", "1", "--json").stdout)
    assert document["files"] == [
        {"path": path, "media_type": kind, "size": len(contents), "digest": content_digest(contents)}
        for path, kind, contents in (
            ("shot.png", "image/png", PNG),
            ("docs/plan", "application/pdf", PDF),
            ("notes.md", "text/plain", NOTES),
        )
    ]
    assert "\nfiles\n" not in here("trace", "--step", "3").stdout


def test_a_step_from_the_store_tells_of_the_same_files(here: CommandHere) -> None:
    here("run", "flow.py", "-q")
    first = json.loads(here("trace", "--step", "1", "--json").stdout)
    here("run", "flow.py", "-q")
    second = json.loads(here("trace", "--step", "1", "--json").stdout)
    assert (first["stored"], second["stored"]) == (False, True)
    assert second["files"] == first["files"]


def test_a_step_that_never_had_a_turn_tells_of_its_files_by_name(here: CommandHere) -> None:
    here.command.write("flow.py", 'return await agent("x", files=["notes.md"], schema={"type": 5})\n')
    assert here("run", "flow.py", "-q").returncode == 2
    assert "files\nnotes.md\n" in here("trace", "--step", "1").stdout
    (file,) = json.loads(here("trace", "--step", "1", "--json").stdout)["files"]
    assert file == {"path": "notes.md", "media_type": None, "size": None, "digest": None}


def test_every_grant_that_a_step_had_is_told_with_its_tools(here: CommandHere) -> None:
    here("run", "flow.py", "-q")
    assert "tools: read_file, grep; grants: read\n" in here("trace", "--step", "1").stdout
    assert "tools: read_file; grants: read\n" in here("trace", "--step", "2").stdout
    assert "grants" not in here("trace", "--step", "3").stdout
    told = [json.loads(here("trace", "--step", str(number), "--json").stdout) for number in (1, 2, 3)]
    assert [(step["tools"], step["grants"]) for step in told] == [
        (["read_file", "grep"], ["read"]),
        (["read_file"], ["read"]),
        ([], []),
    ]


def test_the_offline_answer_depends_on_what_is_in_the_files(here: CommandHere) -> None:
    source = 'return await agent("What is in it?", files=["notes.md"])\n'
    here.command.write("flow.py", source)
    first = here("run", "flow.py", "-q").stdout
    assert first.startswith("[offline]")
    assert here("run", "flow.py", "-q", "--fresh").stdout == first
    here.command.write("notes.md", "something else")
    assert here("run", "flow.py", "-q").stdout != first


def test_a_context_is_shown_as_it_was_sent_and_not_as_its_digest(here: CommandHere) -> None:
    here.command.write("flow.py", 'return await agent("Go on.", context="All of it.\\nTwice.")\n')
    assert here("run", "flow.py", "-q").returncode == 0
    assert "context\nAll of it.\nTwice.\n\nprompt\nGo on.\n" in here("trace", "--step", "1").stdout
