"""Settings and fixtures of all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=100, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

#: Files with few tests that take long: if they came last, one processor would work and the others wait.
_LONG = ("tests/properties/", "tests/faults/", "tests/attacks/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        name = item.nodeid
        return next((place for place, folder in enumerate(_LONG) if name.startswith(folder)), len(_LONG))

    items.sort(key=rank)
