"""Attached files, from the script to what a real server receives, in both formats."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.e2e.conftest import Machine
from tests.support.model_server import ModelServer
from tests.support.sample_files import PDF, PNG, TEXT

FLOW = 'return await agent("Compare them.", context="Shared.", files=["notes.exe", "shot", "plan.txt"])\n'
PNG_64, PDF_64 = base64.b64encode(PNG).decode(), base64.b64encode(PDF).decode()


@pytest.fixture
def project(online: Machine) -> Machine:
    for name, contents in {"notes.exe": TEXT, "shot": PNG, "plan.txt": PDF}.items():
        (online.project / name).write_bytes(contents)
    online.write("flow.py", FLOW)
    return online


def _parts(server: ModelServer) -> list[dict[str, Any]]:
    """The content of the user's message in the one request."""
    (request,) = server.requests
    (content,) = [message["content"] for message in request.body["messages"] if message["role"] == "user"]
    return list(content)


def _texts(parts: list[dict[str, Any]]) -> str:
    return "".join(part["text"] for part in parts if part["type"] == "text")


EXPECTED_TEXT = f"Shared.\n\nFile `notes.exe`:\n\n{TEXT.decode()}\n\nFile `shot`:\n\nFile `plan.txt`:\n\nCompare them."


def test_an_model_server_gets_text_image_and_document(project: Machine, model_server: ModelServer) -> None:
    ran = project.vibe("run", "flow.py")
    assert ran.code == 0, ran.err
    parts = _parts(model_server)
    assert _texts(parts) == EXPECTED_TEXT
    assert [part for part in parts if part["type"] != "text"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}},
        {"type": "file", "file": {"filename": "plan.txt", "file_data": f"data:application/pdf;base64,{PDF_64}"}},
    ]
    again = project.vibe("run", "flow.py")
    assert again.out == ran.out
    assert len(model_server.requests) == 1, "the rerun came from the store"


def test_an_anthropic_server_gets_text_image_and_document(project: Machine, model_server: ModelServer) -> None:
    project.environ |= {
        "VIBE_MODEL": "anthropic/claude-sonnet-4-5",
        "VIBE_API_BASE": model_server.url.removesuffix("/v1"),
        "ANTHROPIC_API_KEY": "sk-ant-0123456789",
    }
    ran = project.vibe("run", "flow.py")
    assert ran.code == 0, ran.err
    parts = _parts(model_server)
    assert _texts(parts) == EXPECTED_TEXT
    sources = [(part["type"], part["source"]) for part in parts if part["type"] != "text"]
    assert sources == [
        ("image", {"type": "base64", "media_type": "image/png", "data": PNG_64}),
        ("document", {"type": "base64", "media_type": "application/pdf", "data": PDF_64}),
    ]


def test_a_file_that_the_model_is_known_not_to_take_is_an_error_before_anything_is_sent(
    project: Machine, model_server: ModelServer
) -> None:
    ran = project.vibe("run", "flow.py", "--model", "openai/gpt-3.5-turbo")
    assert ran.code == 2, ran.err
    assert "shot: openai/gpt-3.5-turbo takes no image/png" in ran.err
    assert not model_server.requests
