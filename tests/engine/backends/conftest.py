"""Fixtures of the backend tests: a model server, and a key that is none."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support.model_server_plugin import model_server as model_server

TEST_KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def _only_a_test_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", TEST_KEY)


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left_to_the_collector() -> Iterator[None]:
    """No connection that only the garbage collector would close: it would warn, and warnings are errors."""
    yield
    gc.collect()
