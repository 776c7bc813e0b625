"""A run whose agents look at files, into the store of the working directory: python -m tests.benchmarks.looking SCRIPT.

Its model asks for the looks that a prompt names behind `look:`, and is content with what they give.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vibe_workflows.cli import wiring
from vibe_workflows.engine.backends.scripted import Scripted, ScriptedBackend
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest, Usage

#: Of the model that is played here; where every step is reused, none is asked.
MODEL = "scripted"


def write_sources(project: Path, files: int) -> None:
    """Python files of 1 kB, 50 a folder."""
    (project / ".gitignore").write_text("*.pyc\nbuild/\n")
    for number in range(files):
        folder = project / "src" / f"p{number // 50}"
        folder.mkdir(parents=True, exist_ok=True)
        name = "find_me" if number % 100 == 0 else "other"
        (folder / f"f{number}.py").write_text(f"def {name}_{number}():\n    return {number}\n" + "# comment\n" * 95)


def _reply(request: ModelRequest) -> Scripted:
    if any(message.role is Role.TOOL for message in request.messages):
        return "y" * 200
    looks = json.loads(request.messages[-1].text.rpartition("look:")[2])
    asked = tuple(
        ToolRequest(id=f"id{number}", name=name, arguments=json.dumps(arguments))
        for number, (name, arguments) in enumerate(looks)
    )
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=Usage(input_tokens=1), tool_requests=asked)


def main() -> None:
    settings = wiring.load({"model": MODEL, "concurrency": 50, "max_usd": "none"})
    report = wiring.run_workflow(settings, RunRequest(target=sys.argv[1]), [], backend=ScriptedBackend(_reply))
    assert report.exit_code == 0, report.error


if __name__ == "__main__":
    main()
