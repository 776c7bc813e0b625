"""What a person sees: whole screens of a real terminal, rendered, and compared with those in `screens/`.

A screen that changed on purpose is stored anew with `VIBE_REWRITE_SCREENS=1 pytest tests/cli/test_screens.py`; then
read `git diff tests/cli/screens`. Colours are markup there: `[bad]1 failed[/]`. What differs from run to run is masked:
times, ids of runs, and for steps that run side by side, which of them are shown.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.behaviours import Answer, Behaviour, Fail, Tokens
from tests.support.command import Command
from tests.support.exchanges import SeenRequest
from tests.support.fork_server import Server, fork_server
from tests.support.model_server import ModelServer
from tests.support.model_server_plugin import model_server
from tests.support.past_runs import fill
from tests.support.terminals import Screen, Terminal, expect_screen, masked, terminal_of
from tests.support.waterfall_run import a_looking_step, a_waterfall_run

__all__ = ["model_server"]

SCREENS = Path(__file__).parent / "screens"
SIZES = [(80, 24), (160, 40)]
LOOKS = ["colour", "plain"]

REVIEW = '''"""Reviews each file, then sums up."""
meta = {
    "phases": ["Plan", "Review", "Sum up"],
    "args": {"type": "object", "properties": {"n": {"type": "integer", "default": 4}}},
}
async def main(args):
    phase("Plan")
    await agent("Plan the review", label="plan")
    phase("Review")
    files = range(args.n)
    notes = await parallel((agent(f"Review file {n}", label=f"review:{1000 + n}") for n in files), on_error="none")
    log("reviewed", files=len(notes))
    phase("Sum up")
    return await agent("Sum up", label="sum up")
'''

PRICES = """
concurrency: 1
retries: 0
prices: {openai/test-model: {input: 2.0, output: 10.0}}
"""


@pytest.fixture(scope="module")
def commands() -> Iterator[Server]:
    with fork_server("tests.support.command_program") as server:
        yield server


@dataclass
class Desk:
    """A person at a terminal, in the project of a command whose model is on the loopback server."""

    command: Command
    commands: Server
    model: ModelServer
    offline: bool = False

    def environ(self, look: str) -> dict[str, str]:
        environ = {**self.command.environ, "TERM": "xterm-256color"}
        if look == "plain":
            environ["NO_COLOR"] = "1"
        if not self.offline:
            environ |= {
                "VIBE_MODEL": "openai/test-model",
                "VIBE_API_BASE": self.model.url,
                "OPENAI_API_KEY": "sk-test-0123456789",
            }
        return environ

    def start(self, terminal: Terminal, look: str, *argv: str) -> int:
        work = {
            "argv": argv,
            "cwd": str(self.command.project),
            "environ": self.environ(look),
            "out": terminal.path,
            "err": terminal.path,
        }
        return self.commands.start(work)

    def screen(self, size: tuple[int, int], look: str, *argv: str) -> Screen:
        with terminal_of(*size) as terminal:
            pid = self.start(terminal, look, *argv)
            return terminal.end(lambda: self.commands.wait(pid))


@pytest.fixture
def desk(vibe: Command, commands: Server, model_server: ModelServer) -> Desk:
    vibe.write("review.py", REVIEW)
    config = vibe.home / ".config" / "vibe" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(PRICES)
    model_server.handler = answering
    return Desk(vibe, commands, model_server)


def answering(request: SeenRequest) -> Behaviour:
    """The same for each request, but for file 3, where the provider fails."""
    if "Review file 3" in str(request.body):
        return Fail(status=500, message="the model is overloaded")
    return Answer(text="Looks good.", usage=Tokens(prompt=1_200, completion=300, cached=600))


def expect(name: str, size: tuple[int, int], look: str, screen: Screen, *masks: Callable[[str], str]) -> None:
    lines = screen.marked if look == "colour" else screen.lines
    shown = "\n".join(lines)
    for mask in (masked, times, *masks):
        shown = mask(shown)
    expect_screen(SCREENS / f"{name}-{size[0]}-{look}.txt", shown)
    assert screen.cursor_shown
    assert screen.cursor[0] == 0
    assert not screen.wrapped
    if look == "plain":
        assert "\x1b" not in screen.output


# ---------------------------------------------------------------- what is masked


def times(text: str) -> str:
    """Durations, as wide as the column that they stand in."""
    duration = r"(?:\d+h\d\dm|\d+m\d\ds|\d+(?:\.\d)?s|\d+ms)"
    text = re.sub(rf"( {{2,}}){duration}(?=$|\[/\]$)", lambda found: "T".rjust(len(found[0])), text, flags=re.MULTILINE)
    return re.sub(rf"\b{duration}\b", "<time>", text)


def which(text: str) -> str:
    """The numbers of the steps that are shown of many, and their labels."""
    text = re.sub(r"(?m)^  #\d+ ", "  #n ", text)
    text = re.sub(r"#\d+ *(?=\[/\]| )", lambda found: "#n".ljust(len(found[0])), text)
    return re.sub(r"review:\d{4}", "review:nnnn", text)


def offline_tokens(text: str) -> str:
    """What they are depends on the system prompt."""
    text = re.sub(r" {2,}[\d.]+k?(?= +\$0\.00)", lambda found: "N".rjust(len(found[0])), text)
    return re.sub(r"\d+ tokens \$0", "N tokens $0", text)


def alike(text: str) -> str:
    """Lines that are the same are one, with their number."""
    lines = []
    for line, same in groupby(text.split("\n")):
        count = len(list(same))
        lines.append(line if count == 1 else f"{line}   ({count:,} times)")
    return "\n".join(lines)


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
def test_a_run_that_takes_half_of_its_steps_from_the_store(desk: Desk, size: tuple[int, int], look: str) -> None:
    desk.screen(size, look, "run", "review.py", "--n", "2")
    screen = desk.screen(size, look, "run", "review.py", "--n", "4", "--budget", "20k,$1,steps=40", "--max-usd", "none")
    assert screen.code == 0, screen.text
    expect("run", size, look, screen)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
def test_a_run_that_fails(desk: Desk, size: tuple[int, int], look: str) -> None:
    desk.command.write("review.py", REVIEW.replace('on_error="none"', 'on_error="raise"'))
    screen = desk.screen(size, look, "run", "review.py")
    assert screen.code == 1, screen.text
    expect("failure", size, look, screen)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
def test_a_run_whose_budget_is_spent(desk: Desk, size: tuple[int, int], look: str) -> None:
    screen = desk.screen(size, look, "run", "review.py", "--n", "2", "--budget", "100k,steps=3")
    assert screen.code == 3, screen.text
    expect("budget", size, look, screen)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
def test_a_run_of_two_thousand_steps(desk: Desk, size: tuple[int, int], look: str) -> None:
    desk.offline = True
    arguments = ("--n", "2000", "--concurrency", "16", "--budget", "steps=4000")
    screen = desk.screen(size, look, "run", "review.py", *arguments)
    assert screen.code == 0, screen.text
    expect("fan-out", size, look, screen, which, offline_tokens, alike)


@pytest.mark.parametrize("size", SIZES)
def test_two_thousand_steps_while_they_run(desk: Desk, size: tuple[int, int]) -> None:
    with terminal_of(*size) as terminal, held(desk, terminal) as screen:
        expect("fan-out-running", size, "colour", screen, which)


def test_a_window_that_becomes_narrower_and_lower_leaves_one_clean_tree(desk: Desk) -> None:
    with terminal_of(160, 40) as terminal, held(desk, terminal):
        terminal.resize(80, 24)
        terminal.until(lambda screen: "to come: Sum up" in screen.text and narrow(screen))
        terminal.resize(132, 30)
        screen = terminal.until(clean)
        assert not screen.wrapped
        assert screen.cursor_shown


def test_an_interrupted_run_counts_its_steps_alike_in_the_tree_and_in_the_last_line(desk: Desk) -> None:
    with terminal_of(160, 40) as terminal:
        with held(desk, terminal):
            pass  # it is interrupted at the end
        lines = terminal.screen().lines
    assert any(line.startswith("17 steps: 1 stored, 16 cancelled ") for line in lines), lines
    assert re.match(r"17 steps: 1 from the store \(oldest .*\), 0 live, 16 cancelled, ", lines[-1]), lines


def narrow(screen: Screen) -> bool:
    return sum("16 running" in line for line in screen.lines) == 2 and max(map(len, screen.lines)) < 80


def clean(screen: Screen) -> bool:
    """A wide tree, and nothing of those before it."""
    parts = ("tokens     cost", "= Plan", "▸ Review", "to come: Sum up", "budget ", "16 running, 1,984 waiting")
    once = all(sum(part in line for line in screen.lines) == 1 for part in parts)
    return once and max(map(len, screen.lines)) > 80


class held:
    """A run of two thousand steps of which sixteen are at work, and no answer comes. Then it is interrupted."""

    def __init__(self, desk: Desk, terminal: Terminal) -> None:
        self._desk = desk
        self._terminal = terminal
        self._pid = 0

    def __enter__(self) -> Screen:
        self._desk.screen((80, 24), "plain", "run", "review.py", "--n", "0")  # its plan is in the store then
        self._desk.model.hold()
        before = len(self._desk.model.requests)
        arguments = ("--n", "2000", "--concurrency", "16", "--budget", "900k")
        self._pid = self._desk.start(self._terminal, "colour", "run", "review.py", *arguments)
        screen = self._terminal.until("16 running, 1,984 waiting")
        self._desk.model.wait_requests(before + 1)
        return screen

    def __exit__(self, *_error: object) -> None:
        os.kill(self._pid, signal.SIGINT)
        self._terminal.end(lambda: self._desk.commands.wait(self._pid))
        self._desk.model.release()


# ---------------------------------------------------------------- traces


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
def test_one_step_of_a_past_run(desk: Desk, size: tuple[int, int], look: str) -> None:
    fill(desk.command, [*a_waterfall_run(1), *a_looking_step()])
    screen = desk.screen(size, look, "trace", "--step", "9")
    assert screen.code == 0, screen.text
    assert not screen.wrapped
    shown = screen.marked if look == "colour" else screen.lines
    expect_screen(SCREENS / f"step-{size[0]}-{look}.txt", "\n".join(shown))


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "options"), [("trace", ()), ("waterfall", ("--waterfall",))])
def test_a_past_run(desk: Desk, size: tuple[int, int], look: str, name: str, options: tuple[str, ...]) -> None:
    fill(desk.command, a_waterfall_run())
    screen = desk.screen(size, look, "trace", *options)
    assert screen.code == 0, screen.text
    assert not screen.wrapped
    shown = "\n".join(screen.marked if look == "colour" else screen.lines)
    expect_screen(SCREENS / f"{name}-{size[0]}-{look}.txt", re.sub(r"[\d,]+ days ago", "<ago>", shown))
