"""The loopback server by itself: what other tests rely on."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.behaviours import Answer, Call, Fail, Hang, Tokens
from tests.support.openai_server import OpenAIServer, behaviour_from

ROOT = Path(__file__).parents[3]
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def _post(connection: http.client.HTTPConnection, **changes: Any) -> tuple[int, Any]:
    headers = {"Authorization": "Bearer sk-secret", "X-Other": "kept"}
    connection.request("POST", "/v1/chat/completions", json.dumps({**BODY, **changes}), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_plain_answers_share_a_connection_and_are_recorded_without_the_key(openai_server: OpenAIServer) -> None:
    openai_server.behave(Answer(text="one", usage=Tokens(prompt=5, completion=2, cached=3)), Fail(status=429))
    connection = http.client.HTTPConnection("127.0.0.1", openai_server.port)
    status, answer = _post(connection)
    refused, error = _post(connection)
    fine, default = _post(connection)
    connection.close()
    assert (status, refused, fine) == (200, 429, 200)
    assert answer["choices"][0]["message"]["content"] == "one"
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert error["error"]["message"] == "it did not work"
    assert default["choices"][0]["message"]["content"].startswith("answer ")
    seen = openai_server.wait_requests(3)
    assert len({one.connection for one in seen}) == 1
    assert "sk-secret" not in repr(seen)
    assert seen[0].headers["x-other"] == "kept"
    [closed] = openai_server.wait_closed(1)
    assert (closed.by, closed.request) == ("client", None)


def test_a_submit_tool_is_called_with_a_value_that_fits_it(openai_server: OpenAIServer) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 4}}, "required": ["n"]}
    connection = http.client.HTTPConnection("127.0.0.1", openai_server.port)
    _, answer = _post(
        connection, tools=[{"type": "function", "function": {"name": "submit_answer", "parameters": parameters}}]
    )
    connection.close()
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"n": 4}


def test_a_client_that_leaves_a_held_request_is_seen_at_once(openai_server: OpenAIServer) -> None:
    openai_server.hold()
    connection = http.client.HTTPConnection("127.0.0.1", openai_server.port)
    connection.request("POST", "/v1/chat/completions", json.dumps(BODY))
    openai_server.wait_requests(1)
    connection.close()
    [closed] = openai_server.wait_closed(1)
    assert (closed.by, closed.request) == ("client", 1)


def test_behaviours_can_be_given_as_json() -> None:
    assert behaviour_from('{"Fail": {"status": 429, "headers": {"Retry-After": "1"}}}') == Fail(
        status=429, headers={"Retry-After": "1"}
    )
    assert behaviour_from('{"Answer": {"calls": [{"name": "f"}], "usage": null}}') == Answer(
        calls=(Call(name="f"),), usage=None
    )
    assert behaviour_from('{"Hang": {"text": "x"}}') == Hang(text="x")


def test_as_a_process_it_prints_its_address_and_logs_what_it_saw(tmp_path: Path) -> None:
    log = tmp_path / "seen.jsonl"
    argv = [
        sys.executable,
        "-m",
        "tests.support.openai_server",
        "--log",
        str(log),
        "--behave",
        '{"Fail": {"status": 418}}',
    ]
    with subprocess.Popen(argv, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        connection = http.client.HTTPConnection(url.removeprefix("http://").removesuffix("/v1"))
        assert [_post(connection)[0], _post(connection)[0]] == [418, 200]
        connection.close()
        server.terminate()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["seen"] for line in lines[:2]] == ["request", "request"]
    assert lines[0]["body"]["messages"] == BODY["messages"]
    assert server.returncode == 0
