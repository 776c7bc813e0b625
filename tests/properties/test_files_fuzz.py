"""Whatever a child sends as `files`, the engine answers with a typed error or a step, and goes on."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.playing_host import Answers, execute_played
from tests.support.sample_files import PNG
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.errors import ExitCode, SandboxError
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.engine.ports import ScriptCalls

SEED = int(os.environ.get("VIBE_FUZZ_SEED", "20261129"))
#: What a script can be told about the files that it names.
FAULTS = {"ToolDenied", "SetupError", "Conflict"}

_CHARS = "ab./\\\0 \n\t~*?[]{}$%\u202e\u00e9\U0001f600\x1b\x7f"
_PATHS = (
    *("a.txt", "./a.txt", "a.png", "folder", "folder/b.txt", "big.bin", "link", "out", "pipe", "missing"),
    *(
        ".env",
        ".git/config",
        ".vibe/vibe.db",
        "..",
        "../..",
        "/",
        "/etc/passwd",
        "//",
        ".",
        "",
        " ",
        "a.txt/",
        "a.txt/x",
    ),
    *("a" * 255, "a" * 256, "a/" * 2_047, "a" * 4_096, "a" * 4_097, "/dev/zero", "/proc/self/mem", "~/.ssh/id_rsa"),
)


class HostileScript:
    """Sends all of `params` at once and waits for its answers."""

    def __init__(self, params: list[bytes]) -> None:
        self._params = params
        self.answers = Answers()
        self.refused: dict[int, str] = {}  # calls for which a real host kills the child

    async def play(self, calls: ScriptCalls, answers: Answers) -> None:
        self.answers = answers
        for number, params in enumerate(self._params, 1):
            try:
                calls.call(number, 0, 1, 0, "agent", params)
            except SandboxError as error:
                self.refused[number] = error.message
        calls.idle(0)
        await answers.count(len(self._params) - len(self.refused))


def _path(dice: random.Random) -> str:
    if dice.random() < 0.6:
        return dice.choice(_PATHS)
    return "".join(dice.choice(_CHARS) for _ in range(dice.randrange(1, 30)))


def _anything(dice: random.Random, depth: int = 0) -> Any:
    values: list[Any] = [None, True, 0, -1, 1.5, 1 << 70, "", "a.txt", [], {}, {"path": "a.txt"}]
    if depth < 3 and dice.random() < 0.4:
        return [_anything(dice, depth + 1) for _ in range(dice.randrange(4))]
    return dice.choice(values)


def _files(dice: random.Random) -> Any:
    match dice.randrange(6):
        case 0:
            return _anything(dice)
        case 1:
            return [_path(dice), _anything(dice)]
        case 2:
            return [_path(dice)] * dice.choice((1, 2, 99, 100, 101))
        case _:
            return [_path(dice) for _ in range(dice.randrange(5))]


def _params(count: int) -> list[bytes]:
    dice = random.Random(SEED)
    made = [json.dumps({"prompt": f"step {n}", "files": _files(dice)}).encode() for n in range(count)]
    made.append(json.dumps({"prompt": "many", "files": [f"{n}.txt" for n in range(100_000)]}).encode())
    made.append(json.dumps({"prompt": "long", "files": ["x" * 10_000_000]}).encode())
    # As no encoder writes them: halves of surrogate pairs, in escapes.
    made += [b'{"prompt": "x", "files": ["\\u%s.txt"]}' % half for half in (b"d800", b"dc80", b"dfff")]
    return made


def _fill(root: Path) -> None:
    for name, content in {"a.txt": b"text", "a.png": PNG, "folder/b.txt": b"b", ".env": b"A=1"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    with (root / "big.bin").open("wb") as big:
        big.truncate(1 << 40)
    (root / "link").symlink_to("a.txt")
    (root / "out").symlink_to("/etc/hostname")
    os.mkfifo(root / "pipe")


def _run(root: Path, script: HostileScript) -> RunReport:
    async def main() -> RunReport:
        return await execute_played(root, script.play, backend=ScriptedBackend(lambda _request: "ok"))

    return trio.run(main)


def test_files_of_a_hostile_child_end_typed(tmp_path: Path) -> None:
    print(f"VIBE_FUZZ_SEED={SEED}")
    root = tmp_path / "project"
    root.mkdir()
    _fill(root)
    params = _params(1_500)
    script = HostileScript(params)
    report = _run(root, script)
    assert (report.run.status, report.exit_code) == (RunStatus.COMPLETED, ExitCode.DONE), report.error
    told = script.answers
    assert {fault for fault, _ in told.faults.values()} <= FAULTS
    for number, (_, message) in told.faults.items():
        message.encode()
        assert len(message) < 10_000
        assert str(root) not in message, params[number - 1][:200]
    for number in told.values:
        files = json.loads(params[number - 1])["files"]
        named = {os.path.normpath(path) for path in files or ()}
        assert named <= {"a.txt", "a.png", "folder/b.txt", "link"}, files
    # All three ends were reached, many times.
    assert min(len(told.values), len(told.faults), len(script.refused)) > 100


@pytest.mark.parametrize("files", ["[]", "null", '["a.txt"]'])
def test_an_honest_child_is_served(tmp_path: Path, files: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    _fill(root)
    script = HostileScript([b'{"prompt": "x", "files": %s}' % files.encode()])
    _run(root, script)
    assert script.answers.values == {1: b'"ok"'}
