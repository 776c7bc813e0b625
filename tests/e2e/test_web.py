"""The web tools in whole runs: a real sandbox, a real store, a real web server, and a model made of a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trio

from tests.support.agents import asks
from tests.support.leaks import wait_until
from tests.support.web_server import WebReply, WebServer, html, redirect
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.cli.main import main as vibe
from vibe_workflows.engine.agents.tools import registry
from vibe_workflows.engine.agents.tools.web_fetch import WebFetch
from vibe_workflows.engine.errors import ExitCode, GrantNeeded
from vibe_workflows.engine.model import ModelReply, ModelRequest, Role

PAGE = "<title>T</title><p>Tea is a drink.</p>"
WEB: dict[str, Any] = {"flags": {"allow": "web"}}
AGENT = body("return await agent('Read it.', tools=['web'], retries=0, label='reader')")


@pytest.fixture
def server() -> Iterator[WebServer]:
    routes = {"/": html(PAGE), "/old": redirect("/")}
    with WebServer(routes) as started:
        yield started


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: WebServer) -> RunProject:
    made = new_project(tmp_path, monkeypatch)
    monkeypatch.setenv("SEARCH_KEY", "k-0815-secret")
    config = tmp_path / "home/.config/vibe/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"web:\n  allow_hosts: ['127.0.0.1:{server.port}']\n"
        f"  search: {{provider: brave, url: '{server.url('/find')}', key_env: SEARCH_KEY}}\n"
    )
    return made


def fetching(server: WebServer, path: str = "/") -> str:
    return body(f"return await tool('web_fetch', url={server.url(path)!r})")


def calling(*calls: tuple[str, dict[str, Any]]) -> Callable[[ModelRequest], ModelReply | str]:
    """A model that makes these calls in its first turn, and then says what it was told."""

    def answer(request: ModelRequest) -> ModelReply | str:
        told = [message.text for message in request.messages if message.role is Role.TOOL]
        return "\n---\n".join(told) if told else asks(*((name, json.dumps(arguments)) for name, arguments in calls))

    return answer


def test_a_script_and_an_agent_read_a_page(project: RunProject, server: WebServer) -> None:
    page = project.result(fetching(server, "/old"), **WEB)
    assert (page["url"], page["status"], page["title"], page["text"]) == (server.url("/"), 200, "T", "Tea is a drink.")
    told = project.result(AGENT, calling(("web_fetch", {"url": server.url("/old")})), **WEB)
    assert told.startswith(f"{server.url('/')}: status 200, text/html, ")
    assert told.endswith("\nTitle: T\nTea is a drink.")


def test_a_script_and_an_agent_search_with_the_key_of_the_environment(project: RunProject, server: WebServer) -> None:
    found = {"web": {"results": [{"title": "T", "url": "https://a.example/", "description": "S"}]}}
    server.routes["/find"] = WebReply(json.dumps(found))
    assert project.result(body("return await tool('web_search', query='tea', count=2)"), **WEB) == {
        "results": [{"title": "T", "url": "https://a.example/", "snippet": "S"}]
    }
    assert "1. T\n   https://a.example/\n   S" in project.result(
        AGENT, calling(("web_search", {"query": "tea"})), **WEB
    )
    assert [request.headers["x-subscription-token"] for request in server.requests] == ["k-0815-secret"] * 2
    assert b"k-0815" not in b"".join(
        file.read_bytes() for file in (project.folder / ".vibe").rglob("*") if file.is_file()
    )


def test_without_the_grant_nothing_is_looked_up_or_sent(project: RunProject, server: WebServer) -> None:
    with mock.patch("socket.getaddrinfo", side_effect=AssertionError("a name was looked up")):
        for call in (
            f"tool('web_fetch', url={server.url()!r})",
            "tool('web_search', query='x')",
            "agent('x', tools=['web'])",
        ):
            source = body("try:", f"    await {call}", "except ToolDenied as error:", "    return error.message")
            assert "needs the grant `web`" in project.result(source)
        with pytest.raises(GrantNeeded, match="--allow web"):
            project.run('meta = {"permissions": ["web"]}\n' + fetching(server))
        # A model whose step was given other tools is told that there is no such tool.
        source = body("return await agent('x', tools=['read'], retries=0)")
        assert "no tool `web_fetch`" in project.result(source, calling(("web_fetch", {"url": server.url()})), **WEB)
    assert server.connections == 0


def test_the_grant_alone_stands_between_a_step_and_the_web(project: RunProject, server: WebServer) -> None:
    with mock.patch.object(registry, "require_tool", return_value=None):
        assert project.result(fetching(server))["title"] == "T"
        assert "Tea is a drink" in project.result(AGENT, calling(("web_fetch", {"url": server.url()})))


def test_a_project_cannot_open_ones_own_network_nor_choose_who_answers_searches(
    project: RunProject, server: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "home/.config/vibe/config.yaml").unlink()
    project.write(
        "vibe.yaml",
        f"web:\n  allow_hosts: ['127.0.0.1:{server.port}']\n  search: {{provider: searxng, url: '{server.url()}'}}\n",
    )
    report = project.run(fetching(server), **WEB)
    assert report.error is not None
    assert "only ports 80 and 443" in report.error.message
    report = project.run(body("return await tool('web_search', query='x')"), **WEB)
    assert report.error is not None
    assert report.error.type == "SetupError"
    assert "no provider is configured" in report.error.message
    assert server.connections == 0


def test_a_page_is_answered_from_the_store_for_a_day(project: RunProject, server: WebServer) -> None:
    script = fetching(server)
    first = project.result(script, **WEB)
    server.routes["/"] = html("changed")
    assert project.result(script, **WEB) == first
    assert len(server.requests) == 1
    with mock.patch.object(WebFetch, "ttl_s", 1e-6):
        assert project.result(script, **WEB)["text"] == "changed"
    assert project.result(script, **WEB)["text"] == "changed"
    assert len(server.requests) == 2


def test_an_agent_that_has_web_tools_is_asked_again_after_a_day_unless_it_says_how_long(
    project: RunProject, server: WebServer
) -> None:
    says = calling(("web_fetch", {"url": server.url()}))
    longer = AGENT.replace("Read it.", "Read it again.").replace("retries=0", "retries=0, ttl='30d'")
    other = AGENT.replace("['web']", "['read']")
    for source, again in ((AGENT, True), (longer, False), (other, False)):
        project.result(source, says, **WEB)
        assert project.asked
        project.result(source, says, **WEB)
        assert not project.asked
        with mock.patch.object(WebFetch, "ttl_s", 1e-6):
            project.result(source, says, **WEB)
        assert bool(project.asked) is again


def test_a_page_that_failed_is_fetched_again(project: RunProject, server: WebServer) -> None:
    server.routes["/"] = WebReply("down", status=503)
    report = project.run(fetching(server), **WEB)
    assert report.error is not None
    assert (report.error.type, "answers 503" in report.error.message) == ("ToolFailed", True)
    server.routes["/"] = html("up")
    assert project.result(fetching(server), **WEB)["text"] == "up"


def test_a_dry_run_sends_nothing(project: RunProject, server: WebServer) -> None:
    found = project.dry_run('meta = {"permissions": ["web"]}\n' + fetching(server))
    assert server.connections == 0
    assert found.missing_grants == ("web",)
    assert [step.label for step in found.live] == ["web_fetch"]


def test_pages_of_one_turn_are_fetched_at_the_same_time(project: RunProject, server: WebServer) -> None:
    met = trio.Event()
    waiting: list[str] = []

    async def together(stream: trio.abc.Stream) -> None:
        waiting.append("x")
        if len(waiting) == 3:
            met.set()
        with trio.fail_after(10):
            await met.wait()
        await stream.send_all(html("met").raw)

    server.rude |= {f"/{number}": together for number in range(3)}
    calls = [("web_fetch", {"url": server.url(f"/{number}")}) for number in range(3)]
    assert project.result(AGENT, calling(*calls), **WEB).count("met") == 3


def test_no_edit_waits_for_a_page(project: RunProject, server: WebServer) -> None:
    made = project.folder / "made.txt"

    async def once_it_is_there(stream: trio.abc.Stream) -> None:
        there = await trio.to_thread.run_sync(wait_until, made.exists)
        await stream.send_all(html("it is there" if there else "it never came").raw)

    server.rude["/"] = once_it_is_there
    source = body(
        "return await parallel([",
        f"    tool('web_fetch', url={server.url()!r}),",
        "    tool('write_file', path='made.txt', content='x'),",
        "], on_error='raise')",
    )
    page, _ = project.result(source, flags={"allow": "web,write"})
    assert page["text"] == "it is there"


def test_the_trace_shows_where_a_page_was_asked_for_and_found(
    project: RunProject, server: WebServer, capsys: pytest.CaptureFixture[str]
) -> None:
    report = project.run(AGENT, calling(("web_fetch", {"url": server.url("/old")})), **WEB)
    assert report.exit_code is ExitCode.DONE
    assert vibe(["trace", "--step", "1"]) == 0
    shown = capsys.readouterr().out
    assert f'web_fetch {{"url": "{server.url("/old")}"}}' in shown
    assert f"{server.url('/')}: status 200, text/html, {len(PAGE)} bytes" in shown


def test_a_denied_page_is_told_to_the_model_which_goes_on(project: RunProject, server: WebServer) -> None:
    urls = ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1/", "file:///etc/passwd", "http://2130706433/"]
    told = project.result(AGENT, calling(*(("web_fetch", {"url": url}) for url in urls)), **WEB).split("\n---\n")
    assert len(told) == 4
    assert all(each.startswith("Denied: ") for each in told)
    assert server.connections == 0
