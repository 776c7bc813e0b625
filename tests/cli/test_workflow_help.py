"""vibe NAME --help."""

from __future__ import annotations

import pytest

from tests.support.command import CommandHere

_RESEARCH = '''"""Researches a question from several angles."""
meta = {
    "when_to_use": "For questions whose answers are in several places.",
    "phases": ["Angles", "Report"],
    "permissions": ["web", "command:git log"],
    "budget": {"usd": 2},
    "model": "big",
    "args": {"type": "object", "required": ["question"], "properties": {
        "question": {"type": "string", "description": "what to find out"},
        "deep": {"type": "boolean", "default": False},
        "style": {"enum": ["short", "long"], "default": "short"},
        "hosts": {"type": "array", "items": {"type": "string"}, "default": ["a.org", "b.org"]},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        "model": {"type": "string"},
        "limits": {"type": "object", "properties": {"pages": {}, "seconds": {}}, "description": "of the search"},
    }},
}
return 1
'''

_HELP = """\
  Researches a question from several angles.
  For questions whose answers are in several places.

Phases:
  Angles, Report

Example:
  vibe research "QUESTION"

Arguments:
  --question TEXT     what to find out (required)
  --deep / --no-deep  (default: false)
  --style short|long  (default: short)
  --hosts A,B,...     (default: a.org,b.org)
  --tags A,B,...      (default: [])
  model=TEXT          -
  limits:=JSON        of the search (JSON with pages, seconds; here or in
                      --args)

Workflow:
  asks for  web, command:git log; grant it with --allow 'web,command:git log'
"""


def test_help_shows_what_a_workflow_does_takes_and_asks_for(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    here.command.write("workflows/research.py", _RESEARCH)
    shown = here("research", "--help").stdout
    assert _HELP in shown
    assert "  budget    $2.00\n  model     big\n" in shown
    assert max(len(line) for line in shown.splitlines() if "/research.py" not in line) < 80


def test_help_of_a_workflow_with_nothing_required_shows_a_command_that_runs(here: CommandHere) -> None:
    shown = here("run", "flow.py", "--help").stdout
    assert "Example:\n  vibe run flow.py --topic tea\n" in shown
    assert "asks for  no permission\n" in shown


def test_help_of_a_broken_workflow_says_where(here: CommandHere) -> None:
    here.command.write("workflows/bad.py", "x = 1\nif x\n")
    assert "It cannot run:\n  bad.py:2:" in here("bad", "--help").stdout


def test_what_every_run_has_is_not_to_be_granted(here: CommandHere) -> None:
    here.command.write("workflows/reads.py", '"""Reads."""\nmeta = {"permissions": ["read"]}\nreturn 1\n')
    here.command.write("workflows/writes.py", '"""Writes."""\nmeta = {"permissions": ["read", "write"]}\nreturn 1\n')
    assert "asks for  read, as every run has it\n" in here("reads", "--help").stdout
    assert "asks for  read, write; grant it with --allow write\n" in here("writes", "--help").stdout
