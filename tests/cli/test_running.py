"""vibe run: what goes to stdout, to stderr, to a file, and as which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from tests.support.command import Command, CommandHere
from vibe_workflows.sandbox import launcher
from vibe_workflows.sandbox.forker import Child, Forker
from vibe_workflows.sandbox.launcher import Zygote, start_zygote

DOCUMENT = ["run", "status", "result", "error", "failures", "failed_steps"]
DOCUMENT += ["edited", "collisions", "usage", "paid", "cached", "offline"]
SPIN = '"""Never ends by itself."""\nlog("spinning")\nwhile True:\n    pass\n'


@pytest.mark.parametrize(
    ("body", "stdout"),
    [
        ('return "plain text"', "plain text\n"),
        ('return "two\\nlines\\n"', "two\nlines\n"),
        ("return None", ""),
        ("log('no return')", ""),
        ('return {"b": [1, 2.50], "a": "ü"}', '{\n  "b": [\n    1,\n    2.5\n  ],\n  "a": "ü"\n}\n'),
        ("return []", "[]\n"),
        ("return False", "false\n"),
        ('return ""', "\n"),
    ],
)
def test_text_is_printed_raw_json_indented_and_none_not_at_all(body: str, stdout: str, here: CommandHere) -> None:
    here.command.write("flow.py", body)
    done = here("run", "flow.py")
    assert done.returncode == 0
    assert done.stdout == stdout


@pytest.mark.parametrize("options", [(), ("--json",), ("--events",)])
def test_no_control_character_of_a_script_reaches_stdout_in_json(options: tuple[str, ...], here: CommandHere) -> None:
    here.command.write("flow.py", 'log("\\x9b2J")\nreturn {"a\\x1b[2J": ["\\x9b31m", "\\u202e", "\\x7f"]}')
    done = here("run", "flow.py", *options)
    assert done.returncode == 0
    last = done.stdout if options != ("--events",) else done.stdout.splitlines()[-1]
    value = json.loads(last)
    assert (value["result"] if options else value) == {"a\x1b[2J": ["\x9b31m", "\u202e", "\x7f"]}
    assert not set(done.stdout) & {"\x1b", "\x9b", "\x7f", "\u202e"}


def test_progress_goes_to_stderr_and_its_last_lines_are_the_summary_and_the_offline_notice(here: CommandHere) -> None:
    first = here("run", "flow.py").stderr.splitlines()
    assert "Ask" in first
    (told,) = (number for number, line in enumerate(first) if line.startswith("offline: no model is configured"))
    assert first[told + 1].startswith("  #"), "told with the first answer that is made up"
    assert "  asked n=2" in first
    assert first[-2] == "3 steps: 0 from the store, 3 live, $0.00 paid"
    assert first[-1].startswith("offline: what agents answered here is made up")
    again = here("run", "flow.py").stderr.splitlines()
    assert "  2 steps from the store" in again
    assert again[-2].startswith("3 steps: 3 from the store (oldest 0 seconds), 0 live, $0.00 paid; --fresh runs all")


def test_quiet_says_only_that_the_answers_are_made_up(here: CommandHere) -> None:
    lines = here("run", "flow.py", "--quiet").stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("offline:")


def test_a_run_that_asks_no_agent_says_nothing_of_models(here: CommandHere) -> None:
    here.command.write("plain.py", 'return (await tool("glob", pattern="*.py"))["paths"]\n')
    for options in ((), ("--quiet",), ("--dry-run",), ("--fresh",)):
        done = here("run", "plain.py", *options)
        assert done.returncode == 0
        assert "offline" not in done.stderr


def test_a_run_that_had_no_room_for_an_answer_does_not_say_that_answers_are_made_up(here: CommandHere) -> None:
    done = here("run", "flow.py", "--budget", "5")
    assert done.returncode == 3
    assert "BudgetExceeded" in done.stderr
    assert "offline:" not in done.stderr


def test_arguments_reach_the_script_by_option_by_pair_and_as_json(here: CommandHere) -> None:
    here.command.write("args.py", '"""A."""\nreturn dict(args)\n')
    here.command.write("some.json", '{"topic": "cocoa"}')
    assert json.loads(here("run", "args.py", "--topic", "tea", "n:=3", "deep=yes").stdout) == {
        "topic": "tea",
        "n": 3,
        "deep": "yes",
    }
    assert json.loads(here("run", "flow.py", "--max-items=1", "topic=mate").stdout)["topic"] == "mate"
    assert json.loads(here("run", "flow.py", "--args", "@some.json").stdout)["topic"] == "cocoa"
    assert json.loads(here("run", "flow.py", "--args", '{"topic": "maté"}').stdout)["topic"] == "maté"


def test_json_is_exactly_one_document(here: CommandHere) -> None:
    first = json.loads(here("run", "flow.py", "--json").stdout)
    assert list(first) == DOCUMENT
    assert (first["status"], first["error"], first["cached"], first["offline"]) == ("completed", None, 0, True)
    assert first["result"]["topic"] == "tea"
    second = json.loads(here("run", "flow.py", "--json").stdout)
    assert (second["cached"], second["result"]) == (3, first["result"])
    assert second["usage"] == first["usage"]
    assert second["paid"]["tokens"] == 0


def test_events_are_lines_of_json_and_the_last_is_the_document(here: CommandHere) -> None:
    lines = [json.loads(line) for line in here("run", "flow.py", "--events").stdout.splitlines()]
    assert [line["event"] for line in lines[:-1]][:2] == ["run_started", "phase_started"]
    assert lines[-2]["event"] == "run_finished"
    assert list(lines[-1]) == DOCUMENT


def test_the_first_event_tells_what_limits_the_run_and_which_phases_come(here: CommandHere) -> None:
    limits = ("--budget", "50k,$2,steps=9,seconds=600")
    begun = json.loads(here("run", "flow.py", "--events", *limits).stdout.splitlines()[0])
    assert begun["phases"] == ["Ask", "Merge"]
    assert begun["limits"] == {"tokens": 50_000, "microusd": 2_000_000, "steps": 9, "seconds": 600.0}
    begun = json.loads(here("run", "flow.py", "--new", "--events").stdout.splitlines()[0])
    assert begun["limits"] == {}, "offline nothing can be paid"


def test_a_step_that_begins_tells_how_many_calls_wait_behind_it(here: CommandHere) -> None:
    lines = here("run", "flow.py", "--max-items", "5", "--concurrency", "2", "--events").stdout.splitlines()
    begun = [event for event in map(json.loads, lines) if event.get("event") == "step_started"]
    assert [event.get("waiting", 0) for event in begun] == [4, 3, 2, 1, 0, 0]


@pytest.mark.parametrize("form", ["--json", "--events"])
def test_a_run_that_could_not_begin_is_a_document_too(form: str, here: CommandHere) -> None:
    done = here("run", "nope.py", form)
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert list(document) == DOCUMENT
    assert (document["run"], document["status"]) == (None, "failed")
    assert document["error"]["type"] == "WorkflowError"
    assert document["error"]["message"] in done.stderr


def test_a_failed_workflow_prints_no_result_says_where_and_how_to_go_on(here: CommandHere) -> None:
    here.command.write("flow.py", '"""F."""\nawait agent("first")\nreturn {}["missing"]\n')
    done = here("run", "flow.py", "-o", "result.txt")
    assert done.returncode == 1
    assert done.stdout == ""
    assert not (here.project / "result.txt").exists()
    assert "error: flow.py:3: KeyError" in done.stderr
    assert "everything finished is kept. To look: `vibe trace " in done.stderr
    document = json.loads(here("run", "flow.py", "--json").stdout)
    assert (document["status"], document["error"]["type"], document["cached"]) == ("failed", "KeyError", 1)


def test_a_spent_budget_has_its_own_code_and_a_larger_one_goes_on(here: CommandHere) -> None:
    done = here("run", "flow.py", "--budget", "steps=2")
    assert done.returncode == 3
    assert "To go on with a larger budget: `vibe resume " in done.stderr
    more = here("resume", "--budget", "steps=3", "--json")
    assert more.returncode == 0
    document = json.loads(more.stdout)
    assert (document["status"], document["cached"]) == ("completed", 2)


def test_a_missing_grant_ends_the_run_before_its_first_step(here: CommandHere) -> None:
    here.command.write("flow.py", '"""W."""\nmeta = {"permissions": ["write"]}\nreturn await agent("x")\n')
    done = here("run", "flow.py")
    assert done.returncode == 6
    assert "--allow write" in done.stderr
    told = here("run", "flow.py", "--json")
    assert told.returncode == 6
    document = json.loads(told.stdout)
    assert (document["run"], document["status"], document["error"]["type"]) == (None, "failed", "GrantNeeded")
    assert not (here.project / ".vibe").exists(), "a run that is refused leaves no store behind"
    assert here("run", "flow.py", "--allow", "write").returncode == 0


def test_output_goes_to_a_file_that_is_whole_or_untouched(here: CommandHere) -> None:
    target = here.command.write("result.txt", "what was there before")
    target.chmod(0o640)
    done = here("run", "flow.py", "-o", "result.txt")
    assert done.stdout == ""
    assert json.loads(target.read_text())["topic"] == "tea"
    assert target.stat().st_mode & 0o777 == 0o640
    here("run", "flow.py", "--events", "--output", "events.ndjson")
    lines = (here.project / "events.ndjson").read_text().splitlines()
    assert list(json.loads(lines[-1])) == DOCUMENT
    assert sorted(path.name for path in here.project.iterdir() if "result" in path.name) == ["result.txt"]


def test_a_workflow_is_a_command_of_its_own(here: CommandHere) -> None:
    here.command.write("workflows/my_flow.py", (here.project / "flow.py").read_text())
    done = here("my-flow", "--topic", "rooibos", "-q")
    assert json.loads(done.stdout)["topic"] == "rooibos"
    text = here("my_flow", "--help").stdout
    assert text.startswith("Usage: vibe my_flow [OPTIONS]")
    assert "Asks about each item, then merges." in text
    assert "--topic TEXT what to ask about (default: tea)" in " ".join(text.split())
    assert "--max-items N " in text
    assert "Phases:\n  Ask, Merge\n" in text


def test_standard_input_can_be_a_workflow(vibe: Command) -> None:
    done = vibe("run", "-", "--name", "Ada", stdin=b"return f'hello {args.name}'")
    assert done.stdout == "hello Ada\n"


def test_standard_input_can_be_the_arguments(vibe: Command) -> None:
    done = vibe("run", "flow.py", "--args", "@-", "-q", stdin=b'{"topic": "mate"}')
    assert json.loads(done.stdout)["topic"] == "mate"


def test_a_closed_pipe_ends_the_output_and_not_the_run(vibe: Command, here: CommandHere) -> None:
    vibe.write("long.py", '"""L."""\nawait agent("x")\nreturn "line\\n" * 100_000\n')
    with subprocess.Popen(
        vibe.argv("run", "long.py", "--events"),
        cwd=vibe.project,
        env=vibe.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait() == 0, errors
    assert "1 step: 0 from the store, 1 live" in errors
    assert "BrokenPipe" not in errors
    assert json.loads(here("runs", "--json").stdout)[0]["status"] == "completed"


def test_a_closed_stderr_does_not_end_the_run_either(vibe: Command) -> None:
    with subprocess.Popen(
        vibe.argv("run", "flow.py"), cwd=vibe.project, env=vibe.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()
        assert json.loads(process.stdout.read())["topic"] == "tea"
        assert process.wait() == 0


def test_a_full_disk_is_said_and_the_run_is_kept(vibe: Command, here: CommandHere) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            vibe.argv("run", "flow.py"),
            cwd=vibe.project,
            env=vibe.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 74
    assert "stdout: the output cannot be written: No space left on device" in done.stderr
    assert json.loads(here("run", "flow.py", "--json").stdout)["cached"] == 3


def test_a_process_without_standard_streams_runs_all_the_same(vibe: Command, here: CommandHere) -> None:
    quoted = " ".join(vibe.argv("run", "flow.py", "-o", "result.json"))
    done = subprocess.run(["sh", "-c", f"{quoted} <&- >&- 2>&-"], cwd=vibe.project, env=vibe.environ, check=False)
    assert done.returncode == 0
    assert json.loads((vibe.project / "result.json").read_text())["topic"] == "tea"
    assert json.loads(here("runs", "--json").stdout)[0]["status"] == "completed"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(number: signal.Signals, code: int, vibe: Command) -> None:
    vibe.write("spin.py", SPIN)
    with subprocess.Popen(
        vibe.argv("run", "spin.py", "--json"),
        cwd=vibe.project,
        env=vibe.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        seen = b""
        while b"run " not in seen:
            seen += os.read(process.stderr.fileno(), 4_096) or pytest.fail(seen.decode())
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code
    document = json.loads(out)
    assert document["status"] == "interrupted"
    assert f"interrupted; everything finished is kept. To go on: `vibe resume {document['run']}`" in err.decode()


def test_one_zygote_serves_the_metadata_the_checks_and_the_script_of_a_run(
    here: CommandHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Zygote] = []
    forked: list[str] = []

    def start() -> Zygote:
        started.append(start_zygote())
        return started[-1]

    async def fork(forker: Forker, role: str, *args: Any, capability: str = "", **options: Any) -> Child:
        forked.append(f"{role} {capability}".rstrip())
        return await really_fork(forker, role, *args, capability=capability, **options)

    really_fork = Forker.fork
    monkeypatch.setattr(launcher, "start_zygote", start)
    monkeypatch.setattr(Forker, "fork", fork)
    done = here("run", "flow.py", "--topic", "cocoa")
    assert done.returncode == 0
    assert len(started) == 1
    assert {"worker metadata", "worker schema", "script"} <= set(forked)
