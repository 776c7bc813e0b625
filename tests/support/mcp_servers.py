"""Projects of a person who has MCP servers: what stands in the configuration, and the programs that it names."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .whole_runs import RunProject

HERE = Path(__file__).resolve().parent
SHELF = [sys.executable, str(HERE / "mcp_stdio_server.py")]


def raw(behaviour: str, *more: str, mark: str = "mark") -> list[str]:
    """The command of a server that speaks by hand."""
    return [sys.executable, "-S", str(HERE / "mcp_raw_server.py"), mark, behaviour, *more]


def configure(project: RunProject, **servers: Mapping[str, Any]) -> None:
    """Put servers into the person's own configuration."""
    file = project.folder.parent / "home/.config/vibe/config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"mcp": servers}))
