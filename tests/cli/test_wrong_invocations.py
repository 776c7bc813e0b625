"""Wrong invocations: each says what is wrong, where, and what to do, with the exit code that is documented."""

from __future__ import annotations

import pytest

from tests.support.command import Command, CommandHere
from vibe_workflows.cli import workflow_files

_WRONG = [
    ("run", 2, "name a workflow: vibe run FILE"),
    ("run nope.py", 2, "nope.py: no such file"),
    ("run notes.txt", 2, "a workflow is a Python file; rename it to `notes.txt.py`"),
    ("run folder", 2, "a folder; name a workflow file in it"),
    ("run latin.py", 2, "latin.py:2: not UTF-8 text; save the file as UTF-8"),
    ("run broken.py", 2, "broken.py:2:"),
    ("run refused.py", 2, "refused.py:1:"),
    ("nope", 2, "no workflow is named `nope`"),
    ("rnu flow.py", 2, "no command and no workflow is named `rnu`; did you mean `vibe run`?"),
    ("run --path src flow.py", 2, "name the workflow before it"),
    ("run flow.py other.py", 2, "cannot make sense of 'other.py'"),
    ("run flow.py --topic", 2, "argument `topic`: a value is needed; give --topic VALUE"),
    ("run flow.py --no-topic", 2, "no argument `no-topic`; did you mean `topic`?"),
    ("run flow.py --no-loud=yes", 2, "--no-loud takes no value; to switch `loud` on, give --loud"),
    ("run flow.py --loud --no-loud", 2, "argument `loud` is given twice, as no-loud, too; keep one"),
    ("run flow.py --loud max_items:=[", 2, "max_items:=[ is no JSON"),
    ("run flow.py --topik x", 2, "no argument `topik`; did you mean `topic`?"),
    ("run flow.py --max-items many", 2, "argument `max_items`: a whole number is needed, not `many`"),
    ("run flow.py loud=perhaps", 2, "argument `loud`: true or false is needed"),
    ("run flow.py n:=[1", 2, "n:=[1 is no JSON"),
    ("run flow.py --args [1]", 2, "--args: a JSON object is needed"),
    ("run flow.py --args @none.json", 2, "--args @none.json: cannot be read"),
    ("run flow.py --json --events", 2, "--json and --events exclude each other"),
    ("run flow.py --budget lots", 2, "--budget"),
    ("run flow.py --max-usd much", 2, "--max-usd"),
    ("run flow.py --concurrency 0", 2, "--concurrency"),
    ("run flow.py --allow fly", 2, "`fly` is no grant"),
    ("run flow.py --allow write:src", 2, "`write` has no parts"),
    ("run flow.py --sandbox-accept best", 2, "--sandbox-accept"),
    ("run flow.py -o none/result.json", 2, "-o none/result.json: there is no folder none; make it first"),
    ("run flow.py -o folder", 2, "-o folder: this is a folder; name a file in it"),
    ("run flow.py --dry-run --events", 2, "a dry run has no events to print"),
    ("run broken.py --dry-run", 2, "broken.py:2"),
    ("run flow.py --refresh=", 2, "--refresh: name a label, a phase or a step"),
    ("run flow.py -x", 2, "there is no option -x"),
    ("run flow.py --db", 2, "Option '--db' requires an argument"),
    ("--frobnicate", 2, "No such option"),
    ("show", 2, "Missing argument 'FILE|NAME'"),
    ("show nope", 2, "no workflow is named `nope`"),
    ("validate", 2, "name the files to check"),
    ("runs --limit 0", 2, "0 is not in the range"),
    ("runs", 2, "no run of this project is stored yet; `vibe run` makes one"),
    ("trace", 2, "no run of this project is stored yet"),
    ("trace --step one", 2, "'one' is not a valid integer"),
    ("resume", 2, "no run of this project is stored yet"),
]


@pytest.fixture
def wrong(here: CommandHere) -> CommandHere:
    here.command.write("broken.py", "x = 1\nif x\n")
    here.command.write("refused.py", "import os\nreturn os.getcwd()\n")
    here.command.write("notes.txt", "no workflow")
    (here.project / "latin.py").write_bytes(b"x = 1\n# caf\xe9\n")
    (here.project / "folder").mkdir()
    return here


@pytest.mark.parametrize(("line", "code", "message"), _WRONG, ids=[line for line, _, _ in _WRONG])
def test_a_wrong_invocation_says_what_to_do(line: str, code: int, message: str, wrong: CommandHere) -> None:
    done = wrong(*line.split())
    assert done.returncode == code
    assert done.stdout == ""
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_usage_error_shows_the_usage_and_where_help_is(here: CommandHere) -> None:
    done = here("run", "flow.py", "-x")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: there is no option -x")
    assert lines[1].startswith("Usage: vibe run")
    assert lines[-1] == "Try `vibe run --help`."


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
