"""Who runs the steps."""

from __future__ import annotations

from typing import Protocol, TypeVar

Item = TypeVar("Item", contravariant=True)


class Executor(Protocol[Item]):
    """Runs work items, so many at a time, the others in the order of submission."""

    def submit(self, number: int, item: Item) -> None:
        """Start `item` now or when its turn comes. `number` is unique among the open ones."""
        ...

    def cancel(self, number: int) -> None:
        """Cancel an item. One that has not begun never does; a running one ends by itself, cancelled."""
        ...
