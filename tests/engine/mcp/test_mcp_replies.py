"""From what a server answers to what a model reads and a script gets."""

from __future__ import annotations

from typing import Any

import mcp_types as types
import pytest

from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.mcp.connection import _reply
from vibe_workflows.engine.mcp.replies import Reply, result_of


def answered(*parts: dict[str, Any], **more: Any) -> Reply:
    return _reply(types.CallToolResult.model_validate({"content": list(parts), **more}))


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def test_texts_are_joined_and_what_is_no_text_is_noted() -> None:
    reply = answered(
        text("one"),
        {"type": "image", "data": "aGk=", "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
        {"type": "resource", "resource": {"uri": "file:///b", "blob": "aGk="}},
        {"type": "resource_link", "uri": "https://example.com/x", "name": "x"},
    )
    assert result_of("t", reply).text.split("\n") == [
        "one",
        "[image: left out, since only text is taken]",
        "two",
        "[resource: left out, since only text is taken]",
        "[a link to https://example.com/x, which was not followed]",
    ]


def test_a_script_gets_structured_content_and_else_the_text() -> None:
    assert result_of("t", answered(text("x"), structuredContent={"a": [1]})).data == {"a": [1]}
    assert result_of("t", answered(text("x"))).data == {"text": "x"}


def test_a_model_reads_structured_content_where_there_is_no_text() -> None:
    assert result_of("t", answered(structuredContent={"a": 1})).text == '{"a":1}'


def test_an_error_of_the_server_is_a_failure_with_its_words() -> None:
    with pytest.raises(ToolFailed, match=r"^t: no such thing$"):
        result_of("t", answered(text("no such thing"), isError=True))


def test_a_long_text_is_cut_for_the_model_and_whole_for_the_script() -> None:
    result = result_of("t", answered(text("é" * 40_000)))
    assert len(result.text.encode()) < 33_000
    assert "characters are shown; ask for less of it]" in result.text
    assert result.data == {"text": "é" * 40_000}


def test_what_json_cannot_hold_is_a_failure() -> None:
    with pytest.raises(ToolFailed, match="holds what JSON cannot"):
        result_of("t", Reply(texts=["x"], structured={"a": "\ud800"}))
