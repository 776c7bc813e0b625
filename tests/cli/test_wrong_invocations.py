"""Wrong invocations beside those whose whole messages are in tests/messages: streams, bugs, interruptions."""

from __future__ import annotations

import pytest

from tests.support.command import Command, CommandHere
from vibe_workflows.cli import workflow_files


@pytest.mark.parametrize("line", ["run", "run nope.py", "nope", "run flow.py --topik x", "trace", "validate -x"])
def test_a_wrong_invocation_leaves_stdout_empty(line: str, here: CommandHere) -> None:
    done = here(*line.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")


def test_a_bug_asks_for_a_report_and_shows_its_traceback_only_when_asked(
    here: CommandHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_settings: object) -> None:
        raise LookupError("nobody saw this coming")

    monkeypatch.setattr(workflow_files, "list_workflows", broken)
    done = here("list")
    assert done.returncode == 70
    assert done.stderr.startswith("internal error: LookupError: nobody saw this coming (test_wrong_invocations.py:")
    assert "Please report it" in done.stderr
    assert "Traceback" not in done.stderr
    monkeypatch.setenv("VIBE_DEBUG", "1")
    again = here("list")
    assert again.returncode == 70
    assert "Traceback" in again.stderr


def test_ctrl_c_before_a_run_exists_is_no_bug(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow_files, "list_workflows", interrupted)
    done = here("list")
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted"


def test_standard_input_that_is_no_text_is_named(vibe: Command) -> None:
    done = vibe("run", "-", stdin=b"caf\xe9")
    assert done.returncode == 2
    assert "standard input is not UTF-8 text (byte 3); the workflow must be" in done.stderr


def test_standard_input_cannot_be_both_workflow_and_arguments(vibe: Command) -> None:
    done = vibe("run", "-", "--args", "@-", stdin=b"return 1")
    assert done.returncode == 2
    assert "standard input holds the workflow already" in done.stderr
