"""The guard over attribute reads, and the globals that a script runs in.

Attribute reads are the only thing guarded while a script runs. All else (calls, indexing, iteration, operators,
patterns) runs natively, which is sound as long as these hold:
# Invariant: a script cannot define a class, so every object it reaches has the methods of a type that we know.
# Invariant: no real module, and no type object beyond plain values and exceptions, reaches a script.
# Invariant: what is injected is safe to call, index and iterate, and its attributes are allowlisted by its exact type.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from . import namespace
from .attributes import CLASS_ATTRIBUTES, INSTANCE_ATTRIBUTES, METHODS, attribute_problem
from .facades import registry
from .facades.module import Module, members
from .names import MATCH_CLASSES, match_class_name

_MISSING: Final = object()
_NAMED: Final = frozenset({FunctionType, BuiltinFunctionType, type})

_dynamic: dict[type, Callable[[Any, str], object]] = {}


def allow_attributes(cls: type, names: Iterable[str]) -> None:
    """Let scripts read `names` of instances of exactly `cls`; subclasses are not included."""
    chosen = frozenset(names)
    if hidden := sorted(name for name in chosen if name.startswith("_")):
        raise ValueError(f"names with an underscore cannot be allowed: {hidden}")
    INSTANCE_ATTRIBUTES[cls] = INSTANCE_ATTRIBUTES.get(cls, frozenset()) | chosen


def allow_dynamic(cls: type, getter: Callable[[Any, str], object]) -> None:
    """Let `getter(value, name)` answer every attribute read of exactly `cls`; its AttributeError is what a script sees.

    It never sees a name with a leading underscore.
    """
    _dynamic[cls] = getter


def _make_getattr() -> Callable[[Any, str], Any]:
    # A closure: defaults of the guard itself would be arguments that a script could pass.
    allowed_of, nothing, read, kind = INSTANCE_ATTRIBUTES.get, frozenset[str](), getattr, type

    def guarded_getattr(value: Any, name: str) -> Any:
        if name in allowed_of(kind(value), nothing):
            return read(value, name)
        return _resolve(value, name)

    return guarded_getattr


guarded_getattr: Final = _make_getattr()


def _resolve(value: Any, name: str) -> Any:
    """The reads that the table of plain instances does not answer."""
    cls = type(value)
    if cls is Module:
        found = members(value).get(name, _MISSING)
    elif name == "__name__" and cls in _NAMED:
        found = value.__name__
    elif name.startswith("_"):
        found = _MISSING
    elif cls in _dynamic:
        found = _dynamic[cls](value, name)
    elif cls is type:
        found = _class_attribute(value, name)
    elif (cls, name) in METHODS:
        found = functools.partial(METHODS[cls, name], value)
    elif name == "args" and issubclass(cls, BaseException):
        found = value.args
    else:
        found = _MISSING
    if found is _MISSING:
        # `obj` of the error stays unset: it would hand out what the guard keeps back.
        raise AttributeError(attribute_problem(value, name))
    return found


def _class_attribute(cls: type, name: str) -> Any:
    if name in CLASS_ATTRIBUTES.get(cls, ()):
        return getattr(cls, name)
    return METHODS.get((cls, name), _MISSING) if name not in ("format", "format_map") else _MISSING


# ---------------------------------------------------------------- getattr and hasattr as scripts call them


def _getattr(value: Any, name: str, /, *default: Any) -> Any:
    if len(default) > 1:
        raise TypeError(f"getattr expected at most 3 arguments, got {2 + len(default)}")
    if type(name) is not str:
        raise TypeError("attribute name must be a string")
    if not default:
        return guarded_getattr(value, name)
    try:
        return guarded_getattr(value, name)
    except AttributeError:
        return default[0]


def _hasattr(value: Any, name: str, /) -> bool:
    try:
        _getattr(value, name)
    except AttributeError:
        return False
    return True


def _import(name: str, member: str | None) -> object:
    """What the policy makes of `import name` and `from name import member`."""
    module = registry.find(name)
    if module is None:
        raise ImportError(f"{name!r} is not available in this version")
    if member is None:
        return module
    try:
        return members(module)[member]
    except KeyError:
        raise ImportError(f"cannot import {member!r} from {name!r}: it is not available in workflow scripts") from None


#: What compiled scripts call; the names cannot be written in a script.
GUARDS: Final[Mapping[str, object]] = {
    "_getattr_": guarded_getattr,
    "_import_": _import,
    **{match_class_name(name): cls for name, cls in MATCH_CLASSES.items()},
}


def make_globals(injected: Mapping[str, object], *, filename: str) -> dict[str, object]:
    """The globals in which a compiled script is executed: builtins, guards, modules, and what is injected."""
    if hidden := sorted(name for name in injected if name.startswith("_")):
        raise ValueError(f"names with an underscore cannot be injected: {hidden}")
    builtins = {**namespace.BUILTINS, "getattr": _getattr, "hasattr": _hasattr, "__import__": namespace.import_loaded}
    return {
        "__builtins__": builtins,
        "__name__": "workflow",
        "__file__": filename,
        **registry.top_level(),
        **injected,
        **GUARDS,
    }
