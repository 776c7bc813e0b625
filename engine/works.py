"""Who does the work of a live step: by its kind, and by where it works."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import InternalError
from .live_step import LiveStep, StepServices
from .model import StepKind
from .step import StepWork

if TYPE_CHECKING:
    from .worktrees.isolation import Isolation
    from .worktrees.landing import MergeQueue


class Works:
    """Of one run. `isolation` makes the parts of worktrees; it is called when a step first needs them."""

    def __init__(self, services: StepServices, isolation: Callable[[], Isolation] | None) -> None:
        self._services = services
        self._make_isolation = isolation
        self._isolation: Isolation | None = None
        self._queue: MergeQueue | None = None

    def of(self, item: LiveStep) -> StepWork:
        if item.spec.kind is not StepKind.MERGE and not item.spec.isolation:
            return StepWork(item, self._services)
        from .isolated import IsolatedWork, MergeWork  # most runs have no worktrees

        isolation, queue = self._parts()
        if item.spec.kind is StepKind.MERGE:
            return MergeWork(item, self._services, isolation, queue)
        return IsolatedWork(item, self._services, isolation, queue)

    def _parts(self) -> tuple[Isolation, MergeQueue]:
        if self._isolation is None or self._queue is None:
            from .worktrees.landing import MergeQueue

            if self._make_isolation is None:
                raise InternalError("nothing here makes worktrees")
            self._isolation = self._make_isolation()
            self._queue = MergeQueue(self._services.project, self._isolation)
        return self._isolation, self._queue
