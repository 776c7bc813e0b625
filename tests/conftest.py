"""Settings and fixtures of all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.zygote_template import template_to_share

settings.register_profile(
    "default", max_examples=60, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

#: Files with few tests that take long: if they came last, one processor would work and the others wait.
_LONG = (
    *("tests/properties/", "tests/faults/", "tests/attacks/", "tests/e2e/"),
    *("tests/sandbox/test_reachability.py", "tests/sandbox/test_soak.py"),
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are processors: tests wait for other processes for a quarter of their time."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else (os.cpu_count() or 1) + 1


def pytest_sessionstart() -> None:
    """What is imported and collected is no garbage: it is not looked through meanwhile, nor with every test later."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        name = item.nodeid
        return next((place for place, folder in enumerate(_LONG) if name.startswith(folder)), len(_LONG))

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def _zygotes_are_copies() -> Iterator[None]:
    """From the first test on, so that the template is what no test left behind."""
    with template_to_share():
        yield
