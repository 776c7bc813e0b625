"""A zygote for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vibe_workflows.sandbox.launcher import Zygote, start_zygote


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """One at a time may have a host on it."""
    held = start_zygote()
    try:
        yield held
    finally:
        held.close()
