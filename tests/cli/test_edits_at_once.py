"""What a person is told of two agents that edit one file at once: while it happens, at the end, and by `vibe trace`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.support.obedient_model import orders_in
from tests.support.whole_runs import RunProject, body, new_project, prompt_of
from vibe_workflows.cli.edits import edits_of
from vibe_workflows.cli.main import main
from vibe_workflows.cli.render.happenings import edits_collided
from vibe_workflows.cli.render.plain import PlainProgress
from vibe_workflows.cli.render.stream import Output
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import EditsCollided, Nearness, decode_event, encode_event
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest, Usage

USAGE = Usage(input_tokens=10, output_tokens=1, cost_microusd=1)
ADVICE = "without knowing of each other: have one wait for the other, or go to different files"


def _obeys(request: ModelRequest) -> ModelReply:
    turn = sum(message.role is Role.ASSISTANT for message in request.messages)
    orders = orders_in(prompt_of(request))
    if turn >= len(orders):
        return ModelReply(text="done", finish=FinishReason.STOP, usage=USAGE)
    calls = tuple(ToolRequest(id=call.id, name=call.name, arguments=call.arguments) for call in orders[turn])
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=calls)


def _agent(name: str, orders: str) -> str:
    return f"agent('{name}: {orders}', tools=['read', 'write'], label='{name}', retries=0)"


FIRST, NEAR = _agent("first", "edit a.txt five FIVE"), _agent("near", "edit a.txt six SIX")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    made = new_project(tmp_path, monkeypatch)
    made.write("a.txt", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n")
    return made


def _run(project: RunProject, *lines: str) -> list[EditsCollided]:
    report = project.run(body(*lines), _obeys, flags={"allow": ["write"]})
    assert report.exit_code is ExitCode.DONE, report.error
    return project.seen.of(EditsCollided)


def _vibe(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    capfd.readouterr()
    assert main(arguments) == 0
    return capfd.readouterr().out


def test_two_commands_that_change_one_line_at_once_are_told_of_and_neither_change_is_lost(project: RunProject) -> None:
    both = ", ".join(f"tool('run_command', argv=['sed', '-i', '5s/$/ {name}/', 'a.txt'])" for name in ("one", "two"))
    report = project.run(body(f"return await parallel([{both}])"), _obeys, flags={"allow": ["command:sed"]})
    assert report.exit_code is ExitCode.DONE, report.error
    assert sorted((project.folder / "a.txt").read_text().splitlines()[4].split()) == ["five", "one", "two"]
    (told,) = project.seen.of(EditsCollided)
    assert (told.path, told.where, told.lines) == ("a.txt", Nearness.SAME, (5, 5))


def test_agents_of_a_fan_out_that_edit_one_file_are_told_of_and_those_in_a_row_are_not(
    project: RunProject, capfd: pytest.CaptureFixture[str]
) -> None:
    (event,) = _run(project, f"await parallel([{FIRST}, {NEAR}])")
    assert (event.path, event.where, {event.number, event.other_number}) == ("a.txt", Nearness.ADJACENT, {1, 2})
    edits = edits_of(project.seen.events)
    assert edits.lines()[-1].startswith("1 file edited by two agents at once: a.txt. `vibe trace ")
    steps = [event.other_number, event.number]
    line = 6 if event.number == 2 else 5
    told = [{"path": "a.txt", "where": "adjacent lines", "steps": steps, "lines": [line, line]}]
    assert edits.collisions_json() == told
    assert json.loads(_vibe(capfd, "trace", "--json"))["collisions"] == told
    assert (
        f"edited at once: a.txt: #{event.number} and #{event.other_number} edited adjacent lines, line {line}"
        in _vibe(capfd, "trace")
    )


def test_agents_in_a_row_know_of_each_other(project: RunProject) -> None:
    assert _run(project, f"await {FIRST}", f"await {NEAR}") == []
    assert edits_of(project.seen.events).collisions_json() == []


# ---------------------------------------------------------------- as it is shown


def _collided(where: Nearness, lines: tuple[int, int]) -> EditsCollided:
    return EditsCollided(
        at=0.0, number=5, step="s5", other_number=3, other_step="s3", path="src/a.py", where=where, lines=lines
    )


@pytest.mark.parametrize(
    ("where", "lines", "text"),
    [
        (Nearness.SAME, (12, 14), f"src/a.py: #5 and #3 edited the same lines, lines 12-14, {ADVICE}"),
        (Nearness.ADJACENT, (7, 7), f"src/a.py: #5 and #3 edited adjacent lines, line 7, {ADVICE}"),
        (
            Nearness.ELSEWHERE,
            (0, 0),
            "src/a.py: #5 and #3 edited different parts of it, without knowing of each other",
        ),
    ],
)
@pytest.mark.parametrize("quiet", [True, False])
def test_only_what_is_near_is_a_warning(where: Nearness, lines: tuple[int, int], text: str, *, quiet: bool) -> None:
    event = _collided(where, lines)
    assert edits_collided(event) == text
    assert decode_event(encode_event(event)) == event
    PlainProgress(Output(stream := io.BytesIO()), quiet=quiet).handle(event)
    assert stream.getvalue().decode() == ("" if where is Nearness.ELSEWHERE else f"warning: {text}\n")
