"""Scopes as a script writes them: `phase(...)`, plain or with `with`, and `budget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import budget_limits
from .script_errors import misuse
from .spending import Limits, Scope

if TYPE_CHECKING:
    from .trampoline import Task, Trampoline


class Block:
    """A scope of one `with` statement. It holds for the branch that entered it, until the block ends."""

    __slots__ = ("_limits", "_line", "_model", "_outer", "_scope", "_task", "_title", "_trampoline")

    kind = "budget"

    def __init__(
        self, trampoline: Trampoline, limits: Limits | None, title: str | None = None, model: str | None = None
    ) -> None:
        self._trampoline = trampoline
        self._limits = limits
        self._title = title
        self._model = model
        self._line = trampoline.sites.here().line
        self._task: Task | None = None
        self._outer: Scope | None = None
        self._scope: Scope | None = None

    def __enter__(self) -> None:
        if self._scope is not None:
            raise misuse(f"the {self.kind} of line {self._line} was entered already; make a new one")
        task = self._trampoline.current
        self._task = task
        self._outer = self._trampoline.scope_of(task)
        self._scope = task.scope = self._open(self._outer)

    def __exit__(self, *_: object) -> None:
        task, scope = self._task, self._scope
        # A generator that was entered in one branch and is dropped in another ends nothing there, and in a cancelled
        # branch the end of the fan-out covers all that is open.
        if task is None or scope is None or scope.closed or task.ended or self._trampoline.current is not task:
            return
        self._trampoline.open_pending_phase(task)
        inner = task.scope
        while inner is not scope:
            inner.closed = True
            assert inner.parent is not None
            inner = inner.parent
        assert self._outer is not None
        task.scope = self._outer
        self._trampoline.scopes.close(scope)

    def _open(self, parent: Scope, *, plain_phase: bool = False) -> Scope:
        return self._trampoline.scopes.open(
            self.kind,
            parent,
            self._line,
            limits=self._limits,
            title=self._title,
            model=self._model,
            plain_phase=plain_phase,
        )


class PhaseBlock(Block):
    """Without `with`, the phase begins when something happens in its branch, and lasts until the next one there."""

    __slots__ = ()

    kind = "phase"

    def __enter__(self) -> None:
        task = self._trampoline.current
        if task.pending_phase is self:
            task.pending_phase = None
        super().__enter__()

    def open_plain(self, task: Task) -> None:
        before = task.scope
        if before.plain_phase:
            assert before.parent is not None
            self._trampoline.scopes.close(before)
            before = before.parent
            task.scope = before
        self._scope = task.scope = self._open(before, plain_phase=True)


class Budget:
    """What may still be used, in the scope in force; called, it opens a scope with limits of its own."""

    __slots__ = ("_trampoline",)

    def __init__(self, trampoline: Trampoline) -> None:
        self._trampoline = trampoline

    def total(self, unit: str = "tokens") -> float | None:
        return self._trampoline.scopes.total(self._scope(), unit)

    def spent(self, unit: str = "tokens") -> float:
        return self._trampoline.scopes.spent(self._scope(), unit)

    def remaining(self, unit: str = "tokens") -> float:
        return self._trampoline.scopes.remaining(self._scope(), unit)

    def __call__(self, limits: Any = None, /, **units: Any) -> Block:
        if limits is not None and units:
            raise misuse('budget: give either one value, such as "200k", or limits by name, such as tokens=200_000')
        try:
            return Block(self._trampoline, budget_limits(units if limits is None else limits))
        except ValueError as error:
            raise misuse(f"budget takes {error}") from None

    def _scope(self) -> Scope:
        return self._trampoline.scope_of(self._trampoline.current)

    def __repr__(self) -> str:
        return "<budget>"


#: What a script may read of the budget.
BUDGET_METHODS = ("total", "spent", "remaining")
