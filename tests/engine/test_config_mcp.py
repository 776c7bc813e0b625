"""The config key `mcp`."""

from __future__ import annotations

from typing import Any

import pytest

from vibe_workflows.engine.config_mcp import mcp
from vibe_workflows.engine.mcp.server import McpServer


def test_a_program_and_a_service() -> None:
    found = mcp(
        {
            "git-hub": {
                "command": ["server", "stdio"],
                "env": ["TOKEN"],
                "cwd": ".",
                "timeout_s": 5,
                "tools": ["a", "a"],
            },
            "docs": {"url": "https://example.com/mcp?x=1", "headers": {"Authorization": "Bearer ${KEY}"}, "ttl": 0},
        },
        False,
    )
    assert found == {
        "git-hub": McpServer(
            name="git-hub", command=("server", "stdio"), env=("TOKEN",), cwd=".", timeout_s=5.0, tools=("a",)
        ),
        "docs": McpServer(
            name="docs", url="https://example.com/mcp?x=1", headers={"Authorization": "Bearer ${KEY}"}, ttl_s=0.0
        ),
    }


def test_from_the_environment_it_is_json() -> None:
    assert mcp('{"a": {"url": "http://localhost:8000/mcp"}}', True)["a"].url == "http://localhost:8000/mcp"


COMMAND = {"command": ["x"]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "`key: value` lines are needed"),
        ({"a__b": COMMAND}, "no name of a server"),
        ({"_a": COMMAND}, "no name of a server"),
        ({"a_": COMMAND}, "no name of a server"),
        ({"1a": COMMAND}, "no name of a server"),
        ({"a" * 31: COMMAND}, "no name of a server"),
        ({"a": "x"}, "server `a`: `command:` or `url:` is needed"),
        ({"a": {}}, "either `command:`"),
        ({"a": {**COMMAND, "url": "https://x"}}, "either `command:`"),
        ({"a": {**COMMAND, "evn": ["X"]}}, "unknown key `evn`; did you mean `env`"),
        ({"a": {"command": "x --y"}}, "a list of program and arguments"),
        ({"a": {"command": ["./x"]}}, "another program in each project"),
        ({"a": {"command": ["bin/x"]}}, "another program in each project"),
        ({"a": {**COMMAND, "env": ["TOKEN=abc"]}}, "no name of a variable"),
        ({"a": {**COMMAND, "headers": {}}}, "`headers` goes with `url:` only"),
        ({"a": {"url": "https://x", "env": ["X"]}}, "`env` goes with `command:` only"),
        ({"a": {"url": "http://example.com/mcp"}}, "elsewhere use https"),
        ({"a": {"url": "http://127.0.0.1.example.com/mcp"}}, "elsewhere use https"),
        ({"a": {"url": "https://user:word@example.com"}}, "without user or password"),
        ({"a": {"url": "file:///etc/passwd"}}, "an address such as"),
        ({"a": {"url": "https://x", "headers": {"A B": "c"}}}, "no name of a header"),
        ({"a": {"url": "https://x", "headers": {"Mcp-Session-Id": "c"}}}, "set by the protocol"),
        ({"a": {"url": "https://x", "headers": {"A": "b\nC: d"}}}, "no printable ASCII"),
        ({"a": {"url": "https://x", "headers": {"A": "${not a name}"}}}, "without the name of a variable"),
        ({"a": {**COMMAND, "timeout_s": 601}}, "at most 600 seconds"),
        ({"a": {**COMMAND, "ttl": -1}}, "from 0 to a year"),
        ({f"a{each}": COMMAND for each in range(51)}, "too many"),
    ],
)
def test_what_is_wrong_is_told(value: Any, message: str) -> None:
    with pytest.raises(ValueError) as told:
        mcp(value, False)
    assert message in str(told.value)
