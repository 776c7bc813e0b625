"""Runs whose steps run commands: real programs, in a copy of the project."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tests.support.agents import asks, says
from tests.support.copying_bench import CopyingBench
from tests.support.copying_bench import bench as bench
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.cli import wiring
from vibe_workflows.cli.benches import LazyBenches
from vibe_workflows.engine.backends.scripted import Script
from vibe_workflows.engine.errors import CommandsRefused, ExitCode
from vibe_workflows.engine.events import FileEdited
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import FILE_STATE, FILE_TREE, DeliveryMode, ModelReply, ModelRequest, Role
from vibe_workflows.engine.ports import Workbench
from vibe_workflows.engine.store.reader import open_reader
from vibe_workflows.sandbox import confine

COMMAND = {"allow": "command"}
#: What an agent reads of a file with one line.
READ = "build/out.txt, lines 1 to 1 of 1\n1\t{}"


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How often the process was hidden; hiding that of the tests would last."""
    times: list[bool] = []
    monkeypatch.setattr(confine, "hide_this_process", lambda: times.append(True))
    return times


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: list[bool]) -> RunProject:
    made = new_project(tmp_path, monkeypatch)
    made.write(".gitignore", "build/\n")
    made.write("a.txt", "one\n")
    return made


def sh(script: str) -> str:
    """A call of a script that runs this in a shell."""
    return f"tool('run_command', argv={['sh', '-c', script]!r})"


def running(*scripts: str) -> Script:
    """An agent that runs these, one a turn, and answers with what it read."""

    def answer(request: ModelRequest) -> ModelReply:
        read = [message.text for message in request.messages if message.role is Role.TOOL]
        if len(read) < len(scripts):
            return asks(("run_command", json.dumps({"argv": ["sh", "-c", scripts[len(read)]]})))
        return says("|".join(read))

    return answer


def agent(tools: Sequence[str] = ("run_command",), **more: object) -> str:
    return f"agent('work', tools={list(tools)}{''.join(f', {name}={value!r}' for name, value in more.items())})"


def ran(bench: CopyingBench) -> int:
    """How many jobs there were since the last time."""
    count = len(bench.jobs)
    bench.jobs.clear()
    return count


def modes(project: RunProject, report: RunReport) -> list[DeliveryMode]:
    with closing(open_reader(project.folder / ".vibe/vibe.db")) as reader:
        return [each.delivery.mode for each in reader.deliveries(report.run.id)]


def text_of(project: RunProject, path: str) -> str | None:
    file = project.folder / path
    return file.read_text() if file.exists() else None


# ---------------------------------------------------------------- scripts


def test_a_script_runs_a_command_whose_changes_are_edits_and_a_rerun_is_answered(
    project: RunProject, bench: CopyingBench
) -> None:
    source = body(f"return await {sh('echo two >> a.txt; mkdir d; echo new > d/n.txt; echo said; exit 3')}")
    for runs in (1, 0):
        report = project.run(source, flags=COMMAND)
        assert json.loads(report.result or "") == {"exit_code": 3, "stdout": "said\n", "stderr": ""}
        assert (text_of(project, "a.txt"), text_of(project, "d/n.txt")) == ("one\ntwo\n", "new\n")
        assert ran(bench) == runs
    (step,) = project.steps(report.run.id)
    assert [seen.tool for seen in step.observations] == [FILE_TREE, FILE_STATE, FILE_STATE]
    assert [seen.edit.change.path for seen in step.observations if seen.edit] == ["a.txt", "d/n.txt"]


def test_a_hand_edit_of_any_file_runs_the_command_again(project: RunProject, bench: CopyingBench) -> None:
    project.write("other.txt", "x")
    source = body(f"return await {sh('cat other.txt')}")
    assert project.result(source, flags=COMMAND)["stdout"] == "x"
    project.write("build/out.txt", "ignored")
    project.run(source, flags=COMMAND)
    assert ran(bench) == 1
    project.write("other.txt", "y")
    assert project.result(source, flags=COMMAND)["stdout"] == "y"
    assert ran(bench) == 1


def test_edits_of_a_command_that_were_taken_back_are_made_again_without_running_it(
    project: RunProject, bench: CopyingBench
) -> None:
    source = body(f"return await {sh('echo two >> a.txt; rm b.txt; echo c > c.txt')}")
    project.write("b.txt", "b")
    project.run(source, flags=COMMAND)
    project.write("a.txt", "one\n")
    project.write("b.txt", "b")
    (project.folder / "c.txt").unlink()
    report = project.run(source, flags=COMMAND)
    assert modes(project, report) == [DeliveryMode.APPLIED]
    assert ran(bench) == 1
    assert [text_of(project, name) for name in ("a.txt", "b.txt", "c.txt")] == ["one\ntwo\n", None, "c\n"]


