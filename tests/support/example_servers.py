"""The servers that the examples of workflows name, in a person's own configuration: a search service and `docs`."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from tests.support.web_server import WebReply, WebServer


def set_up_servers(environ: MutableMapping[str, str], web: WebServer, docs: Sequence[str]) -> None:
    """Let searches find the pages of `web` (all that it serves), and start `docs` as the MCP server of that name."""
    found = [{"title": path, "url": web.url(path), "description": "S"} for path in web.routes]
    web.routes["/find"] = WebReply(json.dumps({"web": {"results": found}}))
    environ["SEARCH_KEY"] = "k-0815-secret"
    config: Mapping[str, object] = {
        "web": {
            "allow_hosts": [f"127.0.0.1:{web.port}"],
            "search": {"provider": "brave", "url": web.url("/find"), "key_env": "SEARCH_KEY"},
        },
        "mcp": {"docs": {"command": list(docs)}},
    }
    file = Path(environ["HOME"]) / ".config/vibe/config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(config))
