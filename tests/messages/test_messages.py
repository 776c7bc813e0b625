"""What Vibe says when something is wrong, as a terminal of 80 columns shows it: a file in `invocations/` for each wrong
command, and one in `scripts/` for each broken workflow.

Each message says what is wrong, where, and what to do next. tests/support/message_cases.py tells how a file is read. In
`invocations/` there is the workflow `flow.py` beside what a file names. A model is at hand where a command has a key,
and answers as its prompts ask: "answer 429", "answer: some text".

A message that changed on purpose is stored anew with `VIBE_REWRITE_SCREENS=1 pytest tests/messages`; then read `git
diff tests/messages`, and ask of each: what, where, next move? A new case is a file without a result.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.behaviours import Answer, Behaviour, Fail
from tests.support.command import FLOW, Command
from tests.support.exchanges import SeenRequest
from tests.support.fork_server import Server, fork_server
from tests.support.message_cases import Invocation, MessageCase, write_files
from tests.support.model_server import ModelServer
from tests.support.terminals import Screen, expect_screen, masked, terminal_of

HERE = Path(__file__).parent
CASES = sorted([*HERE.glob("invocations/*.txt"), *HERE.glob("scripts/*.txt")])
_SIZE = (80, 60)
_KEY = "OPENAI_API_KEY"


@pytest.fixture(scope="package")
def commands() -> Iterator[Server]:
    with fork_server("tests.support.command_program") as server:
        yield server


@pytest.fixture
def command() -> Iterator[Command]:
    """In a folder whose path is always of the same length, since lines are broken by it."""
    folder = Path(tempfile.mkdtemp(prefix="vibe-", dir="/tmp"))
    yield Command(folder)
    shutil.rmtree(folder)


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.handler = _answer
        yield server


def _answer(request: SeenRequest) -> Behaviour:
    prompt = next(message.text for message in request.conversation().messages if message.role == "user")
    if status := re.search(r"answer (\d{3})", prompt):
        wait = {"retry-after": "86400"} if status[1] == "429" else {}  # longer than any call waits
        return Fail(status=int(status[1]), message="as you asked", headers=wait)
    return Answer(text=prompt.partition("answer: ")[2])


@pytest.mark.parametrize("file", CASES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_message_says_what_is_wrong_where_and_what_to_do(
    file: Path, command: Command, commands: Server, request: pytest.FixtureRequest
) -> None:
    case = MessageCase.of(file.read_text())
    if file.parent.name == "invocations":
        command.write("flow.py", FLOW)
    config = command.home / ".config/vibe/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("concurrency: 1\n")  # one step after the other: what is shown has one order
    write_files(case, command.project, command.home)
    for invocation in case.invocations:
        screen = _shown(invocation, command, commands, request)
    assert screen.code is not None
    assert "Traceback" not in screen.text
    shown = _without_paths_and_figures(screen.text, command)
    expect_screen(file, case.with_result(screen.code, shown))


def _shown(invocation: Invocation, command: Command, commands: Server, request: pytest.FixtureRequest) -> Screen:
    environ = {**command.environ, "TERM": "xterm-256color", "NO_COLOR": "1", **invocation.environ}
    if _KEY in invocation.environ:
        model: ModelServer = request.getfixturevalue("model")
        environ |= {"VIBE_MODEL": "openai/test-model", "VIBE_API_BASE": model.url}
    with terminal_of(*_SIZE) as terminal:
        work = {
            "argv": invocation.argv,
            "cwd": str(command.project),
            "environ": environ,
            "out": terminal.path,
            "err": terminal.path,
        }
        pid = commands.start(work)
        return terminal.end(lambda: commands.wait(pid))


def _without_paths_and_figures(text: str, command: Command) -> str:
    """Without what differs from run to run."""
    text = text.replace(str(command.project), "<project>").replace(str(command.home), "<home>")
    text = masked(text)
    text = re.sub(r"\b(?:\d+m\d\ds|\d+(?:\.\d+)?s|\d+ms)(?=$|[:,;)])", "<time>", text, flags=re.MULTILINE)
    text = re.sub(r"(?<= )[\d.,]+k? tokens", "<n> tokens", text)  # they follow from the system prompt
    text = re.sub(r"\(prompt [0-9a-f]{8}\)", "(prompt <digest>)", text)
    return text.replace(str(command.project.parent), "<folder>")
