"""The builtins of a script, and what C code finds when it looks for `__import__` there."""

from __future__ import annotations

import builtins
import codecs
import encodings
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from .attributes import VALUE_TYPES

_PLAIN: Final = (
    "ArithmeticError AssertionError AttributeError BufferError DeprecationWarning Ellipsis EOFError Exception False "
    "FloatingPointError IOError ImportError IndexError KeyError LookupError MemoryError ModuleNotFoundError "
    "NameError None NotImplemented NotImplementedError OSError OverflowError PermissionError RecursionError "
    "RuntimeError RuntimeWarning StopAsyncIteration StopIteration TimeoutError True TypeError UnboundLocalError "
    "UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning ValueError Warning ZeroDivisionError "
    "FileNotFoundError ConnectionError abs aiter all anext any ascii bin bool bytes callable chr complex dict divmod "
    "enumerate filter float format frozenset hex int isinstance issubclass iter len list map max min next oct ord "
    "pow range repr reversed round set slice sorted str sum tuple zip"
)

#: Of these the hash is the same in every process, under the fixed hash seed.
_HASHABLE: Final = frozenset({bool, bytes, complex, float, int, range, str})


def _type(value: Any, /) -> type:
    """`type` of plain values and exceptions. The real one makes classes, and `type(int)` gives it."""
    cls = type(value)
    if cls in VALUE_TYPES or issubclass(cls, BaseException):
        return cls
    raise TypeError(
        f"type() takes plain values in workflow scripts, not {cls.__name__}; use isinstance(), or callable()"
    )


def _hash(value: Any, /) -> int:
    return hash(_stable(value))


def _stable(value: Any) -> Any:
    """`value`, without what hashes as its address; before Python 3.12 None does."""
    cls = type(value)
    if value is None:
        return "None"
    if cls is tuple or cls is frozenset:
        return cls(map(_stable, value))
    if cls in _HASHABLE:
        return value
    raise TypeError(f"hash() takes plain values in workflow scripts, not {cls.__name__}")


BUILTINS: Final[Mapping[str, object]] = {
    **{name: getattr(builtins, name) for name in _PLAIN.split()},
    "type": _type,
    "hash": _hash,
}

#: What C code imports by name. It looks `__import__` up in the builtins of the frame that called it: the script's.
_FOR_C_CODE: Final = frozenset({"_pylong", "_strptime", "datetime", "re", "time", "unicodedata", "warnings"})


def import_loaded(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 - the protocol of __import__
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> ModuleType:
    """`__import__` for C code: gives what is loaded, and loads nothing. A script cannot name it."""
    if name in _FOR_C_CODE and name in sys.modules:
        return sys.modules[name]
    raise ImportError(f"import of {name!r} is not available in workflow scripts")


# ---------------------------------------------------------------- codecs

_CODECS: Final = {
    "ascii": ("ascii", "us_ascii"),
    "latin-1": ("iso8859_1", "iso_8859_1", "latin1", "latin_1"),
    "utf-8": ("utf8", "utf_8"),
}


def lock_codecs() -> None:
    """Leave this process no codecs but UTF-8, ASCII and Latin-1. For the child: it cannot be undone.

    `str(data, "idna")` and the `encoding=` of library functions find codecs by any name, and load them.
    """
    known = {alias: codecs.lookup(name) for name, aliases in _CODECS.items() for alias in aliases}
    codecs.unregister(encodings.search_function)
    codecs.register(lambda name: known.get(name.replace("-", "_")))
