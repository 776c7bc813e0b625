"""What is open between a child and the engine, seen by the half that listens and by the half that answers."""

from __future__ import annotations

from .ending import ProtocolError
from .limits import HostLimits
from .scopes import Scopes


class Ledger:
    def __init__(self, limits: HostLimits) -> None:
        self.scopes = Scopes(max_depth=limits.scope_depth, max_branches=limits.branches, max_ids=limits.scopes)
        self.ordered_answers = 0  # sent so far ...
        self._taken = 0  # ... and handed to the script
        self.go_owed = False

    def idle(self, taken: int) -> None:
        """The child waits, and has handed `taken` stored answers to its script."""
        if not self._taken <= taken <= self.ordered_answers:
            raise ProtocolError(f"it says it took {taken} stored answers; {self.ordered_answers} were sent")
        self._taken = taken
        self.go_owed = taken < self.ordered_answers

    @property
    def engine_owes(self) -> bool:
        """Whether the child's silence is the engine's doing."""
        return self.go_owed or self.scopes.open_calls > 0
