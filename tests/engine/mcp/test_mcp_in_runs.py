"""Runs whose steps use MCP servers: real ones, started and connected to as a person's are."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agents import asks, says
from tests.support.leaks import wait_until
from tests.support.mcp_http_raw import RawHttpServer
from tests.support.mcp_servers import HERE, SHELF, configure, raw
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import Warned
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.mcp import servers
from vibe_workflows.engine.model import ModelReply, ModelRequest, Role

ALLOWED = {"allow": "mcp:shelf"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    made = new_project(tmp_path, monkeypatch)
    monkeypatch.setenv("SHELF_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("ODD_KEY", "sk-odd\t")
    return made


@pytest.fixture
def shelf(project: RunProject) -> RunProject:
    """With a real server, on the server side of the SDK."""
    configure(project, shelf={"command": SHELF, "env": ["SHELF_LOG"]})
    return project


def log(project: RunProject) -> list[str]:
    """What the server has done."""
    file = project.folder.parent / "log"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def message(report: RunReport) -> str:
    assert report.error is not None
    return report.error.message


# ---------------------------------------------------------------- a real server over stdio


def test_a_script_and_an_agent_use_a_server_which_is_started_once_and_not_by_a_rerun(shelf: RunProject) -> None:
    source = body(
        "found = await parallel(tool('shelf__search', query=word, limit=1) for word in ('a', 'b', 'c'))",
        "return [found, await agent('Note it.', tools=['mcp:shelf'])]",
    )
    turns = iter([asks(("shelf__note", '{"text": "hi"}'), ("shelf__fail", '{"why": "x"}')), says("done")])

    def answer(_request: ModelRequest) -> ModelReply:
        return next(turns)

    expected = [[{"result": [f"{word} 1"]} for word in "abc"], "done"]
    assert shelf.result(source, answer, flags=ALLOWED) == expected
    offered = {tool.name: tool for tool in shelf.backend.requests[0].tools}
    assert sorted(offered) == [f"shelf__{name}" for name in ("fail", "hang", "note", "quit_now", "search", "whoami")]
    assert offered["shelf__search"].description == "Titles on the shelf that hold a word."
    outputs = [each.text for each in shelf.backend.requests[1].messages if each.role is Role.TOOL]
    assert outputs[0] == "noted: hi"
    assert outputs[1].startswith("Error: shelf__fail: ")
    done = log(shelf)
    assert done[0] == "started"
    assert sorted(done[1:]) == ["note hi", "search a", "search b", "search c"]

    assert shelf.result(source, flags=ALLOWED) == expected
    assert shelf.asked == 0
    assert log(shelf) == done


def test_a_server_sees_a_few_variables_and_those_that_are_named_and_stands_in_the_home(
    shelf: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    seen = shelf.result(body("return await tool('shelf__whoami')"), flags=ALLOWED)
    home = str(shelf.folder.parent / "home")
    assert seen["environ"]["HOME"] == seen["cwd"] == home
    assert seen["environ"]["SHELF_LOG"] == os.environ["SHELF_LOG"]
    assert set(seen["environ"]) <= {"HOME", "LANG", "PATH", "SHELF_LOG", "SHELL", "TERM", "TZ", "USER", "LOGNAME"} | {
        name for name in os.environ if name.startswith(("XDG_", "LC_", "TMPDIR"))
    }


def test_a_call_that_is_cancelled_does_not_disturb_the_others(shelf: RunProject) -> None:
    source = body(
        "try:",
        "    await parallel([tool('shelf__hang'), tool('shelf__fail', why='x')], on_error='raise')",
        "except ToolFailed:",
        "    return await tool('shelf__note', text='after')",
    )
    assert shelf.result(source, flags=ALLOWED) == {"text": "noted: after"}
    assert log(shelf) == ["started", "note after"]


def test_a_server_says_why_it_ended(shelf: RunProject) -> None:
    report = shelf.run(body("return await tool('shelf__quit_now')"), flags=ALLOWED)
    assert message(report).endswith("the MCP server `shelf` ended; its last words: going, going")


def test_a_server_that_ends_is_started_again_at_the_next_call_and_three_times_at_most(project: RunProject) -> None:
    configure(project, shelf={"command": raw("ends")})
    ending = ["try:", "    await tool('shelf__call')", "except ToolFailed as error:", "    told.append(error.message)"]
    told = project.result(body("told = []", *(ending * 4), "return told"), flags=ALLOWED)
    assert told == [
        *(["the MCP server `shelf` ended"] * 3),
        "the MCP server `shelf` has ended 3 times in this run, and is not started again",
    ]


# ---------------------------------------------------------------- reuse


def test_an_answer_expires_as_the_server_is_configured(project: RunProject) -> None:
    source = body("return await tool('shelf__call')")
    configure(project, shelf={"command": raw("plain")})
    assert project.run(source, flags=ALLOWED).run.live_steps == 1
    assert project.run(source, flags=ALLOWED).run.stored_steps == 1
    configure(project, shelf={"command": raw("plain"), "ttl": 0})
    assert project.run(source, flags=ALLOWED).run.live_steps == 1


def test_a_step_may_say_how_long_its_answer_counts(project: RunProject) -> None:
    configure(project, shelf={"command": raw("plain"), "ttl": 0})
    source = body("return await agent('x', tools=['mcp:shelf'], ttl=3600)")
    assert project.run(source, flags=ALLOWED).run.live_steps == 1
    assert project.run(source, flags=ALLOWED).run.stored_steps == 1


def test_another_description_is_another_step_once_the_server_has_told_it(project: RunProject) -> None:
    tools = project.folder.parent / "tools.json"
    source = body("return await agent('x', tools=['mcp:shelf'])", "")

    def runs(about: str, ttl: float) -> RunReport:
        tools.write_text(json.dumps([{"name": "call", "description": about, "inputSchema": {"type": "object"}}]))
        configure(project, shelf={"command": raw("plain", str(tools)), "ttl": ttl})
        turns = iter([asks(("shelf__call", "{}")), says("done")])
        return project.run(source, lambda _request: next(turns), flags=ALLOWED)

    assert runs("one", 86_400).run.live_steps == 1
    assert runs("two", 86_400).run.stored_steps == 1  # nobody has asked the server again
    assert runs("two", 0).run.live_steps == 1  # with the list as it was, and now it has been asked
    assert runs("two", 86_400).run.live_steps == 1
    assert runs("two", 86_400).run.stored_steps == 1


def test_a_dry_run_starts_no_server(shelf: RunProject) -> None:
    source = body("return await agent('x', tools=['mcp:shelf'])")
    ending = shelf.dry_run(source, flags=ALLOWED).ending
    assert ending is not None
    assert ending.fault is not None
    assert "the tools of the MCP server `shelf` are not known: they were never listed here" in ending.fault.message
    shelf.run(source, flags=ALLOWED)
    before = log(shelf)
    (coming,) = shelf.dry_run(source, flags=ALLOWED, fresh=True).live
    assert "shelf__search" in coming.tools
    assert log(shelf) == before


def test_a_run_that_does_not_name_a_server_does_not_start_it(shelf: RunProject) -> None:
    assert shelf.run(body("return 1"), flags={"allow": "mcp"}).exit_code is ExitCode.DONE
    assert log(shelf) == []


# ---------------------------------------------------------------- grants, names, and what goes wrong


def test_a_tool_of_a_server_that_is_not_granted_is_denied_and_a_whole_grant_covers_each_server(
    project: RunProject,
) -> None:
    configure(project, shelf={"command": raw("plain")})
    source = body("return await tool('shelf__call')")
    assert project.run(source, flags={"allow": "mcp"}).exit_code is ExitCode.DONE
    denied = project.run(source, flags={"allow": "mcp:other"})
    assert "tool `shelf__call` needs the grant `mcp:shelf`, which this run does not have" in message(denied)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({"command": ["no-such-program-here"]}, "there is no program 'no-such-program-here' here"),
        ({"command": raw("plain"), "env": ["NOT_SET_HERE"]}, "the variable NOT_SET_HERE, which your configuration"),
        ({"command": raw("plain"), "cwd": "nowhere"}, "nowhere is no folder"),
        ({"command": [sys.executable, "-c", "raise SystemExit('I am ill')"]}, "ended; its last words: I am ill"),
        ({"command": [sys.executable, "-c", "print('{}')"]}, "the MCP server `shelf` ended"),
        ({"command": raw("old version")}, "Unsupported protocol version from the server: 1999-01-01"),
        (
            {"url": "http://127.0.0.1:9/mcp", "headers": {"A": "${ODD_KEY}"}},
            "the value of the header A is no plain text",
        ),
        ({"url": "http://127.0.0.1:9/mcp"}, "the MCP server `shelf` cannot be reached: ConnectError"),
    ],
)
def test_a_server_that_cannot_be_used_is_a_setup_error_that_says_why(
    project: RunProject, server: dict[str, object], told: str
) -> None:
    configure(project, shelf=server)
    report = project.run(body("return await tool('shelf__call')"), flags=ALLOWED)
    assert report.exit_code is ExitCode.USAGE
    assert "the tools of the MCP server `shelf` are not known: " in message(report)
    assert told in message(report)
    assert "sk-odd" not in message(report)


def test_a_call_without_an_answer_ends_at_its_limit_and_the_server_goes_on(project: RunProject) -> None:
    configure(project, shelf={"command": raw("no answer"), "timeout_s": 0.2})
    report = project.run(body("return await tool('shelf__call')"), flags=ALLOWED)
    assert "the MCP server `shelf` gave no answer to 'call' within 0.2 s" in message(report)


def test_a_malformed_answer_is_a_failure(project: RunProject) -> None:
    configure(project, shelf={"command": raw("malformed answer")})
    report = project.run(body("return await tool('shelf__call')"), flags=ALLOWED)
    assert "answered in a form that the protocol does not have" in message(report)


def test_no_schema_of_an_answer_is_evaluated_here(project: RunProject) -> None:
    """It may be of a kind that takes years."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    tools = project.folder.parent / "tools.json"
    tools.write_text(json.dumps([{"name": "call", "inputSchema": {"type": "object"}, "outputSchema": schema}]))
    configure(project, shelf={"command": raw("unfit answer", str(tools))})
    assert project.result(body("return await tool('shelf__call')"), flags=ALLOWED) == {"a": 1, "mark": "mark"}


