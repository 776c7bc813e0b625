"""The types of the script language, for editors and type checkers. A workflow gets its values from the primitives."""

from __future__ import annotations

from collections.abc import Generator, ItemsView, KeysView, ValuesView
from typing import Any, Generic, Literal, NoReturn, Protocol, TypeAlias, TypedDict, TypeVar, Union

T_co = TypeVar("T_co", covariant=True)

#: A JSON value.
JSON: TypeAlias = Union[None, bool, int, float, str, "list[JSON]", "dict[str, JSON]"]

Unit: TypeAlias = Literal["tokens", "usd", "steps", "seconds"]
OnError: TypeAlias = Literal["none", "return", "raise"]
Isolation: TypeAlias = Literal["worktree"]
Merge: TypeAlias = Literal["auto", "manual"]


class BudgetLimits(TypedDict, total=False):
    """Limits of a budget; what is left out is not limited."""

    tokens: float
    usd: float
    steps: float
    seconds: float


#: A dict of limits, or "200k", "1.5M" (tokens), "$1.50".
BudgetSpec: TypeAlias = BudgetLimits | str


class AgentOptions(TypedDict, total=False):
    """What `agent` takes beside prompt, schema and detail. None counts as not given."""

    label: str | None
    """Name of the step in the live view and the trace."""
    phase: str | None
    """Phase to show this step under, instead of the one in force."""
    profile: str | None
    """Name of a profile, such as "reviewer": system text, model, tools and more, where this call does not say."""
    model: str | None
    """Model name or alias, such as "fast"."""
    system: str | None
    """System text, instead of the built-in one."""
    tools: list[str] | None
    """Names of tools, or groups such as "read"; none by default."""
    files: list[str] | None
    """Paths in the project of images (png, jpg, gif, webp), PDFs and UTF-8 text to send along: 20 MB in all."""
    context: str | None
    """Text that many steps share: sent first and unchanged, so that the provider can cache it."""
    effort: str | None
    """How hard the model thinks: "low", "medium", "high"."""
    temperature: float | None
    """How much chance there is in an answer, as the provider takes it: 0 to 1, or to 2."""
    max_tokens: int | None
    """Most tokens of one answer; a longer one is `Truncated`."""
    max_turns: int | None
    """Most model calls of this step (30)."""
    timeout: float | None
    """Seconds of work, all attempts together; waits in queues and for rate limits do not count (600)."""
    retries: int | None
    """Further attempts after an error that may pass (2)."""
    budget: BudgetSpec | None
    """Limits of this step alone."""
    cache: bool | str | None
    """False: not from an earlier run. A string: answers are kept apart from those with another one."""
    ttl: float | str | None
    """Oldest stored answer that counts: seconds, or "30m", "24h", "7d"."""
    isolation: Isolation | None
    """ "worktree": the agent works on a snapshot of the project, beside all others."""
    merge: Merge | None
    """How its changes get out of the worktree: when it is done ("auto"), or by `merge(result)` ("manual")."""
    gate: list[str] | None
    """A command such as ["pytest", "-q"] that has to succeed before an answer counts; needs the grant `command`."""
    gate_retries: int | None
    """How often the agent is told that its gate failed, to mend it, before the step is `GateFailed` (2)."""


class FanOutOptions(TypedDict, total=False):
    """What `parallel` and `pipeline` take."""

    limit: int | None
    """Most branches at the same time."""
    on_error: OnError | None
    """A failed branch is None ("none"), its error ("return"), or ends the fan-out ("raise")."""
    budget: BudgetSpec | None
    """Limits of all branches together."""


class Awaited(Protocol[T_co]):
    """What a fan-out runs: a step, a fan-out, or a coroutine of a script function."""

    def __await__(self) -> Generator[Any, Any, T_co]: ...


class Step(Generic[T_co]):
    """One piece of work. It starts when it is awaited or handed to a fan-out, once; make a new one per element."""

    def __await__(self) -> Generator[Any, Any, T_co]:
        outside()


class StepResult(Protocol):
    """What `agent(..., detail=True)` gives."""

    @property
    def value(self) -> Any:
        """The text, or the JSON value where there is a schema."""

    @property
    def patch(self) -> str | None:
        """What it changed in its worktree, as `git apply` takes it; None without one."""

    @property
    def files(self) -> list[str]:
        """The files that it changed."""

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens and cost."""

    @property
    def turns(self) -> int:
        """How many model calls it took."""

    @property
    def model(self) -> str: ...

    @property
    def step(self) -> str:
        """Its id in the trace."""

    @property
    def cached(self) -> bool:
        """Whether it came from the store."""


class Args(Protocol):
    """The arguments of a workflow: read-only; `args.path` and `args["path"]` are the same.

    A declared property without a value is None, an undeclared one an error.
    """

    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, name: str) -> Any: ...
    def __contains__(self, name: object) -> bool: ...
    def get(self, name: str, default: Any = None) -> Any: ...
    def keys(self) -> KeysView[str]: ...
    def values(self) -> ValuesView[Any]: ...
    def items(self) -> ItemsView[str, Any]: ...


class Phase:
    """A phase; as `with phase(...)` it ends with the block."""

    def __enter__(self) -> None:
        outside()

    def __exit__(self, *_: object) -> None:
        outside()


class Budget:
    """What may still be used in the scope in force, counted from the answers that the script has seen.

    Called, it opens a scope with limits of its own: `with budget(tokens=50_000): ...`
    """

    def total(self, unit: Unit = "tokens") -> float | None:
        """The nearest limit; None where nothing limits this unit."""
        outside()

    def spent(self, unit: Unit = "tokens") -> float:
        """What was used within the nearest limit, or by the run where there is none."""
        outside()

    def remaining(self, unit: Unit = "tokens") -> float:
        """What is left, at least 0; infinite where nothing limits this unit."""
        outside()

    def __call__(
        self,
        limits: BudgetSpec | None = None,
        /,
        *,
        tokens: float | None = None,
        usd: float | None = None,
        steps: float | None = None,
        seconds: float | None = None,
    ) -> Phase:
        outside()


class Random(Protocol):
    """A generator seeded from the workflow, its arguments and the branch, so that a rerun sees the same values."""

    def random(self) -> float: ...
    def randint(self, a: int, b: int) -> int: ...
    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int: ...
    def choice(self, seq: Any) -> Any: ...
    def choices(self, population: Any, weights: Any = None, *, cum_weights: Any = None, k: int = 1) -> list[Any]: ...
    def shuffle(self, x: list[Any]) -> None: ...
    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]: ...
    def uniform(self, a: float, b: float) -> float: ...
    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float: ...


class OutsideWorkflow(RuntimeError):
    """A primitive was used in an ordinary Python program."""


def outside() -> NoReturn:
    raise OutsideWorkflow("this works in a workflow only: run the file with `vibe run FILE`")
