"""Who sees what happens."""

from __future__ import annotations

from typing import Protocol

from ..events import Event


class EventSink(Protocol):
    """Sees events after their commit. One that raises is disabled and logged; the run goes on."""

    def handle(self, event: Event) -> None: ...
