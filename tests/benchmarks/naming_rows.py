"""What it takes to name workflows: help, the list and a TAB, in a project of many."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from .processes import VIBE
from .table import Bench, Row

WORKFLOWS = 200

#: Of an ordinary length: what a file costs is reading and hashing it, and what the index holds of it.
_WORKFLOW = '''"""Looks at part {number} of the project, and says what is to be done there."""

meta = {{
    "phases": ["Look", "Judge", "Report"],
    "args": {{
        "type": "object",
        "properties": {{
            "path": {{"type": "string", "default": ".", "description": "what to look at"}},
            "depth": {{"type": "integer", "default": {number}, "description": "how deep to look"}},
        }},
    }},
}}


async def main(args):
    phase("Look")
    files = await tool("glob", pattern=f"{{args.path}}/**/*.py")
    notes = await parallel(agent(f"Read {{file}} and say what is to be done", label="look") for file in files)
    phase("Report")
    return await agent("Merge: " + json.dumps(notes), label="report")
'''


def naming(bench: Bench) -> list[Row]:
    """`cold` is the first list of a person: all files are read in a locked child, and kept."""
    plain = bench.process(sys.executable, "-c", "pass").seconds
    click = bench.process(sys.executable, "-c", "import click").seconds
    beside = f"python -c pass: {plain:.3f} s, import click: {click:.3f} s"
    folder = bench.project / "workflows"
    folder.mkdir()
    for number in range(WORKFLOWS):
        (folder / f"part_{number:03}.py").write_text(_WORKFLOW.format(number=number))
    cases = (
        ("vibe --help", bench.vibe("--help").seconds, 0.15),
        ("vibe list, cold", _cold(bench), None),
        ("vibe list", bench.vibe("list").seconds, 0.15),
        ("TAB after `vibe `", _tab(bench, "vibe "), 0.15),
        ("TAB after `vibe part-007 --`", _tab(bench, "vibe part-007 --"), 0.15),
    )
    return [
        Row(
            name=f"{name}, {WORKFLOWS} workflows",
            value=seconds,
            unit="s",
            goal=goal,
            beside=beside,
            ratio=seconds / plain,
        )
        for name, seconds, goal in cases
    ]


def _tab(bench: Bench, line: str) -> float:
    return bench.process(*VIBE, _VIBE_COMPLETE="fish_complete", _VIBE_LINE=line).seconds


def _cold(bench: Bench) -> float:
    times = []
    for _ in range(3):
        shutil.rmtree(Path(bench.environ["HOME"]) / ".cache", ignore_errors=True)
        started = time.perf_counter()
        bench.once(*VIBE, "list")
        times.append(time.perf_counter() - started)
    return sorted(times)[1]