def test_a_tool_that_is_left_out_is_told_with_the_reason(project: RunProject) -> None:
    tools = project.folder.parent / "tools.json"
    tools.write_text(json.dumps([{"name": "call", "inputSchema": {"type": "object", "$ref": "a:/b"}}]))
    configure(project, shelf={"command": raw("plain", str(tools)), "tools": ["call", "other"]})
    for _ in range(2):  # asked, and remembered
        project.run(body("return 'mcp:shelf'"), flags=ALLOWED)
        assert [each.message for each in project.seen.of(Warned)] == [
            "MCP server `shelf`: its tool 'call' is left out: its schema refers to 'a:/b', which is not a part of it",
            "MCP server `shelf`: it has no tool 'call', which your configuration names",
            "MCP server `shelf`: it has no tool 'other', which your configuration names",
        ]


def test_a_misspelt_tool_of_a_server_names_the_nearest(project: RunProject) -> None:
    configure(project, shelf={"command": raw("plain")})
    report = project.run(body("return await tool('shelf__cal')"), flags=ALLOWED)
    assert "no tool `shelf__cal`; did you mean `shelf__call`?" in message(report)
    assert message(report).endswith("groups: read, write, command, web, mcp:shelf")


# ---------------------------------------------------------------- over HTTP


@pytest.fixture
def web_shelf() -> Iterator[str]:
    """The address of a real server, on the server side of the SDK."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "mcp_http_server.py"), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: _listens(port), 60.0)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # the SDK leaves streams of events open
def test_a_real_server_over_http(project: RunProject, web_shelf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # not in force
    configure(project, shelf={"url": web_shelf})
    assert project.result(body("return await tool('shelf__add', a=2, b=3)"), flags=ALLOWED) == {"result": 5}
    gc.collect()


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
def test_a_header_has_the_value_of_its_variable_and_no_trace_of_it_is_kept(
    project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELF_KEY", "sk-the-key-of-the-shelf")
    with RawHttpServer("mark", "plain").running() as server:
        configure(project, shelf={"url": server.url, "headers": {"Authorization": "Bearer ${SHELF_KEY}"}})
        assert project.result(body("return await tool('shelf__call')"), flags=ALLOWED) == {"text": "mark"}
    assert {each["Authorization"] for each in server.headers} == {"Bearer sk-the-key-of-the-shelf"}
    kept = [file for file in project.folder.parent.rglob("*") if file.is_file()]
    assert any(file.suffix == ".db" for file in kept)
    assert any(file.parent.name == "mcp" for file in kept)
    assert not [file for file in kept if b"sk-the-key-of-the-shelf" in file.read_bytes()]
    gc.collect()


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
def test_a_service_that_does_not_answer_to_the_end_of_its_session_holds_no_run(
    project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "END_S", 0.2)
    with RawHttpServer("mark", "does not let go").running() as server:
        configure(project, shelf={"url": server.url})
        assert project.result(body("return await tool('shelf__call')"), flags=ALLOWED) == {"text": "mark"}
        assert server.asked_to_end.is_set()
        assert not server.over.is_set()
    gc.collect()
