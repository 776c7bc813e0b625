"""Which scopes and calls of a script are open: ids only grow, a parent must be open, and closing takes all below."""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct

from .ending import ProtocolError
from .limits import MAX_ID

#: What a scope costs the host, in branches.
_SCOPE_WEIGHT = 8


class _Group(Struct, eq=False):
    """A scope with its branches: ids first to last. A fan-out of ten thousand is one of these."""

    first: int
    last: int
    depth: int
    open: bool = True
    closed_by_name: bool = False
    closed_branches: set[int] | None = None


class Scopes:
    def __init__(self, *, max_depth: int, max_branches: int, max_ids: int) -> None:
        self._max_depth = max_depth
        self._max_branches = max_branches
        self._max_ids = max_ids
        self._groups = [_Group(0, 0, 0)]
        self._starts = [0]
        self._below: dict[int, list[_Group]] = {}
        self._calls_at: dict[int, set[int]] = {}
        self._scope_of: dict[int, int] = {}
        self._size_of: dict[int, int] = {}
        #: What the parameters of the open calls amount to.
        self.open_bytes = 0
        self._last_scope = 0
        self._last_call = 0
        self._issued = 0

    @property
    def open_calls(self) -> int:
        return len(self._scope_of)

    def issued(self, scope: int) -> bool:
        """Whether there ever was such a scope; it may be closed."""
        return self._group(scope) is not None

    def open(self, scope: int, parent: int, branches: int) -> None:
        above = self._open_group(parent)
        if not self._last_scope < scope < MAX_ID:
            raise ProtocolError(f"scope {scope} opened after scope {self._last_scope}")
        if not 0 <= branches <= self._max_branches:
            raise ProtocolError(f"a scope of {branches:,} branches; at most {self._max_branches:,} are allowed")
        if above.depth >= self._max_depth:
            raise ProtocolError(f"scopes nested deeper than {self._max_depth}")
        self._issued += _SCOPE_WEIGHT + branches
        if self._issued > self._max_ids:
            raise ProtocolError("more scopes and branches than a run may open")
        # A scope and its branches are one level: a branch is where the steps of the scope stand.
        group = _Group(scope, scope + branches, above.depth + 1)
        self._groups.append(group)
        self._starts.append(scope)
        self._below.setdefault(parent, []).append(group)
        self._last_scope = scope + branches

    def close(self, scope: int) -> None:
        """Close by name, once. A scope that closed with one above it may still be named: its script unwinds."""
        group = self._group(scope)
        if group is None or scope == 0:
            raise ProtocolError(f"close of scope {scope}, which was never opened")
        if scope == group.first:
            if group.closed_by_name:
                raise ProtocolError(f"scope {scope} closed twice")
            group.closed_by_name = True
            self._drop(group)
            return
        closed = group.closed_branches = group.closed_branches or set()
        if scope in closed:
            raise ProtocolError(f"scope {scope} closed twice")
        closed.add(scope)
        self._drop_at(scope)

    def begin(self, call: int, scope: int, size: int = 0) -> None:
        self._open_group(scope)
        if not self._last_call < call < MAX_ID:
            raise ProtocolError(f"call {call} after call {self._last_call}")
        self._last_call = call
        self._scope_of[call] = scope
        self._size_of[call] = size
        self.open_bytes += size
        self._calls_at.setdefault(scope, set()).add(call)

    def end(self, call: int) -> bool:
        """Forget an open call; False where it was not open any more."""
        scope = self._scope_of.pop(call, None)
        if scope is None:
            return False
        self.open_bytes -= self._size_of.pop(call)
        calls = self._calls_at[scope]
        calls.discard(call)
        if not calls:
            del self._calls_at[scope]
        return True

    def cancel(self, call: int) -> bool:
        """As `end`, for a cancel frame: its call may have been answered meanwhile, but not be one that never was."""
        if not 0 < call <= self._last_call:
            raise ProtocolError(f"cancel of call {call}, which was never made")
        return self.end(call)

    def _group(self, scope: int) -> _Group | None:
        if scope < 0:
            return None
        group = self._groups[bisect_right(self._starts, scope) - 1]
        return group if scope <= group.last else None

    def _open_group(self, scope: int) -> _Group:
        group = self._group(scope)
        if group is None:
            raise ProtocolError(f"scope {scope} was never opened")
        if not group.open or (group.closed_branches and scope in group.closed_branches):
            raise ProtocolError(f"scope {scope} is closed")
        return group

    def _drop(self, group: _Group) -> None:
        groups = [group]
        while groups:
            group = groups.pop()
            group.open = False
            for scope in range(group.first, group.last + 1):
                groups += self._below.pop(scope, ())
                self._drop_calls(scope)

    def _drop_at(self, scope: int) -> None:
        self._drop_calls(scope)
        for group in self._below.pop(scope, ()):
            self._drop(group)

    def _drop_calls(self, scope: int) -> None:
        for call in self._calls_at.pop(scope, ()):
            del self._scope_of[call]
            self.open_bytes -= self._size_of.pop(call)
