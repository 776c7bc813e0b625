"""`parallel` and `pipeline`: branches that run side by side, and what becomes of their errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from types import AsyncGeneratorType, CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from .script_errors import BudgetExceeded, ScriptFault, SetupError, WorkflowFailed, describe, kind_of, misuse
from .sites import Site, Sites
from .spending import Limits, Scope
from .steps import Step, Work
from .strands import is_awaitable, wait_for

if TYPE_CHECKING:
    from .trampoline import Task

MAX_BRANCHES = 100_000


class _Abandoned(Exception):
    """Why a fan-out inside of a stopped one starts nothing more. It is never raised."""


ABANDONED: Final = _Abandoned()


class FanOut(Work):
    """Branches, started in their order as `limit` allows, and their results, in the same order.

    An element is a step (which needs no coroutine), another fan-out, a coroutine, or a function that gives one of
    these or a plain value.
    """

    __slots__ = (
        "_budget",
        "_elements",
        "_errors",
        "_limit",
        "_live",
        "_next",
        "_on_error",
        "_results",
        "_scope",
        "kind",
        "path",
        "stopping",
    )

    def __init__(
        self,
        kind: str,
        maker: Task,
        site: Site,
        elements: list[Any],
        *,
        limit: int = MAX_BRANCHES,
        on_error: str = "none",
        budget: Limits | None = None,
    ) -> None:
        super().__init__(maker, site)
        self.kind = kind
        self.path = ""
        #: Set once nothing new may start here: the error that is raised when the branches under way have ended.
        self.stopping: Exception | None = None
        self._elements = elements
        self._limit = limit
        self._on_error = on_error
        self._budget = budget
        self._scope: Scope | None = None
        self._results: list[Any] = [None] * len(elements)
        self._errors: dict[int, Exception] = {}
        self._live: dict[int, Step | Task] = {}
        self._next = 0

    @property
    def name(self) -> str:
        return f"{self.kind}()"

    def begin(self, owner: Task) -> None:
        self.owner = owner
        if not self._elements:
            owner.trampoline.resume(owner, [], None)
            return
        trampoline = owner.trampoline
        self._scope = trampoline.scopes.open(
            self.kind,
            trampoline.scope_of(owner),
            self.site.line,
            branches=len(self._elements),
            limits=self._budget,
        )
        owner.fan_outs += 1
        self.path = f"{owner.path}/{owner.fan_outs}"
        self._start_more()

    def _start_more(self) -> None:
        elements, live = self._elements, self._live
        while self._next < len(elements) and len(live) < self._limit and self.stopping is None:
            index = self._next
            self._next = index + 1
            element, elements[index] = elements[index], None
            self._start(index, element)

    def _start(self, index: int, element: Any) -> None:
        trampoline = self.maker.trampoline
        scope = self._scope
        assert scope is not None
        if type(element) is Step:
            element.owner = self
            element.index = index
            self._live[index] = element
            trampoline.call(element, scope, scope.id + 1 + index)
            return
        self._live[index] = trampoline.start_branch(self, index, trampoline.scopes.branch(scope, index), element)

    # ------------------------------------------------------------ how branches end

    def branch_ended(self, index: int, value: Any, error: Exception | None) -> None:
        del self._live[index]
        if error is None:
            self._results[index] = value
        elif not self._keep_error(index, error):
            return
        self._start_more()
        if not self._live:
            self._complete()

    def branch_dropped(self, index: int) -> None:
        """The branch wanted to start something after `stop`; its result stays None."""
        del self._live[index]
        if not self._live:
            self._complete()

    def _keep_error(self, index: int, error: Exception) -> bool:
        """Whether the fan-out goes on after this error."""
        self._errors[index] = error
        if isinstance(error, BudgetExceeded | WorkflowFailed):
            self.stop(error)
        elif isinstance(error, SetupError | MemoryError) or (self._on_error == "raise" and self.stopping is None):
            self._fail(error)
            return False
        if self._on_error == "return":
            self._results[index] = error
        return True

    def stop(self, error: Exception) -> None:
        """Start nothing more, here and below; what is under way ends by itself."""
        if self.stopping is None:
            self.stopping = error
        for branch in self._live.values():
            below = None if isinstance(branch, Step) else branch.waiting
            if isinstance(below, FanOut):
                below.stop(ABANDONED)

    def _fail(self, error: Exception) -> None:
        """Cancel the branches under way and raise."""
        self.cancel()
        self._close()
        self._raise(error)

    def cancel(self) -> None:
        trampoline = self.maker.trampoline
        live, self._live = self._live, {}
        for branch in live.values():
            if isinstance(branch, Step):
                branch.cancel()
            else:
                trampoline.cancel(branch)
        self._discard_rest()

    def _complete(self) -> None:
        self._discard_rest()
        self._close()
        owner = self._waiting_task()
        if self.stopping is ABANDONED:
            owner.trampoline.drop(owner)
        elif self.stopping is not None:
            self._raise(self.stopping)
        else:
            self._conclude(owner)

    def _conclude(self, owner: Task) -> None:
        """All branches have ended by themselves."""
        if len(self._errors) == len(self._results):
            self._raise(self._errors[0])
            return
        if self._errors and self._on_error == "none":
            self._warn()
        owner.trampoline.resume(owner, self._results, None)

    def _raise(self, error: Exception) -> None:
        if isinstance(error, ScriptFault):
            error.results = self._results
        owner = self._waiting_task()
        owner.trampoline.resume(owner, None, error)

    def _waiting_task(self) -> Task:
        # A fan-out that is an element of another one is awaited by a task of its own.
        owner = self.owner
        assert owner is not None
        assert not isinstance(owner, FanOut)
        return owner

    def _close(self) -> None:
        assert self._scope is not None
        self.maker.trampoline.scopes.close(self._scope)

    def _discard_rest(self) -> None:
        """Close the coroutines that never started, so that nobody is told to await them."""
        trampoline = self.maker.trampoline
        for element in self._elements[self._next :]:
            if isinstance(element, FanOut):
                element.cancel()
            elif type(element) is CoroutineType:
                trampoline.close(element, self.maker)
        self._next = len(self._elements)

    def _warn(self) -> None:
        """Say what became None: how many, of which kinds where they differ, and the first in its own words."""
        failed = [self._errors[place] for place in sorted(self._errors)]
        kinds = [kind_of(error) for error in failed]
        said = describe(failed[0])
        if len(different := list(dict.fromkeys(kinds))) > 1:
            said = ", ".join(f"{kinds.count(kind)} {kind}" for kind in different[:5]) + f"; first {said}"
        owner = self._waiting_task()
        owner.trampoline.channel.send(
            {
                "t": "log",
                "scope": owner.trampoline.scope_of(owner).id,
                "line": self.site.line,
                "message": f"{self.kind} (line {self.site.line}): {len(failed)} of {len(self._results)} failed: {said}",
                "fields": {"level": "warning"},
            }
        )


# ---------------------------------------------------------------- what a script hands over


def claimed_elements(primitive: str, steps: Any, site: Site) -> list[Any]:
    """The elements of `parallel` or `race`, claimed. Raises SetupError for what cannot run."""
    elements = _listed(
        primitive, steps, f'a list or generator of steps, such as {primitive}(agent(f"Read {{f}}") for f in files)'
    )
    for index, element in enumerate(elements):
        if isinstance(element, Work):
            element.claim(site)
        elif type(element) is not CoroutineType and not callable(element):
            raise misuse(
                f"{primitive}: element {index} is a value of type {type(element).__name__}, not a step; "
                "hand over agent(...) itself, without `await`"
            )
    return elements


def pipeline_elements(sites: Sites, items: Any, stages: tuple[Any, ...]) -> list[Any]:
    """One function per item, which takes it through the stages."""
    values = _listed("pipeline", items, "a list of items, then one or more stages: pipeline(files, read, check)")
    if not stages:
        raise misuse("pipeline: give one or more stages after the items: pipeline(files, read, check)")
    counted = [(stage, _stage_arity(sites, stage)) for stage in stages]

    def item_runner(value: Any, index: int) -> Callable[[], Any]:
        return lambda: _through_stages(value, index, counted)

    return [item_runner(value, index) for index, value in enumerate(values)]


async def _through_stages(item: Any, index: int, stages: list[tuple[Callable[..., Any], int]]) -> Any:
    value = item
    for stage, count in stages:
        value = stage(*(value, item, index)[:count])
        while is_awaitable(value):
            value = await wait_for(value)
        if value is None:
            return None
    return value


def _listed(primitive: str, values: Any, wanted: str) -> list[Any]:
    if isinstance(values, AsyncGeneratorType):
        raise misuse(
            f"{primitive} got an async generator: remove `await` inside of the generator expression, "
            f"since {primitive} starts the steps itself"
        )
    if isinstance(values, Work | CoroutineType | str) or not isinstance(values, Iterable):
        shown = "one step" if isinstance(values, Work) else f"a value of type {type(values).__name__}"
        raise misuse(f"{primitive} takes {wanted}, not {shown}")
    elements = list(islice(values, MAX_BRANCHES + 1))
    if len(elements) > MAX_BRANCHES:
        raise misuse(f"{primitive} takes at most {MAX_BRANCHES:,} elements; work in chunks")
    return elements


def _stage_arity(sites: Sites, stage: Any) -> int:
    """How many of (value, item, index) a stage gets: its positional parameters without a default."""
    if not callable(stage):
        raise misuse(
            f"pipeline: a stage is a function of (value), (value, item) or (value, item, index), "
            f"not a value of type {type(stage).__name__}; write `lambda item: agent(...)` for a single step"
        )
    if type(stage) is not FunctionType:
        return 1
    positional, required, takes_all = sites.parameters(stage)
    if takes_all:
        return 3
    if positional == 0 or required > 3:
        raise misuse(
            "pipeline: a stage takes (value), (value, item) or (value, item, index); "
            f"one of these takes {required or 'no'} parameters"
        )
    return max(required, 1)
