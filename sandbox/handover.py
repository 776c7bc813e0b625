"""Stored answers wait here until they may be handed over, in their recorded order."""

from __future__ import annotations

import heapq
from typing import Any


class HandOver:
    def __init__(self) -> None:
        self._heap: list[tuple[int, int, dict[str, Any]]] = []
        self._arrived = 0
        self.taken = 0  # so far

    def hold(self, order: int, frame: dict[str, Any]) -> None:
        self._arrived += 1
        heapq.heappush(self._heap, (order, self._arrived, frame))

    def take(self) -> dict[str, Any] | None:
        """The one that came first when all came for the first time; None where nothing is held."""
        if not self._heap:
            return None
        self.taken += 1
        return heapq.heappop(self._heap)[2]