def test_an_undo_takes_back_all_that_a_command_changed(project: RunProject, bench: CopyingBench) -> None:
    project.write("b.txt", "b")
    project.run(body(f"return await {sh('echo two >> a.txt; rm b.txt; mkdir d; echo c > d/c.txt')}"), flags=COMMAND)
    settings = wiring.load({})
    wiring.undo(settings, lambda reader: reader.runs(1)[0], dry_run=False)
    assert [text_of(project, name) for name in ("a.txt", "b.txt", "d/c.txt")] == ["one\n", "b", None]


def test_a_file_in_the_place_of_a_folder_and_the_reverse_are_made(project: RunProject, bench: CopyingBench) -> None:
    project.write("d/n.txt", "n")
    script = "rm -r d; echo file > d; rm a.txt; mkdir a.txt; echo in > a.txt/in"
    project.run(body(f"return await {sh(script)}"), flags=COMMAND)
    assert (text_of(project, "d"), text_of(project, "a.txt/in")) == ("file\n", "in\n")
    assert ran(bench) == 1


def test_what_git_ignores_is_moved_in_without_a_record_and_leaves_answers_as_they_are(
    project: RunProject, bench: CopyingBench
) -> None:
    source = body(
        f"await {sh('mkdir -p build; echo built > build/out.txt')}",
        "first = await tool('read_file', path='build/out.txt')",
        f"await {sh('echo again > build/out.txt')}",
        "return [first, await tool('read_file', path='build/out.txt')]",
    )
    report = project.run(source, flags=COMMAND)
    assert [each["text"] for each in json.loads(report.result or "")] == ["built\n", "again\n"]
    assert [seen.tool for step in project.steps(report.run.id)[::2] for seen in step.observations] == [FILE_TREE] * 2
    assert not project.seen.of(FileEdited)
    ran(bench)
    project.run(source, flags=COMMAND)
    assert ran(bench) == 0, "an ignored file is nothing that a command is known to have seen"


def test_an_answer_that_stands_on_an_ignored_file_does_not_outlive_a_command_that_changes_it(
    project: RunProject, bench: CopyingBench
) -> None:
    def answer(request: ModelRequest) -> ModelReply:
        read = [message.text for message in request.messages if message.role is Role.TOOL]
        return says(read[0]) if read else asks(("read_file", '{"path": "build/out.txt"}'))

    source = body(
        "before = await agent('first', tools=['read'])",
        f"await {sh('cat a.txt > build/out.txt')}",
        "return [before, await agent('second', tools=['read'])]",
    )
    project.write("build/out.txt", "one\n")
    assert project.result(source, answer, flags=COMMAND) == [READ.format("one")] * 2
    project.write("a.txt", "two\n")
    assert project.result(source, answer, flags=COMMAND) == [READ.format("one"), READ.format("two")]


def test_a_secret_that_a_command_changes_makes_all_of_it_void(project: RunProject, bench: CopyingBench) -> None:
    report = project.run(body(f"return await {sh('echo two >> a.txt; echo KEY=1 > .env')}"), flags=COMMAND)
    assert report.error is not None
    assert "nothing of what the command did was kept" in report.error.message
    assert (text_of(project, "a.txt"), text_of(project, ".env")) == ("one\n", None)


# ---------------------------------------------------------------- agents


def test_an_agent_reads_what_a_command_printed_and_its_call_holds_all_that_was_seen(
    project: RunProject, bench: CopyingBench
) -> None:
    script = running("cat a.txt; echo two >> a.txt", "cat a.txt")
    for runs in (2, 0):
        report = project.run(body(f"return await {agent()}"), script, flags=COMMAND)
        said = json.loads(report.result or "")
        assert said == ("exit code 0\nchanged: a.txt\nstdout:\none|exit code 0\nstdout:\none\ntwo")
        assert ran(bench) == runs
    assert text_of(project, "a.txt") == "one\ntwo\n"
    first, second = project.tool_calls(report.run.id)
    assert [seen.tool for seen in first.observations] == [FILE_TREE, FILE_STATE]
    assert [seen.tool for seen in second.observations] == [FILE_TREE]
    assert first.observations[0].digest != second.observations[0].digest


