"""Fixtures of the tests of cancelling."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support.model_server_plugin import model_server
from tests.support.zygotes import zygote

__all__ = ["model_server", "zygote"]


@pytest.fixture(autouse=True)
def left_behind_is_collected_here() -> Iterator[None]:
    """A coroutine that litellm left behind is found where a filter expects it, and not in whatever test comes next."""
    yield
    gc.collect()
