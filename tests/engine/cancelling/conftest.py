"""Fixtures of the tests of cancelling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.model_server_plugin import model_server as model_server
from vibe_workflows.sandbox.launcher import Zygote, start_zygote


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    held = start_zygote()
    try:
        yield held
    finally:
        held.close()
