"""What a script can await: steps, and (in fanout.py) the fan-outs that run them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .script_errors import misuse
from .sites import Site

if TYPE_CHECKING:
    from .fanout import FanOut
    from .spending import Scope
    from .trampoline import Task


class Work:
    """Something that starts when it is awaited or handed over, once."""

    __slots__ = ("maker", "owner", "site", "used")

    def __init__(self, maker: Task, site: Site) -> None:
        self.maker = maker
        self.site = site
        self.used: Site | None = None
        self.owner: Task | FanOut | None = None
        maker.unstarted[self] = None

    @property
    @abstractmethod
    def name(self) -> str:
        """How errors call it."""

    @abstractmethod
    def begin(self, owner: Task) -> None:
        """Run on behalf of a task that waits for it; it was claimed before."""

    @abstractmethod
    def cancel(self) -> None:
        """Give it up without an answer."""

    def claim(self, site: Site) -> None:
        """Take it for its one use, at `site`. Raises SetupError where it was used already."""
        if self.used is not None:
            raise misuse(
                f"the {self.name} of line {self.site.line} was already started in line {self.used.line}; "
                "it starts once, so make a new one per element"
            )
        self.used = site
        self.maker.unstarted.pop(self, None)

    def __await__(self) -> Generator[Work, Any, Any]:
        self.claim(self.maker.trampoline.sites.here())
        return (yield self)

    def __repr__(self) -> str:
        return f"<{self.name} of line {self.site.line}, not awaited>"


class Step(Work):
    """One call of the engine. `params` is JSON."""

    __slots__ = ("call", "detail", "index", "method", "params", "scope", "scope_id")

    def __init__(self, maker: Task, site: Site, method: str, params: str, detail: bool = False) -> None:
        # As in Work; this is the one object that is made ten thousand times.
        self.maker = maker
        self.site = site
        self.used = None
        self.owner = None
        maker.unstarted[self] = None
        self.method = method
        self.params = params
        self.detail = detail
        self.call = 0  # its id on the wire, once it is there
        self.index = 0  # in the fan-out that owns it
        self.scope: Scope | None = None  # charged when it is answered
        self.scope_id = 0  # of its branch

    @property
    def name(self) -> str:
        return f"{self.method}() step"

    def begin(self, owner: Task) -> None:
        self.owner = owner
        trampoline = owner.trampoline
        scope = trampoline.scope_of(owner)
        trampoline.call(self, scope, scope.id)

    def cancel(self) -> None:
        trampoline = self.maker.trampoline
        self.owner = None
        trampoline.forget(self)
