"""Fixtures around the loopback model server; import them in a conftest.py, or name this module as a plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.model_server import ModelServer


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A fresh server on a free port. It fails the test that made it stumble, or that leaves it with a connection."""
    with ModelServer() as server:
        yield server
        server.wait_left()
    assert server.errors == []
