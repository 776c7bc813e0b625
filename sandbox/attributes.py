"""The attributes that a script may read, by exact type. Anything that is not listed has none.

A list of what is forbidden would have to know every frame, traceback and code object that some version of Python hangs
on some object; a list of what is allowed need not.
"""

from __future__ import annotations

import datetime as dt
import difflib
from _string import formatter_parser  # type: ignore[import-not-found]
from collections.abc import Callable
from types import AsyncGeneratorType, GeneratorType, MethodDescriptorType
from typing import Any, Final

from .facades.module import Module, Readable, members, module_name, readable
from .facades.registry import TYPES
from .problems import member_problem

_BUILTIN: Final[tuple[Readable, ...]] = (
    # Not format and format_map, which read attributes and items by their own rules; encode is below.
    readable(
        str,
        "capitalize casefold center count endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit "
        "isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip partition "
        "removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith "
        "strip swapcase title translate upper zfill",
        "maketrans",
    ),
    readable(
        bytes,
        "count endswith find hex index isalnum isalpha isascii isdigit isspace join lower lstrip partition "
        "removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines startswith strip "
        "translate upper",
        "fromhex maketrans",
    ),
    readable(list, "append clear copy count extend index insert pop remove reverse sort"),
    readable(dict, "clear copy get items keys pop popitem setdefault update values", "fromkeys"),
    readable(tuple, "count index"),
    readable(
        set,
        "add clear copy difference difference_update discard intersection intersection_update isdisjoint issubset "
        "issuperset pop remove symmetric_difference symmetric_difference_update union update",
    ),
    readable(frozenset, "copy difference intersection isdisjoint issubset issuperset symmetric_difference union"),
    readable(
        int, "as_integer_ratio bit_count bit_length conjugate denominator imag numerator real to_bytes", "from_bytes"
    ),
    readable(float, "as_integer_ratio conjugate hex imag is_integer real", "fromhex"),
    readable(bool, "conjugate denominator imag numerator real"),
    readable(complex, "conjugate imag real"),
    readable(range, "count index start step stop"),
    readable(slice, "indices start step stop"),
    readable(type({}.keys()), "isdisjoint", is_value=False),
    readable(type({}.items()), "isdisjoint", is_value=False),
    readable(StopIteration, "args value"),
    readable(type(None), ""),
    readable(type(...), ""),
)

_READABLE: Final = (*_BUILTIN, *TYPES)


#: Unbound, these would write to the read-only mapping that the arguments are.
_WRITES_MAPPINGS: Final = frozenset({"clear", "pop", "popitem", "setdefault", "update"})


#: Unbound, and given a datetime, it makes one whose time and tzinfo were never set: before Python 3.13, whatever lay in
#: memory there is taken for an object.
_MAKES_HALF_A_DATETIME: Final = (dt.date, "replace")


def _may_be_unbound(cls: type, name: str) -> bool:
    """Whether it is C code, and harmless when called on a value of a subclass."""
    writes = issubclass(cls, dict) and name in _WRITES_MAPPINGS
    is_safe = not writes and (cls, name) != _MAKES_HALF_A_DATETIME
    return is_safe and type(getattr(cls, name, None)) is MethodDescriptorType


#: Names that an instance answers. The primitives' own types are added by `guards.allow_attributes`.
INSTANCE_ATTRIBUTES: Final[dict[type, frozenset[str]]] = {entry.cls: entry.attributes for entry in _READABLE}

#: Names that a type answers: what only the type has, and its methods unbound (`key=str.lower`). Methods in C, that is:
#: they check what they are called on, where a Python function would set attributes of anything.
CLASS_ATTRIBUTES: Final[dict[type, frozenset[str]]] = {
    entry.cls: entry.class_attributes | frozenset(name for name in entry.attributes if _may_be_unbound(entry.cls, name))
    for entry in _READABLE
}

#: The types that `type(x)` may give to a script.
VALUE_TYPES: Final = frozenset(entry.cls for entry in _READABLE if entry.is_value)


# ---------------------------------------------------------------- methods that need care

