"""`vibe guide` is right: its example runs, its options and names exist, and it stays one page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.script_child import ForkServer, fork_server
from vibe_workflows.sandbox.facades.registry import importable
from vibe_workflows.sandbox.names import NOT_YET, PRIMITIVES
from vibe_workflows.sandbox.options import AGENT_OPTIONS, FAN_OUT_OPTIONS

GUIDE = Path(__file__).parents[2].joinpath("cli", "guide.md").read_text(encoding="utf-8")
EXAMPLE = GUIDE.split("```python\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def test_it_is_one_page() -> None:
    assert len(GUIDE.split()) < 2_000


def test_its_example_runs_and_does_what_it_says(child: ForkServer) -> None:
    def reply(call: dict[str, Any]) -> Any:
        params = call["p"]
        if call["m"] == "tool":
            return {"paths": ["a.py", "b.py", "c.py"], "truncated": False}
        if "Name its most likely bug" in params["prompt"]:
            return {"found": params["label"] != "c.py", "line": 3, "problem": f"bug of {params['label']}"}
        if "Try to refute" in params["prompt"]:
            return {"refuted": "a.py" in params["prompt"]}
        return params["prompt"]

    ran = child.script(EXAMPLE, args={"path": "src", "votes": 3}).serve(reply)
    assert '"path": "b.py"' in ran.value
    assert "a.py" not in ran.value
    assert len(ran.calls) == 1 + 3 + 2 * 3 + 1
    assert ran.logs == ["verified"]


def test_every_primitive_and_option_is_in_it_and_no_other() -> None:
    for name in PRIMITIVES - NOT_YET:
        assert re.search(rf"`{name}|\*\*`(await )?{name}", GUIDE), name
    for name in NOT_YET:
        assert not re.search(rf"\b{name}\(", GUIDE), name
    table = GUIDE.split("| option | meaning |")[1].split("\n\n")[0]
    options = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)", row.split("|")[1])}
    assert options == set(AGENT_OPTIONS)
    for name in FAN_OUT_OPTIONS:
        assert f"{name}=" in GUIDE


def test_its_imports_are_those_that_work(child: ForkServer) -> None:
    text = GUIDE.split("Importable: ")[1].split(". Nothing else")[0]
    named = set(re.findall(r"[\w.]+", text)) - {"PurePosixPath", "only", "and"}
    assert named == {name.strip() for name in importable().split(",")}
    source = "\n".join(f"import {name}" for name in sorted(named))
    assert child.script(source).until_quiet()[-1]["t"] == "done"
