"""The typed module for editors: complete, importable anywhere, and of no use outside of a workflow."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from vibe_workflows import script
from vibe_workflows.sandbox import primitives, script_errors
from vibe_workflows.sandbox.branch_random import RANDOM_FUNCTIONS
from vibe_workflows.sandbox.names import NOT_YET, PRIMITIVES
from vibe_workflows.sandbox.options import AGENT_OPTIONS, FAN_OUT_OPTIONS, PHASE_OPTIONS, RACE_OPTIONS
from vibe_workflows.sandbox.values import STEP_RESULT_FIELDS
from vibe_workflows.script import types

ROOT = Path(__file__).parents[2]


def test_every_primitive_and_error_is_there() -> None:
    assert set(script.__all__) >= PRIMITIVES - NOT_YET
    assert set(script.__all__) >= set(script_errors.ERRORS)
    assert set(script.__all__) >= set(primitives.ANNOTATIONS)
    for name, cls in script_errors.ERRORS.items():
        assert getattr(script, name) is cls


def test_it_declares_exactly_the_options_that_the_child_takes() -> None:
    assert set(types.AgentOptions.__annotations__) | {"schema", "detail"} == set(AGENT_OPTIONS)
    assert set(types.FanOutOptions.__annotations__) == set(FAN_OUT_OPTIONS)
    assert set(script.phase.__annotations__) - {"title", "return"} == set(PHASE_OPTIONS)
    assert set(script.race.__annotations__) - {"steps", "return"} == set(RACE_OPTIONS)
    assert {name for name in vars(types.StepResult) if not name.startswith("_")} == set(STEP_RESULT_FIELDS)
    assert {name for name in vars(types.Random) if not name.startswith("_")} == set(RANDOM_FUNCTIONS)


def test_everything_public_is_documented() -> None:
    for name in script.__all__:
        member = getattr(script, name)
        if callable(member) and not isinstance(member, types.Budget) and name not in ("JSON", "args", "random"):
            assert member.__doc__, name


@pytest.mark.parametrize(
    "use",
    [
        lambda: script.agent("x"),
        lambda: script.tool("grep", pattern="x"),
        lambda: script.merge(None),  # type: ignore[arg-type]
        lambda: script.parallel([]),
        lambda: script.race([]),
        lambda: script.pipeline([], lambda x: x),
        lambda: script.phase("x"),
        lambda: script.budget.remaining(),
        lambda: script.budget(tokens=5),
        lambda: script.log("x"),
        lambda: script.now(),
        lambda: script.has_model(),
        lambda: script.args.path,
        lambda: script.random.random(),
    ],
)
def test_outside_of_a_workflow_a_primitive_says_how_to_run(use: Any) -> None:
    with pytest.raises(script.OutsideWorkflow, match="vibe run FILE"):
        use()


def test_the_import_is_light_and_brings_no_engine() -> None:
    heavy = ["msgspec", "trio", "asyncio", "RestrictedPython"]
    code = f"import sys, vibe_workflows.script; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_child_imports_is_the_standard_library_and_the_sandbox() -> None:
    code = (
        "import sys; before = set(sys.modules); import vibe_workflows.sandbox.child; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)), "
        "'asyncio' in sys.modules, [m for m in sys.modules if m.startswith('vibe_workflows') and 'sandbox' not in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['RestrictedPython', 'vibe_workflows'] False ['vibe_workflows']"


TYPED = """
from vibe_workflows.script import (
    AgentError, Args, BudgetExceeded, StepResult, agent, budget, log, merge, now, parallel, phase, pipeline, race,
    random, tool,
)

async def main(args: Args) -> object:
    phase("One")
    text: str = await agent("x", label="l", tools=["read"], budget="200k")
    result: StepResult = await agent(
        "x", detail=True, isolation="worktree", merge="manual", gate=["pytest", "-q"], gate_retries=3
    )
    merged: list[str] = await merge(result)
    value = await agent("x", schema={"type": "object"})
    with budget(tokens=5), phase("Two", budget={"usd": 1.5}):
        found = await parallel((agent(f"{n}") for n in range(3)), limit=2, on_error="return")
        more = await pipeline(["a"], lambda item: agent(item), len)
    try:
        await tool("grep", pattern=args.path)
    except (AgentError, BudgetExceeded) as error:
        log(error.message, kind=error.kind, results=error.results)
    first: str = await race([agent("a"), agent("b")], until=lambda said: "yes" in said)
    log(first, *merged)
    return [text.upper(), result.turns, value, found[0], more, now().year, random.choice([1]), budget.remaining("usd")]
"""

WRONG = """
from vibe_workflows.script import agent, parallel

async def main(args: object) -> None:
    await agent("x", modle="y")
    number: int = await agent("x")
    await parallel([agent("x")], on_error="ignore")
    agent(3)
"""


def check_types(source: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "flow.py")
        file.write_text(source)
        command = [sys.executable, "-m", "mypy", "--strict", f"--config-file={ROOT / 'pyproject.toml'}", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout


def test_a_type_checker_accepts_a_right_script_and_finds_what_is_wrong() -> None:
    assert "Success" in check_types(TYPED)
    said = check_types(WRONG)
    for line in (5, 6, 7, 8):
        assert f"flow.py:{line}: error" in said
