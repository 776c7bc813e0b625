"""The engine and the process of a script, each as the other sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from ..model import JSON


class Limits(Struct, frozen=True, kw_only=True):
    """Budget limits of one scope; None: no limit of its own."""

    tokens: int | None = None
    microusd: int | None = None
    steps: int | None = None
    seconds: float | None = None


class ScriptStart(Struct, frozen=True, kw_only=True):
    """What a child gets to run one script. It holds no secret."""

    source: str
    filename: str  # shown in errors
    args: str  # JSON
    now: float
    seed: str
    has_model: bool
    limits: Limits = field(default_factory=Limits)


class LimitsShape(Protocol):
    """Limits as they come out of a frame."""

    @property
    def tokens(self) -> int | None: ...
    @property
    def microusd(self) -> int | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def seconds(self) -> float | None: ...


class AnswerSink(Protocol):
    """The engine's way back into the child. Never blocks; a child that does not read is killed."""

    def answer(self, call: int, value: bytes, *, order: int | None, tokens: int, microusd: int, seconds: float) -> None:
        """`value` is JSON. `order` ranks what needs no live step; None delivers as soon as the script is quiet."""
        ...

    def fault(
        self,
        call: int,
        fault_type: str,
        message: str,
        kind: str,
        fields: Mapping[str, JSON],
        *,
        tokens: int,
        microusd: int,
        steps: int,
        seconds: float,
        order: int | None = None,
    ) -> None:
        """`steps` is 0 for a call that became no step; `order` as for an answer."""
        ...

    def go(self, calls: int) -> None:
        """All calls up to this id were looked up; the child may hand over stored answers until it makes another."""
        ...


class ScriptCalls(Protocol):
    """What a running script may do to the engine: called in the order of its frames, never re-entered.

    The host has checked types, sizes, that ids increase and that scopes are open. `params` is JSON.
    Raises only VibeErrors, which end the run.
    """

    def started(self, sink: AnswerSink) -> None: ...

    def call(self, call: int, scope: int, line: int, column: int, method: str, params: bytes) -> None: ...

    def open(
        self,
        scope: int,
        parent: int,
        kind: str,
        branches: int,
        limits: LimitsShape | None,
        title: str | None,
        model: str | None,
        line: int,
    ) -> None:
        """Open scope `scope` below `parent`, with `branches` branches whose ids follow its own."""
        ...

    def close(self, scope: int) -> None:
        """Close a scope, or one branch of it, and all below; calls still open there are cancelled."""
        ...

    def cancel_call(self, call: int) -> None: ...

    def log(self, scope: int, line: int, message: str, fields: Mapping[str, JSON]) -> None: ...

    def idle(self, taken: int) -> None:
        """The script is quiet: all calls it can make now were sent. It was handed `taken` stored answers so far."""
        ...


class ScriptProblem(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def message(self) -> str: ...


class ScriptEnd(Protocol):
    """How a script ended.

    `outcome` is "returned" (value), "raised" (error_type, message, line, and fault_type/kind/fields where the error is
    one of the engine's), "refused" (problems: it did not compile), or "killed" (reason, message: the sandbox ended it).
    """

    @property
    def outcome(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def error_type(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def fault_type(self) -> str: ...
    @property
    def fault_kind(self) -> str: ...
    @property
    def fault_fields(self) -> Mapping[str, JSON]: ...
    @property
    def reason(self) -> str: ...
    @property
    def problems(self) -> Sequence[ScriptProblem]: ...


class ScriptHost(Protocol):
    """Runs one script in a locked process of its own."""

    @property
    def level(self) -> str:
        """strong, good or weak: what the walls of this machine hold."""
        ...

    async def run(self, start: ScriptStart, calls: ScriptCalls) -> ScriptEnd:
        """Returns when the child is gone. Never raises on behalf of the child; cancelled, it kills the child first."""
        ...
