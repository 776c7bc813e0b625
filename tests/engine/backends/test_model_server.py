"""The loopback server by itself: what other tests rely on."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.behaviours import Answer, Call, Fail, Hang, Thought, Tokens
from tests.support.model_server import ModelServer, behaviour_from
from tests.support.neutral import SeenFile
from tests.support.wire_formats import format_of

ROOT = Path(__file__).parents[3]
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def _post(
    connection: http.client.HTTPConnection, path: str = "/v1/chat/completions", **changes: Any
) -> tuple[int, Any]:
    headers = {"Authorization": "Bearer sk-secret", "X-Api-Key": "sk-secret", "X-Other": "kept"}
    connection.request("POST", path, json.dumps({**BODY, **changes}), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def _events(server: ModelServer, path: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of one streamed answer: name and data."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", path, json.dumps({**BODY, "stream": True}))
    text = connection.getresponse().read().decode()
    connection.close()
    events: list[tuple[str, dict[str, Any]]] = []
    for event in text.split("\n\n"):
        name, _, data = event.rpartition("data: ")
        if data and data != "[DONE]":
            events.append((name.strip().removeprefix("event: "), json.loads(data)))
    return events


def test_plain_answers_share_a_connection_and_are_recorded_without_the_key(model_server: ModelServer) -> None:
    model_server.behave(Answer(text="one", usage=Tokens(prompt=5, completion=2, cached=3)), Fail(status=429))
    connection = http.client.HTTPConnection("127.0.0.1", model_server.port)
    status, answer = _post(connection)
    refused, error = _post(connection)
    fine, default = _post(connection)
    connection.close()
    assert (status, refused, fine) == (200, 429, 200)
    assert answer["choices"][0]["message"]["content"] == "one"
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert error["error"]["message"] == "it did not work"
    assert default["choices"][0]["message"]["content"].startswith("answer ")
    seen = model_server.wait_requests(3)
    assert len({one.connection for one in seen}) == 1
    assert "sk-secret" not in repr(seen)
    assert seen[0].headers["x-other"] == "kept"
    [closed] = model_server.wait_closed(1)
    assert (closed.by, closed.request) == ("client", None)


def test_a_submit_tool_is_called_with_a_value_that_fits_it(model_server: ModelServer) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 4}}, "required": ["n"]}
    connection = http.client.HTTPConnection("127.0.0.1", model_server.port)
    _, answer = _post(
        connection, tools=[{"type": "function", "function": {"name": "submit_answer", "parameters": parameters}}]
    )
    connection.close()
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"n": 4}


def test_a_client_that_leaves_a_held_request_is_seen_at_once(model_server: ModelServer) -> None:
    model_server.hold()
    connection = http.client.HTTPConnection("127.0.0.1", model_server.port)
    connection.request("POST", "/v1/chat/completions", json.dumps(BODY))
    model_server.wait_requests(1)
    connection.close()
    [closed] = model_server.wait_closed(1)
    assert (closed.by, closed.request) == ("client", 1)


def test_behaviours_can_be_given_as_json() -> None:
    assert behaviour_from('{"Fail": {"status": 429, "headers": {"Retry-After": "1"}}}') == Fail(
        status=429, headers={"Retry-After": "1"}
    )
    assert behaviour_from('{"Answer": {"calls": [{"name": "f"}], "usage": null}}') == Answer(
        calls=(Call(name="f"),), usage=None
    )
    assert behaviour_from('{"Hang": {"text": "x"}}') == Hang(text="x")


ANSWER = Answer(
    text="Let me look.",
    calls=(Call(name="grep", arguments='{"pattern": "a\\"b"}'), Call(name="read", arguments='{"path": ', id="mine")),
    thinking=(Thought(text="Where is it?", signature="c2ln"), Thought(signature="", redacted="aGlkZGVu")),
    finish="tool_calls",
    usage=Tokens(prompt=100, completion=20, cached=60, written=30, reasoning=8),
    piece=5,
)


def test_anthropic_answers_are_streamed_in_blocks_with_usage_split_by_cache(model_server: ModelServer) -> None:
    model_server.behave(ANSWER)
    events = _events(model_server, "/v1/messages")
    assert [name for name, _ in events][:2] == ["message_start", "ping"]
    assert all(name == data["type"] for name, data in events)
    assert events[0][1]["message"]["usage"] == {
        "input_tokens": 10,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "output_tokens": 1,
    }
    begun = [data["content_block"]["type"] for name, data in events if name == "content_block_start"]
    assert begun == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    deltas: dict[tuple[int, str], str] = {}
    for name, data in events:
        if name == "content_block_delta":
            kind = data["delta"].pop("type")
            [piece] = data["delta"].values()
            deltas[data["index"], kind] = deltas.get((data["index"], kind), "") + piece
    assert deltas == {
        (0, "thinking_delta"): "Where is it?",
        (0, "signature_delta"): "c2ln",
        (2, "text_delta"): "Let me look.",
        (3, "input_json_delta"): '{"pattern": "a\\"b"}',
        (4, "input_json_delta"): '{"path": ',
    }
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"
    assert events[-2][1]["usage"]["output_tokens_details"] == {"thinking_tokens": 8}
    assert events[-1][0] == "message_stop"


def test_the_record_holds_what_was_sent_with_ids_and_usage_in_every_format(model_server: ModelServer) -> None:
    for path in ("/v1/chat/completions", "/v1/messages"):
        model_server.behave(Answer(text="hi", calls=(Call(name="f"),)))
        _events(model_server, path)
    first, second = model_server.wait_answers(2)
    assert (first.request, second.request, first.whole, second.whole) == (1, 2, True, True)
    assert first.behaviour == second.behaviour
    assert isinstance(first.behaviour, Answer)
    assert first.behaviour.calls == (Call(name="f", id="call_1"),)
    assert isinstance(first.behaviour.usage, Tokens)


OPENAI: dict[str, Any] = {
    "model": "m",
    "temperature": 0.5,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See "},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}},
                {"type": "text", "text": "this."},
            ],
        },
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
}
ANTHROPIC: dict[str, Any] = {
    "model": "m",
    "temperature": 0.5,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See "},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAE="}},
                {"type": "text", "text": "this."},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "two"}]},
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
}


def test_a_request_of_either_format_reads_back_into_the_same_conversation() -> None:
    read = format_of("/v1/chat/completions").read(OPENAI)
    assert read == format_of("/v1/messages").read(ANTHROPIC)
    assert read.system == "Be brief."
    assert [(message.role, message.text, message.call_id) for message in read.messages] == [
        ("user", "See this.", None),
        ("assistant", "Looking.", None),
        ("tool", "one", "c1"),
        ("tool", "two", "c2"),
    ]
    assert read.messages[0].parts == ("See ", SeenFile(media_type="image/png", data=b"\0\1"), "this.")
    assert [(call.id, call.arguments) for call in read.messages[1].calls] == [("c1", '{"a": 1}'), ("c2", "{}")]


def test_an_anthropic_answer_in_a_schema_is_a_call_of_the_tool_that_asks_for_it() -> None:
    form = format_of("/v1/messages")
    body = {**ANTHROPIC, "tools": [{"name": "json_tool_call", "input_schema": {"type": "object"}}]}
    body.pop("output_config")
    assert (form.read(body).schema, form.read(body).tools) == ({"type": "object"}, ())
    whole = form.whole(body, Answer(text='{"n": 1}'))
    assert whole["content"] == [{"type": "tool_use", "id": "call_answer", "name": "json_tool_call", "input": {"n": 1}}]
    assert whole["stop_reason"] == "tool_use"


@pytest.mark.parametrize(("status", "kind"), [(529, "overloaded_error"), (429, "rate_limit_error"), (418, None)])
def test_errors_have_the_body_of_their_format(model_server: ModelServer, status: int, kind: str | None) -> None:
    model_server.handler = lambda _seen: Fail(status=status)
    connection = http.client.HTTPConnection("127.0.0.1", model_server.port)
    found = [_post(connection, path)[1] for path in ("/v1/chat/completions", "/v1/messages")]
    connection.close()
    assert "type" not in found[0]
    assert found[1]["type"] == "error"
    assert found[1]["error"] == {"type": kind or "invalid_request_error", "message": "it did not work"}


def test_as_a_process_it_prints_its_address_and_logs_what_it_saw(tmp_path: Path) -> None:
    log = tmp_path / "seen.jsonl"
    argv = [
        sys.executable,
        "-m",
        "tests.support.model_server",
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
    assert [line["seen"] for line in lines[:4]] == ["request", "answer", "request", "answer"]
    assert lines[1]["behaviour"]["Fail"]["status"] == 418
    assert lines[0]["body"]["messages"] == BODY["messages"]
    assert server.returncode == 0
