"""json, copy and hashlib."""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from .module import Facade, pick, readable

try:  # The interpreter's own digests: hashlib would load OpenSSL, 3 ms and 5 MB.
    from _blake2 import blake2b, blake2s
    from _md5 import md5  # type: ignore[import-not-found]
    from _sha1 import sha1  # type: ignore[import-not-found]

    if sys.version_info >= (3, 12):
        from _sha2 import sha224, sha256, sha384, sha512
    else:
        from _sha256 import sha224, sha256  # type: ignore[import-not-found]
        from _sha512 import sha384, sha512  # type: ignore[import-not-found]
except ImportError:  # an interpreter built without them
    from hashlib import blake2b, blake2s, md5, sha1, sha224, sha256, sha384, sha512


# ---------------------------------------------------------------- json


def _dumps(
    obj: Any,
    *,
    skipkeys: bool = False,
    ensure_ascii: bool = True,
    allow_nan: bool = True,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
    sort_keys: bool = False,
) -> str:
    """json.dumps without `cls`, which would run the methods of any class."""
    return json.dumps(
        obj,
        skipkeys=skipkeys,
        ensure_ascii=ensure_ascii,
        allow_nan=allow_nan,
        indent=indent,
        separators=separators,
        default=default,
        sort_keys=sort_keys,
    )


def _loads(s: str | bytes) -> Any:
    if isinstance(s, bytes):
        s = s.decode("utf-8")  # json.loads would guess, and load the codec that it guesses
    return json.loads(s)


# ---------------------------------------------------------------- copy

_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes, range, frozenset})
_FLAT: Final = frozenset({set, collections.deque})


def _copy(x: Any) -> Any:
    """A shallow copy of plain data. The real one would call `__reduce_ex__` of whatever it is given."""
    cls = type(x)
    if cls in _ATOMS or cls is tuple:
        return x
    if cls is list or cls in _FLAT or cls in _MAPPINGS:
        return x.copy()
    if isinstance(x, dict):
        return dict(x)
    raise TypeError(f"copy takes plain data, not {cls.__name__}")


def _deepcopy(x: Any) -> Any:
    """A copy of plain data down to its leaves; what occurs twice in `x` occurs twice in the copy."""
    return _deep(x, {})


_MAPPINGS: Final = frozenset({dict, collections.Counter, collections.defaultdict, collections.OrderedDict})


def _deep(x: Any, seen: dict[int, Any]) -> Any:
    cls = type(x)
    if cls in _ATOMS:
        return x
    if id(x) in seen:
        return seen[id(x)]
    if cls is tuple:
        return tuple(_deep(item, seen) for item in x)
    if cls is list or cls is collections.deque:
        items = seen[id(x)] = [] if cls is list else collections.deque(maxlen=x.maxlen)
        items.extend(_deep(item, seen) for item in x)
        return items
    if cls is set:
        return {_deep(item, seen) for item in x}
    if isinstance(x, dict):
        mapping = seen[id(x)] = _empty_like(x)
        for key, value in x.items():
            mapping[_deep(key, seen)] = _deep(value, seen)
        return mapping
    if cls in (type(len), type(_deep)):
        return x
    raise TypeError(f"deepcopy takes plain data, not {cls.__name__}")


def _empty_like(x: dict[Any, Any]) -> dict[Any, Any]:
    if type(x) is collections.defaultdict:
        return collections.defaultdict(x.default_factory)
    return type(x)() if type(x) in _MAPPINGS else {}


# ---------------------------------------------------------------- hashlib


class Digest:
    """A digest of text (as UTF-8) or bytes."""

    __slots__ = ("_state", "name")

    def __init__(self, name: str, state: Any) -> None:
        self.name = name
        self._state = state

    def update(self, data: str | bytes, /) -> None:
        self._state.update(_encoded(data))

    def hexdigest(self) -> str:
        return str(self._state.hexdigest())

    def digest(self) -> bytes:
        return bytes(self._state.digest())


def _encoded(data: str | bytes) -> bytes:
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    raise TypeError(f"a digest is made of text or bytes, not {type(data).__name__}")


def _hasher(name: str, make: Callable[[bytes], Any]) -> Callable[..., Digest]:
    def hasher(data: str | bytes = b"", *, usedforsecurity: bool = True) -> Digest:
        return Digest(name, make(_encoded(data)))

    hasher.__name__ = hasher.__qualname__ = name
    return hasher


def _blake(name: str, make: Callable[..., Any], size: int) -> Callable[..., Digest]:
    def hasher(data: str | bytes = b"", *, digest_size: int = size, usedforsecurity: bool = True) -> Digest:
        return Digest(name, make(_encoded(data), digest_size=digest_size))

    hasher.__name__ = hasher.__qualname__ = name
    return hasher


_HASHERS: Final = {
    **{
        name: _hasher(name, make)
        for name, make in (
            ("md5", md5),
            ("sha1", sha1),
            ("sha224", sha224),
            ("sha256", sha256),
            ("sha384", sha384),
            ("sha512", sha512),
        )
    },
    "blake2b": _blake("blake2b", blake2b, 64),
    "blake2s": _blake("blake2s", blake2s, 32),
}

FACADE: Final = Facade(
    modules={
        "json": {"dumps": _dumps, "loads": _loads, **pick(json, "JSONDecodeError")},
        "copy": {"copy": _copy, "deepcopy": _deepcopy},
        "hashlib": _HASHERS,
    },
    types=(
        readable(json.JSONDecodeError, "args msg doc pos lineno colno"),
        readable(Digest, "update hexdigest digest name", is_value=False),
    ),
)
