"""Programs in PATH that stand for agent CLIs: see fake_cli_program.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: By agent.
PROGRAMS: Mapping[str, str] = {
    "claude-code": "claude",
    "codex": "codex",
    "gemini-cli": "gemini",
    "opencode": "opencode",
    "paseo": "paseo",
}


def install(folder: Path, *agents: str) -> None:
    """Put the programs of these agents, or of all, into a folder that stands in PATH."""
    folder.mkdir(exist_ok=True)
    source = (Path(__file__).parent / "fake_cli_program.py").read_text()
    for agent in agents or PROGRAMS:
        program = folder / PROGRAMS[agent]
        program.write_text(f"#!{sys.executable} -IS\n{source}")
        program.chmod(0o755)


def started(home: Path) -> list[Any]:
    """What each was started with, in order: kind, argv, stdin, cwd, environ."""
    log = home / "started"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def deeds(**deed: Any) -> str:
    """A prompt that has a program do this."""
    return "Do your work.\n" + json.dumps({"do": {what.replace("_", " "): how for what, how in deed.items()}})
