"""The values that a script handles: its arguments, and what `detail=True` gives."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NoReturn

#: Methods that an Args has beside its properties; a property of the same name wins.
ARGS_METHODS = frozenset({"get", "items", "keys", "values"})


class Args(dict[str, Any]):
    """The arguments of a workflow: read-only, read as `args.path` or `args["path"]`."""

    __slots__ = ()

    def __missing__(self, name: object) -> NoReturn:
        raise KeyError(f"{name}: {_known_names(self, str(name))}")

    def __repr__(self) -> str:
        return dict.__repr__(self)

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return {name: _unfrozen(value) for name, value in self.items()}

    def _read_only(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("args is read-only; work on a copy: dict(args)")

    __setitem__ = __delitem__ = __ior__ = _read_only
    update = pop = popitem = clear = setdefault = _read_only


def read_args(args: Args, name: str) -> Any:
    """`args.name`, as the guards let a script read it."""
    if name in args:
        return args[name]
    if name in ARGS_METHODS:
        return getattr(args, name)
    raise AttributeError(f"args has no {name!r}: {_known_names(args, name)}")


def make_args(value: Any) -> Any:
    """A JSON value with every object in it as Args."""
    if isinstance(value, dict):
        return Args((name, make_args(item)) for name, item in value.items())
    return [make_args(item) for item in value] if isinstance(value, list) else value


def _known_names(args: Args, name: str) -> str:
    if not args:
        return 'no arguments are declared; declare them in meta["args"]'
    near = get_close_matches(name, list(args), n=1)
    return f"did you mean {near[0]!r}?" if near else f"declared are {', '.join(args)}"


def _unfrozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unfrozen(item) for name, item in value.items()}
    return [_unfrozen(item) for item in value] if isinstance(value, list) else value


class StepResult:
    """What `agent(..., detail=True)` gives: the value with what it took to get it."""

    __slots__ = ("_merge", "cached", "files", "model", "patch", "step", "turns", "usage", "value")

    def __init__(
        self,
        value: Any,
        *,
        usage: dict[str, Any] | None = None,
        turns: int = 0,
        model: str = "",
        step: str = "",
        cached: bool = False,
        patch: str | None = None,
        files: list[str] | None = None,
        merge: str = "",
        **_later: Any,
    ) -> None:
        self.value = value
        self.patch = patch
        self.files = files or []
        self.usage = usage or {}
        self.turns = turns
        self.model = model
        self.step = step
        self.cached = cached
        self._merge = merge  # how what it did in a worktree gets into the project; "" where it had none

    def __repr__(self) -> str:
        return f"StepResult(value={self.value!r}, turns={self.turns}, model={self.model!r}, cached={self.cached})"


#: What a script may read of a StepResult.
STEP_RESULT_FIELDS = tuple(name for name in StepResult.__slots__ if not name.startswith("_"))