def test_commands_of_one_reply_run_one_by_one_in_order(project: RunProject, bench: CopyingBench) -> None:
    def answer(request: ModelRequest) -> ModelReply:
        read = [message.text for message in request.messages if message.role is Role.TOOL]
        calls = [("run_command", json.dumps({"argv": ["sh", "-c", f"echo {n} >> a.txt; cat a.txt"]})) for n in range(3)]
        return says(read[-1]) if read else asks(*calls)

    assert project.result(body(f"return await {agent()}"), answer, flags=COMMAND).endswith("one\n0\n1\n2")


def test_long_output_is_cut_for_the_agent_and_whole_in_the_trace(project: RunProject, bench: CopyingBench) -> None:
    report = project.run(body(f"return await {agent()}"), running("seq 100000"), flags=COMMAND)
    (call,) = project.tool_calls(report.run.id)
    assert "bytes left out" in call.output
    assert "\n50000\n" in call.whole
    assert "\n50000\n" not in call.output


def test_a_command_that_is_not_there_is_an_error_that_the_agent_reads(project: RunProject, bench: CopyingBench) -> None:
    script = body("return await tool('run_command', argv=['no-such-program'])")
    report = project.run(script, flags=COMMAND)
    assert report.error is not None
    assert "no-such-program" in report.error.message


def test_a_step_that_ends_while_its_command_runs_leaves_the_project_as_it_was(
    project: RunProject, bench: CopyingBench
) -> None:
    source = body(
        "try:", f"    return await {agent(timeout=1.0)}", "except Exception as error:", "    return str(error)"
    )
    assert "no answer within" in project.result(source, running("echo two >> a.txt; exec sleep 60"), flags=COMMAND)
    assert text_of(project, "a.txt") == "one\n"


# ---------------------------------------------------------------- beside others


def test_a_command_that_did_not_see_what_it_replaces_runs_again(project: RunProject, bench: CopyingBench) -> None:
    async def once() -> None:
        if len(bench.jobs) == 1:
            project.write("a.txt", "by hand\n")

    bench.meanwhile = once
    assert project.result(body(f"return await {sh('echo two >> a.txt')}"), flags=COMMAND)["exit_code"] == 0
    assert text_of(project, "a.txt") == "by hand\ntwo\n"
    assert ran(bench) == 2


def test_commands_that_change_one_file_at_a_time_lose_nothing_of_each_other(
    project: RunProject, bench: CopyingBench
) -> None:
    adding = [sh(f"sleep 0.2; echo {name} >> a.txt; echo {name} > {name}.txt") for name in ("x", "y", "z")]
    ended = project.result(body(f"return await parallel([{', '.join(adding)}])"), flags=COMMAND)
    assert [each["exit_code"] for each in ended] == [0, 0, 0]
    assert sorted((project.folder / "a.txt").read_text().split()) == ["one", "x", "y", "z"]
    assert all(text_of(project, f"{name}.txt") == f"{name}\n" for name in "xyz")


@pytest.mark.parametrize(("allow", "runs"), [("command", 3), ("command,net", 1)])
def test_a_command_that_always_comes_too_late_fails_and_one_with_the_network_does_not_run_again(
    project: RunProject, bench: CopyingBench, allow: str, runs: int
) -> None:
    async def always() -> None:
        project.write("a.txt", f"by hand {len(bench.jobs)}\n")

    bench.meanwhile = always
    report = project.run(body(f"return await {sh('echo two >> a.txt; echo b > b.txt')}"), flags={"allow": allow})
    assert report.error is not None
    assert "nothing of what it did was kept" in report.error.message
    assert ran(bench) == runs
    assert (text_of(project, "a.txt"), text_of(project, "b.txt")) == (f"by hand {runs}\n", None)


def test_an_edit_of_another_step_waits_until_a_command_is_over(project: RunProject, bench: CopyingBench) -> None:
    """So that no command ever sees a file change under it: it would not have seen what it says it saw."""
    lay: list[str | None] = []

    async def look() -> None:
        lay.append(text_of(project, "a.txt"))

    async def answer(request: ModelRequest) -> ModelReply:
        if any(message.role is Role.TOOL for message in request.messages):
            return says("written")
        with trio.fail_after(30):
            await bench.began.wait()
        return asks(("write_file", '{"path": "a.txt", "content": "other"}'))

    bench.meanwhile = look
    source = body(f"return await parallel([{sh('sleep 0.5; cat a.txt')}, {agent(tools=['write'])}])")
    ended, _ = project.result(source, answer, flags={"allow": "command,write"})
    assert lay == [ended["stdout"]] == ["one\n"]
    assert text_of(project, "a.txt") == "other"


