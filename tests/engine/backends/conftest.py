"""Fixtures of the backend tests: a model server, a key that is none, and an eye on what is left behind."""

from __future__ import annotations

import gc
import threading
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
def _nothing_is_left() -> Iterator[None]:
    """No thread but trio's idle ones, and no connection that only the garbage collector would close."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    left = [one.name for one in set(threading.enumerate()) - before if not one.name.startswith("Trio thread")]
    assert left == []
