from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cli_machine import Machine, new_machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with new_machine(monkeypatch) as made:
        yield made
