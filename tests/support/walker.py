"""Walks from all that a script can name to all that it can get at, and tells what should not be there.

Runs inside of a locked child, in the very globals of a script, with the tripwire armed: from each value it goes on
through every attribute that the real guard answers, every item, and what calls and operators give or raise.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

from tests.support.reachable import ENDLESS, name_of, unexpected
from vibe_workflows.sandbox import attributes, guards
from vibe_workflows.sandbox.facades.module import Module, members
from vibe_workflows.sandbox.values import Args

#: What no attribute read may answer, whatever the tables say.
INTERNAL = frozenset(
    """
__base__ __bases__ __builtins__ __call__ __class__ __closure__ __code__ __context__ __defaults__ __dict__ __func__
__getattribute__ __globals__ __import__ __init__ __loader__ __mro__ __module__ __reduce__ __reduce_ex__ __self__
__subclasses__ __traceback__ __wrapped__ _members _state _trampoline ag_code ag_frame asend athrow close cr_await
cr_code cr_frame cr_origin f_back f_builtins f_code f_globals f_locals fault func gi_code gi_frame gi_yieldfrom
maker mro obj owner parser send sys tb_frame tb_next throw trampoline with_traceback
    """.split()  # noqa: SIM905 - a table of names
)

_ITEMS = 12
_SAMPLES = 3
_FRESH = 20
_MOST_HOLES = 20
_BINARY = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.or_,
    operator.and_, operator.xor, operator.lt, operator.eq, operator.getitem, operator.matmul,
)  # fmt: skip
_UNARY = (operator.neg, operator.pos, operator.invert, operator.not_, str, repr, len, reversed, iter)
_KEYWORDS = (
    *("alias", "cls", "compare", "compare_to", "default", "encoding", "errors", "fillvalue", "func", "initial"),
    *("isjunk", "key", "maxsize", "method", "object_hook", "predicate", "quote_via", "separators", "start", "strict"),
    *("typed", "user_function"),
)


class Hole(NamedTuple):
    """Something that a script can get at and must not; `path` says how."""

    path: str
    what: str


class _Enough(BaseException):
    """Ends a walk; a BaseException, since the walk catches all that it meets."""


class Seen(NamedTuple):
    value: Any
    path: str


class Walker:
    """Not `thorough`, it makes fewer calls and ends at the first hole.

    `arguments` makes fresh samples for calls; the `catch` among them puts what it is called with into `captured`.

    Bounded by what is new: a type at most a few times, a function once.
    """

    def __init__(self, arguments: Callable[[], dict[str, Any]], captured: list[Any], *, thorough: bool) -> None:
        self._thorough = thorough
        self.holes: list[Hole] = []
        self.calls = 0
        self.reads = 0
        self.classes: set[str] = set()
        self.samples: dict[type, Seen] = {}
        self._arguments = arguments
        self._captured = captured
        self._queue: deque[Seen] = deque()
        self._walked: dict[Any, int] = {}
        self._expected: set[type] = set()
        self._answered: dict[type, list[str]] = {}
        self._callables: list[Seen] = []
        self._names = sorted(
            set(INTERNAL).union(*attributes.INSTANCE_ATTRIBUTES.values(), *attributes.CLASS_ATTRIBUTES.values())
        )

    def walk(self, names: dict[str, Any]) -> None:
        """From `names`, until nothing new turns up, or enough that should not."""
        with contextlib.suppress(_Enough):
            self._walk(names)

    def _walk(self, names: dict[str, Any]) -> None:
        for name, value in names.items():
            self.meet(value, name)
        self._drain()
        self._combine()
        self._drain()

    @property
    def types(self) -> set[str]:
        """Of the values that were met."""
        return {name_of(kind) for kind in self._expected}

    # ------------------------------------------------------------ what is met is judged

    def meet(self, value: Any, path: str) -> None:
        """Judge a value that a script can hold, and walk on from it where it is new."""
        kind = type(value)
        if kind is type or kind not in self._expected:
            if fault := unexpected(value):
                self._hole(path, fault)
                return
            self._expected.add(kind) if kind is not type else self.classes.add(name_of(value))
        key, most = _identity(value)
        count = self._walked.get(key, 0)
        if count < most:
            self._walked[key] = count + 1
            self.samples.setdefault(kind, Seen(value, path))
            self._queue.append(Seen(value, path))
        else:
            self._look_inside(value, path, 3)

    def _look_inside(self, value: Any, path: str, depth: int) -> None:
        """The items of a container like many before it are judged, and not walked from."""
        if depth == 0 or type(value) not in (list, tuple, dict):
            return
        for item in _some_items(value):
            if type(item) not in self._expected:
                self.meet(item, f"{path}[]")
            else:
                self._look_inside(item, f"{path}[]", depth - 1)

    def _hole(self, path: str, what: str) -> None:
        self.holes.append(Hole(path[:300], what))
        if len(self.holes) >= _MOST_HOLES or not self._thorough:
            raise _Enough

    def _drain(self) -> None:
        while self._queue:
            seen = self._queue.popleft()
            self._read_all(seen)
            self._take_items(seen)
            for function in _UNARY:
                self._call(function, (seen.value,), {}, f"{function.__name__}({seen.path})")
            if callable(seen.value):
                self._callables.append(seen)
                self._call_all(seen)

    # ------------------------------------------------------------ attributes and items

    def _read_all(self, seen: Seen) -> None:
        kind = type(seen.value)
        names: Iterable[str] = self._answered.get(kind, ())
        if kind in (Module, type) or kind in guards._dynamic or kind not in self._answered:
            own = members(seen.value) if kind is Module else seen.value if isinstance(seen.value, Args) else ()
            names = sorted({*dir(seen.value), *self._names, *own})
        answered = []
        for name in names:
            self.reads += 1
            try:
                value = guards.guarded_getattr(seen.value, name)
            except Exception as error:
                if type(error) is not AttributeError:
                    self._caught(error, f"{seen.path}.{name}")
                continue
            answered.append(name)
            if name.startswith("_") and not (name == "__name__" and type(value) is str):
                self._hole(f"{seen.path}.{name}", "an attribute with an underscore")
            self.meet(value, f"{seen.path}.{name}")
        self._answered.setdefault(kind, answered)

    def _take_items(self, seen: Seen) -> None:
        if isinstance(seen.value, str | bytes | type):
            return
        try:
            for item in _some_items(seen.value):
                self.meet(item, f"{seen.path}[]")
        except Exception as error:
            self._caught(error, f"iter({seen.path})")

    # ------------------------------------------------------------ calls

    def _call_all(self, seen: Seen) -> None:
        samples: dict[str, Any] = {}
        for count, (names, keyword) in enumerate(self._argument_lists()):
            if count % _FRESH == 0:  # calls change what they are given
                samples = self._arguments()
            values = tuple(samples[name] for name in names)
            named = {keyword: samples["catch"]} if keyword else {}
            self._call(seen.value, values, named, f"{seen.path}({', '.join(names)}{keyword and f', {keyword}=catch'})")

    def _argument_lists(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Names of samples, and a keyword or an empty string."""
        every = list(self._arguments())
        yield (), ""
        for name in every:
            yield (name,), ""
        for pair in itertools.product(every[: 15 if self._thorough else 6], repeat=2):
            yield pair, ""
        for three in itertools.product(every[: 5 if self._thorough else 0], repeat=3):
            yield three, ""
        for keyword in _KEYWORDS:
            yield (), keyword
            yield ("text",), keyword
            if self._thorough:
                yield ("list",), keyword
                yield ("catch", "list"), keyword

    def _combine(self) -> None:
        """Each callable with a value of each type that was met, and each operator between two."""
        samples = [seen for kind, seen in self.samples.items() if kind not in ENDLESS]
        for function in list(self._callables):
            for seen in samples if self._thorough else ():
                self._call(function.value, (seen.value,), {}, f"{function.path}({seen.path})")
        for left, right in itertools.product(samples, repeat=2):
            for function_ in _BINARY:
                self._call(function_, (left.value, right.value), {}, f"{function_.__name__}({left.path},{right.path})")

    def _call(self, function: Any, values: tuple[Any, ...], named: dict[str, Any], path: str) -> None:
        self.calls += 1
        try:
            result = function(*values, **named)
        except Exception as error:
            self._caught(error, path)
            return
        finally:
            if self._captured:
                for value in self._captured[:_ITEMS]:
                    self.meet(value, f"{path} -> catch")
                self._captured.clear()
        self.meet(result, path)

    def _caught(self, error: Exception, path: str) -> None:
        self.meet(error, f"{path} raised")
        for value in error.args:
            self.meet(value, f"{path} raised .args[]")


def _some_items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for item in itertools.islice(dict.items(value), _ITEMS) for each in item]
    return list(itertools.islice(value, _ITEMS)) if hasattr(value, "__iter__") or isinstance(value, tuple) else []


def _identity(value: Any) -> tuple[Any, int]:
    """What makes a value worth a walk of its own, and how many of these are walked."""
    kind = type(value)
    if kind in (type, Module, ModuleType):
        return id(value), 1
    if kind is BuiltinFunctionType:
        owner = value.__self__
        return (kind, value.__name__, id(owner) if isinstance(owner, type | ModuleType) else type(owner)), 1
    if kind is FunctionType:
        return (kind, value.__module__, value.__qualname__), 1
    if kind is MethodType:
        return (kind, value.__func__.__qualname__, type(value.__self__)), 1
    if kind in (MethodDescriptorType, ClassMethodDescriptorType):
        return (kind, value.__objclass__, value.__name__), 1
    if kind is partial:
        return (kind, _identity(value.func)), 1
    return kind, _SAMPLES
