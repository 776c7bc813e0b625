"""vibe run --dry-run: what it prints, and where."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from tests.support.command import Command, CommandHere


@pytest.fixture
def ran(here: CommandHere) -> CommandHere:
    """Both items were asked about; what was merged is known."""
    assert here("run", "flow.py").returncode == 0
    return here


def test_the_table_goes_to_stdout_and_what_the_script_logs_to_stderr(ran: CommandHere) -> None:
    done = ran("run", "flow.py", "--dry-run", "--refresh", "merge")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "From the store"
    assert [line.split()[:4] for line in lines[2:4]] == [["=", "1", "ask:0", "Ask"], ["=", "2", "ask:1", "Ask"]]
    assert lines[5] == "Live now"
    assert lines[7].split()[:5] == ["▸", "3", "merge", "Merge", "offline"]
    assert lines[7].endswith("refreshed as asked")
    assert lines[9].startswith("3 steps so far: 2 from the store (oldest ")
    assert "1 live, about " in lines[9]
    assert "cannot be known before" in lines[10]
    assert "  asked n=2" in done.stderr.splitlines()
    assert "run " not in done.stderr


def test_what_the_store_answers_to_the_end_is_said_to_cost_nothing(ran: CommandHere) -> None:
    assert "it would ask no model, and cost nothing." in ran("run", "flow.py", "--dry-run").stdout
    runs = json.loads(ran("runs", "--json").stdout)
    assert len(runs) == 1


def test_a_workflow_by_its_name_can_be_looked_at_first(here: CommandHere) -> None:
    here.command.write("workflows/ask.py", (here.project / "flow.py").read_text())
    done = here("ask", "--topic", "tea", "--dry-run", "--json")
    assert done.returncode == 0
    assert [each["label"] for each in json.loads(done.stdout)["live"]] == ["ask:0", "ask:1"]
    assert not (here.project / ".vibe").exists()


def test_json_is_one_document(ran: CommandHere) -> None:
    document = json.loads(ran("run", "flow.py", "--dry-run", "--json", "--refresh", "ask:1", "-q").stdout)
    assert document["dry_run"] is True
    assert document["outcome"] is None
    assert [each["label"] for each in document["stored"]] == ["ask:0"]
    (live,) = document["live"]
    assert live["reason"] == "live: refreshed as asked"
    assert live["estimate"]["from_steps"] == 1
    assert {**live["estimate"], "from_steps": 0} == {**document["estimate"], "from_steps": 0}
    assert document["offline"] is True


def test_a_file_takes_what_would_go_to_stdout(ran: CommandHere) -> None:
    done = ran("run", "flow.py", "--dry-run", "--json", "-o", "plan.json")
    assert done.stdout == ""
    assert json.loads((ran.project / "plan.json").read_text())["outcome"] == "completed"


def test_the_end_of_a_script_that_fails_is_told_and_is_no_failure_of_the_look(here: CommandHere) -> None:
    here.command.write("flow.py", "return {}['x']")
    done = here("run", "flow.py", "--dry-run")
    assert done.returncode == 0
    assert "The run would end with an error: flow.py:1: KeyError" in done.stdout


def test_ctrl_c_ends_it_with_what_is_known_so_far(vibe: Command) -> None:
    vibe.write("flow.py", 'log("spinning")\nawait tool("read_file", path="vibe.yaml")\nwhile True:\n    pass\n')
    with subprocess.Popen(
        vibe.argv("run", "flow.py", "--dry-run"),
        cwd=vibe.project,
        env=vibe.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        seen = b""
        while b"spinning" not in seen:
            seen += os.read(process.stderr.fileno(), 4_096) or pytest.fail(seen.decode())
        process.send_signal(signal.SIGINT)
        out, _err = process.communicate(timeout=30)
        assert process.returncode == 130
    assert "It was stopped before all was known that can be." in out.decode()
    assert not (vibe.project / ".vibe").exists()


def test_a_grant_that_a_run_needs_is_told(here: CommandHere) -> None:
    here.command.write("flow.py", 'meta = {"permissions": ["write"]}\nreturn 1')
    done = here("run", "flow.py", "--dry-run")
    assert done.returncode == 0
    assert "a run of it needs --allow write" in done.stderr


def test_of_a_model_without_a_key_the_steps_are_shown_and_no_price(here: CommandHere) -> None:
    done = here("run", "flow.py", "--dry-run", "--model", "openai/gpt-5")
    assert done.returncode == 0
    assert "price unknown" in done.stdout
    assert done.stderr.count("the price is not known: openai/gpt-5: openai needs a key") == 1