_ENCODINGS: Final = frozenset({"ascii", "latin-1", "latin1", "iso-8859-1", "utf-8", "utf8", "us-ascii"})
_ERROR_HANDLERS: Final = frozenset({"backslashreplace", "ignore", "replace", "strict"})


def _format(template: str, /, *args: Any, **kwargs: Any) -> str:
    """str.format whose fields are names and numbers: `{0.__globals__[sys]}` reads attributes and items unguarded."""
    if type(template) is not str:
        raise TypeError(f"format needs a string, not {type(template).__name__}")
    _check_fields(template, 0)
    return template.format(*args, **kwargs)


def _check_fields(template: str, depth: int) -> None:
    if depth > 2:
        raise ValueError("Max string recursion exceeded")
    for _text, field, spec, _conversion in formatter_parser(template):
        if field and ("." in field or "[" in field):
            raise ValueError(f"{{{field}}}: attributes and items are not available in format(); use an f-string")
        if spec:
            _check_fields(spec, depth + 1)


def _encode(text: str, /, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    if type(text) is not str:
        raise TypeError(f"encode needs a string, not {type(text).__name__}")
    _check_codec(encoding, errors)
    return text.encode(encoding, errors)


def _decode(data: bytes, /, encoding: str = "utf-8", errors: str = "strict") -> str:
    if type(data) is not bytes:
        raise TypeError(f"decode needs bytes, not {type(data).__name__}")
    _check_codec(encoding, errors)
    return data.decode(encoding, errors)


def _check_codec(encoding: str, errors: str) -> None:
    """Looking up any other codec, or error handler, loads modules."""
    if type(encoding) is not str or encoding.lower().replace("_", "-") not in _ENCODINGS:
        raise LookupError(f"encoding {encoding!r} is not available in workflow scripts; use utf-8, ascii or latin-1")
    if type(errors) is not str or errors not in _ERROR_HANDLERS:
        raise LookupError(f"error handler {errors!r} is not available; use strict, ignore or replace")


#: Stand-ins for methods, by type and name; each takes the instance first, and checks it.
METHODS: Final[dict[tuple[type, str], Callable[..., Any]]] = {
    (str, "format"): _format,
    (str, "encode"): _encode,
    (bytes, "decode"): _decode,
}


# ---------------------------------------------------------------- what an attribute error says

_SLIPS: Final = {
    "length": "use len(x)",
    "size": "use len(x)",
    "push": "use append(item)",
    "has_key": "use `key in d`",
    "iteritems": "use items()",
    "contains": "use `item in x`",
    "includes": "use `item in x`",
    "message": "use str(error)",
    "format_map": "use an f-string",
    "send": "use next(), or a plain loop",
    "now": "there is no clock; use now(), which a rerun repeats",
    "today": "there is no clock; use now(), which a rerun repeats",
    "utcnow": "there is no clock; use now(), which a rerun repeats",
}
#: Slips that are no keys.
_DICT_SLIPS: Final = frozenset({"contains", "has_key", "includes", "iteritems"})


#: Where None comes from that nobody expected.
OF_NONE: Final = "a fan-out gives None for a branch that failed or ended early: leave those out, or check for None"


def attribute_problem(value: object, name: str) -> str:
    """What has no such attribute, and what to write instead."""
    cls = type(value)
    if isinstance(value, Module):
        return member_problem(module_name(value), name) + _nearest(name, members(value))
    if value is None:
        return f"None has no attribute {name!r}; {OF_NONE}"
    what = f"the type {value.__name__}" if isinstance(value, type) else f"{cls.__name__} object"
    text = f"{what} has no attribute {name!r} in workflow scripts"
    if name.startswith("_"):
        return text
    if hasattr(cls, "__await__"):
        return f"{text}; is an `await` missing?"
    if cls in (GeneratorType, AsyncGeneratorType):
        return f"{text}; use next(), or a loop"
    if isinstance(value, type) and name == "format":
        return f"{text}; use an f-string"
    if isinstance(value, dict) and name not in _DICT_SLIPS:
        return f"{text}; use d[{name!r}]"
    if name in _SLIPS:
        return f"{text}; {_SLIPS[name]}"
    return text + _nearest(name, INSTANCE_ATTRIBUTES.get(cls, ()))


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