def test_stored_edits_are_made_again_only_when_no_command_runs(project: RunProject, bench: CopyingBench) -> None:
    lay: list[str | None] = []

    async def look() -> None:
        lay.append(text_of(project, "b.txt"))

    async def answer(request: ModelRequest) -> ModelReply:
        with trio.fail_after(30):
            await bench.began.wait()
        return says("go on")

    source = body(
        "async def later():",
        "    await agent('wait', cache=False)",
        "    return await tool('write_file', path='b.txt', content='b')",
        f"return await parallel([{sh('sleep 0.7; cat a.txt')}, later()])",
    )
    bench.meanwhile = look
    for _ in range(2):
        bench.began = trio.Event()
        report = project.run(source, answer, flags={"allow": "command,write"})
        assert text_of(project, "b.txt") == "b"
        (project.folder / "b.txt").unlink()
        project.write("a.txt", "two\n")
    assert lay == [None, None]
    assert DeliveryMode.APPLIED in modes(project, report)


# ---------------------------------------------------------------- grants and machines


def test_without_the_grant_no_command_runs(project: RunProject, bench: CopyingBench) -> None:
    report = project.run(body(f"return await {sh('echo two >> a.txt')}"))
    assert report.error is not None
    assert "needs the grant `command`" in report.error.message
    assert ran(bench) == 0


def test_a_granted_program_runs_and_another_one_is_denied(project: RunProject, bench: CopyingBench) -> None:
    allow = {"allow": "command:cat"}
    assert (
        project.result(body("return await tool('run_command', argv=['cat', 'a.txt'])"), flags=allow)["stdout"]
        == "one\n"
    )
    report = project.run(body("return await tool('run_command', argv=['sh', '-c', 'id'])"), flags=allow)
    assert report.error is not None
    assert "sh: this run may not run it; granted: command:cat" in report.error.message
    assert ran(bench) == 1


def test_a_denied_program_is_tried_again_when_it_is_granted(project: RunProject, bench: CopyingBench) -> None:
    script = running("cat a.txt")
    assert "Denied: sh:" in project.result(body(f"return await {agent()}"), script, flags={"allow": "command:cat"})
    assert "one" in project.result(body(f"return await {agent()}"), script, flags={"allow": "command:cat,command:sh"})


def test_a_machine_that_holds_no_command_says_so_at_the_first_one(
    project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(benches: LazyBenches) -> Workbench:
        raise CommandsRefused("the sandbox of this machine is good, and commands need strong")

    monkeypatch.setattr(LazyBenches, "project", property(refuse))
    source = body("await tool('list_files')", f"return await {agent()}")
    report = project.run(source, running("true"), flags=COMMAND)
    assert report.exit_code is ExitCode.USAGE
    assert report.error is not None
    assert "commands need strong" in report.error.message


def test_this_process_is_hidden_once_before_the_first_command(project: RunProject, hidden: list[bool]) -> None:
    project.run(body("return await tool('list_files')"), flags=COMMAND)
    assert not hidden
    project.run(body(f"await {sh('true')}", f"return await {sh('exit 1')}"), flags=COMMAND)
    assert hidden == [True]


def test_a_dry_run_runs_no_command(project: RunProject, bench: CopyingBench) -> None:
    project.dry_run(body(f"return await {sh('echo two >> a.txt')}"), flags=COMMAND)
    assert ran(bench) == 0
    assert text_of(project, "a.txt") == "one\n"


# ---------------------------------------------------------------- the product's own bench


def test_behind_the_walls_a_command_changes_what_it_may_and_a_rerun_runs_nothing(
    project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "sk-123456789")
    project.write("sub/seen.txt", "seen")
    script = (
        "cat sub/seen.txt; echo two >> sub/seen.txt; echo n > sub/n.txt; echo $SECRET_KEY; echo K=1 > sub/.env; exit 5"
    )
    allow = {"allow": "command:sh", "sandbox.accept": "good"}
    for _ in range(2):
        assert project.result(body(f"return await {sh(script)}"), flags=allow) == {
            "exit_code": 5,
            "stdout": "seen\n",
            "stderr": "",
        }
        assert (text_of(project, "sub/seen.txt"), text_of(project, "sub/n.txt")) == ("seentwo\n", "n\n")
        assert text_of(project, "sub/.env") is None
    assert not project.seen.of(FileEdited), "the second run was answered from the store"
