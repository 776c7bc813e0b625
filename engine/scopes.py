"""The tree of scopes of one script: fan-outs, their branches, phases and budgets, as the frames open and close them.

A *branch* is a strand of the script that runs by itself: the run, or one element of a fan-out. Its trail is the digest
of what it has been answered so far; a trail and a count name the place of a call, whatever the order in time.
"""

from __future__ import annotations

from collections.abc import Iterator

from .budget import NO_LIMITS, Budget
from .budget import Scope as BudgetScope
from .keys import chain
from .model import StepId
from .ports import Limits
from .timeline.order import NOTHING_YET, Past

#: Scopes whose branches run side by side; the branches' trails are joined when they close.
FAN_OUTS = frozenset({"parallel", "pipeline", "race", "spawn"})


class Scope:
    __slots__ = (
        *("branch", "budget", "calls", "children", "id", "kind", "model", "parent", "past", "phase", "racing"),
        "trail",
    )

    def __init__(self, scope_id: int, kind: str, parent: Scope | None, budget: BudgetScope, phase: str, model: str):
        self.id = scope_id
        self.kind = kind
        self.parent = parent
        self.budget = budget
        self.phase = phase
        self.model = model  # set by a phase; "" for none
        self.racing: bool = kind == "race" or (parent is not None and parent.racing)
        self.children: dict[int, Scope] = {}
        self.calls: set[int] = set()  # calls of this scope that have no answer yet
        self.branch: Scope = self if parent is None or kind == "branch" else parent.branch
        self.trail: str = parent.branch.trail if parent is not None else ""
        self.past: Past = parent.branch.past if parent is not None else NOTHING_YET

    def answered(self, step: StepId, latest: int) -> None:
        """Extend the trail and the past of this scope's branch. `latest` is the last epoch of what the step saw."""
        branch = self.branch
        branch.trail = chain(branch.trail, step)
        branch.past = branch.past.then(step, latest)

    def subtree(self) -> Iterator[Scope]:
        yield self
        for child in self.children.values():
            yield from child.subtree()


class ScopeTree:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.root = Scope(0, "run", None, budget.run, "", "")
        self._by_id: dict[int, Scope] = {0: self.root}

    def __getitem__(self, scope_id: int) -> Scope:
        return self._by_id[scope_id]

    def open(
        self, scope_id: int, parent_id: int, kind: str, branches: int, limits: Limits, title: str, model: str
    ) -> Scope:
        parent = self._by_id[parent_id]
        budget = parent.budget
        if limits != NO_LIMITS:
            budget = self._budget.open(f"{kind} {title!r}" if title else f"a {kind} scope", limits, budget)
        scope = Scope(scope_id, kind, parent, budget, title or parent.phase, model or parent.model)
        parent.children[scope_id] = scope
        self._by_id[scope_id] = scope
        for branch_id in range(scope_id + 1, scope_id + branches + 1):
            branch = Scope(branch_id, "branch", scope, budget, scope.phase, scope.model)
            scope.children[branch_id] = branch
            self._by_id[branch_id] = branch
        return scope

    def close(self, scope_id: int) -> list[int]:
        """Remove a scope with all below it, and return the calls that are still open there.

        A branch that is closed before its fan-out, as the losers of a race are, is no part of what came out of that.
        One that went with a scope above it may still be named: its script unwinds.
        """
        scope = self._by_id.get(scope_id)
        if scope is None:
            return []
        if scope.kind in FAN_OUTS and scope.children:
            branches = [child for child in scope.children.values() if child.kind == "branch"]
            scope.branch.trail = chain(scope.branch.trail, *(branch.trail for branch in branches))
            scope.branch.past = Past.joined([scope.branch.past, *(branch.past for branch in branches)])
        elif scope.kind == "branch" and scope.parent is not None:
            above = scope.parent.branch  # it came after all that the branch was answered, all the same
            above.past = Past.joined([above.past, scope.past])
        open_calls: list[int] = []
        for each in list(scope.subtree()):
            open_calls.extend(each.calls)
            del self._by_id[each.id]
        if scope.parent is not None:
            scope.parent.children.pop(scope_id, None)
        return sorted(open_calls)
