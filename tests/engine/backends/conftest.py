"""Fixtures of the backend tests: a model server, and keys that are none."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support.model_server_plugin import model_server as model_server

TEST_KEY = "sk-test-0123456789abcdef"
NOT_SET = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GROQ_API_KEY")


@pytest.fixture(autouse=True)
def _only_test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE", *NOT_SET):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.setenv(name, TEST_KEY)


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_to_the_collector() -> Iterator[None]:
    """No connection that only the garbage collector would close: it would warn, and warnings are errors."""
    yield
    gc.collect()
