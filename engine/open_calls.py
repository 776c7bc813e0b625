"""A call of a script that waits for its answer."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Grounds, StepKey
from .requests import StepRequest
from .reuse import Decision
from .scopes import Scope
from .timeline.order import Past
from .timeline.timeline import Witness


@dataclass(eq=False, slots=True)
class OpenCall:
    """A call that has no answer yet."""

    number: int
    scope: Scope
    line: int
    request: StepRequest
    trail: str  # of its branch, when it came
    requested_at: float
    past: Past  # likewise
    place: str = ""  # known with the key
    reason: str = ""
    grounds: Grounds | None = None
    decision: Decision | None = None  # how it is to run live, where no step that counts for it has edited files
    witness: Witness | None = None  # of the step that answers it
    begun: bool = False  # a live step that is at work for it
    refreshed_since: float | None = None  # set where a person asked to run it again

    @property
    def key(self) -> StepKey:
        return self.request.key

    @property
    def canonical(self) -> str:
        return self.request.canonical

    @property
    def label(self) -> str:
        return self.request.label

    @property
    def horizon(self) -> float | None:
        asked, since = self.request.horizon, self.refreshed_since
        return asked if since is None else max(since, asked or since)

    @property
    def refreshed(self) -> bool:
        return self.refreshed_since is not None

    @property
    def racing(self) -> bool:
        """Whether it stands in a race: then another call's answer could decide that."""
        return self.scope.racing

    @property
    def phase(self) -> str:
        return self.request.phase or self.scope.phase
