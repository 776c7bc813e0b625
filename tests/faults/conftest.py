"""What all tests of crashes share: a process that runs workflows to be killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.crash_world import crash_server
from tests.support.fork_server import Server


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with crash_server() as started:
        yield started
