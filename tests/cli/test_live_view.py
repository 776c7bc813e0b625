"""The live view on a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.command import Command
from tests.support.terminals import Terminal, terminal_of
from vibe_workflows.cli.render import live
from vibe_workflows.cli.render.live import LiveProgress
from vibe_workflows.engine.events import EditsCollided, Logged, Nearness, RunStarted, StepFinished, StepStarted

BEGUN = RunStarted(at=0.0, run="r1", workflow="review", lineage="l1")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    with terminal_of(80, 24) as made:
        yield made


def all_of(terminal: Terminal) -> str:
    """What was written, once there is nothing more to come."""
    return terminal.end(lambda: 0).output


def words(text: str) -> str:
    """Without colours and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def run_in(terminal: Terminal, command: Command, *args: str, **environ: str) -> tuple[str, str]:
    """(stdout, what the terminal got) of a run whose stderr is the terminal."""
    with (
        open(terminal.path, "wb") as stderr,
        subprocess.Popen(
            command.argv(*args),
            cwd=command.project,
            env={**command.environ, "TERM": "xterm-256color", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process,
    ):
        screen = terminal.end(process.wait)
        assert screen.code == 0, screen.text
        assert process.stdout is not None
        return process.stdout.read().decode(), screen.output


def test_a_run_leaves_its_tree_and_its_summary_on_the_terminal(vibe: Command, terminal: Terminal) -> None:
    out, screen = run_in(terminal, vibe, "run", "flow.py")
    assert out.startswith("{\n")
    lines = [" ".join(line.split()) for line in words(screen).splitlines()]
    assert any(line.startswith("✓ Ask 2 live") for line in lines)
    assert any(line.startswith("✓ #3 merge offline") for line in lines)
    assert lines[-2].startswith("3 steps: 0 from the store, 3 live")
    assert "\x1b[32m" in screen, "colours"


def test_no_color_gives_plain_lines_on_a_terminal_too(vibe: Command, terminal: Terminal) -> None:
    _, screen = run_in(terminal, vibe, "run", "flow.py", NO_COLOR="1")
    assert "\x1b" not in screen
    assert "  #3 merge completed" in screen


def test_a_script_cannot_steer_the_terminal(vibe: Command, terminal: Terminal) -> None:
    vibe.write("evil.py", 'log("\\x1b]0;owned\\x07\\x1b[2J\\rwarning: forged")\nreturn "x"\n')
    _, screen = run_in(terminal, vibe, "run", "evil.py")
    assert "\x1b]" not in screen
    assert "\x1b[2J" not in screen
    assert "warning: forged" in words(screen)


def test_a_long_run_is_drawn_while_it_lasts_and_the_cursor_stays_visible(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    with open(terminal.path, "w") as stream:
        view = LiveProgress(stream, clock=lambda: 10.0)
        view.start()
        view.handle(BEGUN)
        view.handle(StepStarted(at=1.0, number=1, step="s", label="look", phase="Review", kind="agent", model="gpt"))
        terminal.until("#1")
        view.handle(Logged(at=2.0, message="half way"))
        terminal.until("half way")
        view.handle(StepFinished(at=3.0, number=1, step="s", label="look", phase="Review", status="completed"))
        view.close()
        view.close()  # once more is harmless
    seen = all_of(terminal)
    assert "▸ Review  1 running" in words(seen)
    assert words(seen).rstrip().splitlines()[-3:][0].startswith("✓ Review  1 live")
    assert "\x1b[?25l" not in seen, "a process that is killed leaves a cursor"


def test_agents_that_edit_one_file_at_once_are_warned_of_where_they_come_near(terminal: Terminal) -> None:
    with open(terminal.path, "w") as stream:
        view = LiveProgress(stream)
        view.start()
        for path, where in (("far.py", Nearness.ELSEWHERE), ("near.py", Nearness.SAME)):
            event = EditsCollided(
                at=1.0, number=5, step="s5", other_number=3, other_step="s3", path=path, where=where, lines=(2, 4)
            )
            view.handle(event)
        view.close()
    seen = words(all_of(terminal))
    assert "warning: near.py: #5 and #3 edited the same lines, lines 2-4" in seen
    assert "far.py" not in seen


def test_a_flood_of_log_lines_is_cut_with_its_number(terminal: Terminal) -> None:
    with open(terminal.path, "w") as stream:
        view = LiveProgress(stream)
        for number in range(2_000):
            view.handle(Logged(at=1.0, message=f"line {number}"))
        view.start()
        view.close()
    lines = words(all_of(terminal)).splitlines()
    assert lines[499] == "line 499"
    assert lines[500] == "(1,500 lines left out here; `vibe trace --json` has them)"


def test_the_view_survives_a_terminal_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    master, slave = os.openpty()
    stream = os.fdopen(slave, "w")
    view = LiveProgress(stream)
    os.close(master)
    view.start()
    view.handle(BEGUN)
    view.close()
    with suppress(OSError):
        stream.close()


def test_without_a_terminal_nothing_of_the_live_view_is_imported(vibe: Command) -> None:
    run = "from vibe_workflows.cli.main import main; code = main(['run', 'flow.py'])"
    code = f"import sys; {run}; print('vibe_workflows.cli.render.live' in sys.modules); sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=vibe.project, env=vibe.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
