"""What an MCP server over HTTP may not do: each attack names its guard, and needs it.

Real runs against a real server on loopback. An attack got through if the marker reached the script, or the key of the
one server reached the other.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support.mcp_http_raw import RawHttpServer
from tests.support.mcp_servers import configure
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.engine.mcp import inbound, web

MARK = "attack-marker-6021"
KEY = "key-of-the-first-server"
CALL = body("try:", "    return await tool('rogue__call')", "except AgentError as error:", "    return error.message")


@asynccontextmanager
async def _anywhere(client: Any, method: str, url: Any, **more: Any) -> Any:
    response = await client.send(client.build_request(method, url, **more), stream=True, follow_redirects=True)
    try:
        yield response
    finally:
        await response.aclose()


GUARDS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "own origin": lambda: mock.patch("mcp.client.streamable_http.stream_within_origin", _anywhere),
    "bounded answers": lambda: mock.patch.object(web, "BoundedTransport", lambda inner, _: inner),
    "messages": lambda: mock.patch.object(inbound, "MAX_MESSAGES", 1 << 40),
}

#: Behaviour, guard, and what the script is told instead.
ATTACKS = [
    ("redirects", "own origin", "not followed"),
    ("compresses", "bounded answers", "in the encoding 'gzip', which was not asked for"),
    ("answers at length", "bounded answers", "sent a message of more than 4 MB"),
    ("streams without end", "messages", "sent more than 10,000 messages for one request"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    monkeypatch.setenv("ROGUE_KEY", KEY)
    return new_project(tmp_path, monkeypatch)


# The SDK leaves streams of events to the collector of garbage, which trio tells in warnings.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")


@contextmanager
def _told(project: RunProject, behaviour: str) -> Any:
    with RawHttpServer(MARK, "plain").running() as other, RawHttpServer(MARK, behaviour, other.url).running() as first:
        configure(project, rogue={"url": first.url, "headers": {"X-Key": "${ROGUE_KEY}"}})
        report = project.run(CALL, flags={"allow": "mcp:rogue"})
        assert {each["X-Key"] for each in first.headers} == {KEY}
        gc.collect()
        yield f"{report.result!r} {report.error}", [each.get("X-Key") for each in other.headers]


@pytest.mark.parametrize(("behaviour", "guard", "says"), ATTACKS)
def test_an_attack_of_a_server_over_http_is_stopped(project: RunProject, behaviour: str, guard: str, says: str) -> None:
    with _told(project, behaviour) as (told, sent):
        assert MARK not in told
        assert says in told.replace("\\", "")
        assert sent == []


@pytest.mark.parametrize(("behaviour", "guard", "says"), ATTACKS)
def test_an_attack_of_a_server_over_http_gets_through_without_its_guard(
    project: RunProject, behaviour: str, guard: str, says: str
) -> None:
    with GUARDS[guard](), _told(project, behaviour) as (told, sent):
        assert MARK in told, told
        assert behaviour != "redirects" or sent == [KEY]


def test_every_guard_is_needed_by_an_attack() -> None:
    assert {guard for _, guard, _ in ATTACKS} == set(GUARDS)
