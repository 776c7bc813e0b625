"""What `vibe` imports before it knows that it needs it: nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.mcp_servers import raw

_HEAVY = {"litellm", "trio", "asyncio", "aiosqlite", "rich", "yaml", "jsonschema", "ssl", "msgspec", "sqlite3"}
_OF_COMMANDS = {"vibe_workflows.engine.tree", "vibe_workflows.engine.bench", "vibe_workflows.sandbox.confine"}
_OF_THE_WEB = {"h11", "certifi", "resiliparse", "vibe_workflows.engine.web"}
_ROOMS = {"vibe_workflows.engine", "vibe_workflows.catalog", "vibe_workflows.sandbox"}


def modules_after(*args: str, cwd: Path | None = None, environ: Mapping[str, str] = os.environ) -> set[str]:
    """What is loaded at the end of a process that ran `vibe` with these arguments."""
    run = f"from vibe_workflows.cli.main import main; main({list(args)!r})"
    code = f"import sys; {run}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=dict(environ), capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "args", [("--help",), (), ("run", "--help"), ("trace", "--help"), ("trust", "--help"), ("config", "-h")]
)
def test_help_imports_no_other_room_and_nothing_heavy(args: tuple[str, ...]) -> None:
    loaded = modules_after(*args)
    assert "vibe_workflows.cli.main" in loaded
    assert not loaded & (_HEAVY | _ROOMS)


def test_a_second_listing_imports_nothing_heavy_but_the_index(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    modules_after("list", cwd=tmp_path, environ=environ)  # reads the built-in workflows in the sandbox
    assert not modules_after("list", cwd=tmp_path, environ=environ) & (_HEAVY - {"sqlite3"})


def test_help_of_vibe_imports_no_command() -> None:
    commands = {name for name in modules_after("--help") if name.startswith("vibe_workflows.cli.")}
    assert commands == {"vibe_workflows.cli.main", "vibe_workflows.cli.errors", "vibe_workflows.cli.environment"}


def test_a_run_that_reads_no_page_and_runs_no_command_imports_nothing_for_them(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    (tmp_path / "vibe.yaml").touch()
    (tmp_path / "flow.py").write_text("return await tool('glob', pattern='*.py')")
    for _ in ("live", "from the store"):
        loaded = modules_after("run", "flow.py", "--allow", "web,command", cwd=tmp_path, environ=environ)
        assert "vibe_workflows.engine.agents.tools.web_fetch" in loaded
        assert not loaded & (_OF_THE_WEB | _OF_COMMANDS)


def test_a_run_whose_mcp_tools_are_answered_from_the_store_imports_no_sdk(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    environ |= {"VIBE_MCP": json.dumps({"shelf": {"command": raw("plain")}}), "VIBE_ALLOW": "mcp:shelf"}
    (tmp_path / "flow.py").write_text("async def main(args):\n    return await tool('shelf__call')\n")
    sdk = {"mcp", "mcp_types", "httpx2", "pydantic", "anyio"}
    assert modules_after("run", "flow.py", cwd=tmp_path, environ=environ) > sdk
    assert not modules_after("run", "flow.py", cwd=tmp_path, environ=environ) & sdk


def test_a_run_whose_agents_are_answered_from_the_store_imports_nothing_that_runs_them(tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    (tmp_path / "vibe.yaml").touch()
    (tmp_path / "flow.py").write_text("return await tool('glob', pattern='*.py')")
    for _ in ("live", "from the store"):
        loaded = modules_after("run", "flow.py", cwd=tmp_path, environ=environ)
        mine = {name for name in loaded if name.startswith("vibe_workflows.engine.clis")}
        assert mine == {"vibe_workflows.engine.clis", "vibe_workflows.engine.clis.description"}
        assert not loaded & {"vibe_workflows.engine.backends.command", "vibe_workflows.engine.bench.own"}
