"""collections, itertools, functools and operator."""

from __future__ import annotations

import collections
import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType
from typing import Any, Final

from .module import Facade, pick, readable

_DICT: Final = "clear copy get items keys pop popitem setdefault update values"
_USED_ONCE: Final = frozenset({AsyncGeneratorType, CoroutineType, GeneratorType})


def _batched(iterable: Iterable[Any], n: int, *, strict: bool = False) -> Iterator[tuple[Any, ...]]:
    """itertools.batched, which is new in 3.12 and has `strict` since 3.13."""
    if n < 1:
        raise ValueError("n must be at least one")
    iterator = iter(iterable)
    while batch := tuple(itertools.islice(iterator, n)):
        if strict and len(batch) != n:
            raise ValueError("batched(): incomplete batch")
        yield batch


def _cache(user_function: Callable[..., Any], /) -> Callable[..., Any]:
    return _cached(user_function, None)


def _lru_cache(maxsize: Any = 128, typed: bool = False) -> Callable[..., Any]:
    """functools.lru_cache for the functions of a script: it copies attributes of what it wraps."""
    if isinstance(maxsize, FunctionType):
        return _cached(maxsize, 128)
    return lambda user_function: _cached(user_function, maxsize, typed)


def _cached(function: Any, maxsize: int | None, typed: bool = False) -> Callable[..., Any]:
    if type(function) is not FunctionType:
        raise TypeError(f"only functions can be cached, not {type(function).__name__}")

    def checked(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if type(result) in _USED_ONCE:
            result.close() if type(result) is not AsyncGeneratorType else None
            raise TypeError(
                f"{function.__name__} gives a {type(result).__name__}, which can be used only once: do not cache it"
            )
        return result

    return functools.lru_cache(maxsize, typed)(checked)


FACADE: Final = Facade(
    modules={
        # Not namedtuple (it evaluates source), nor the User... kin (their instances are open to attribute writes).
        "collections": pick(collections, "Counter OrderedDict defaultdict deque"),
        "itertools": {
            **pick(
                itertools,
                "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile "
                "filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
            ),
            "batched": _batched,
        },
        # Not update_wrapper and wraps (they copy any attribute), singledispatch, cached_property, total_ordering.
        "functools": {**pick(functools, "cmp_to_key partial reduce"), "cache": _cache, "lru_cache": _lru_cache},
        # Not attrgetter, methodcaller and call: the first two read attributes past the guard.
        "operator": pick(
            operator,
            "abs add and_ concat contains countOf eq floordiv ge getitem gt index indexOf inv invert is_ is_not "
            "itemgetter le lshift lt matmul mod mul ne neg not_ or_ pos pow rshift sub truediv truth xor",
        ),
    },
    types=(
        readable(collections.Counter, f"{_DICT} elements most_common subtract total"),
        readable(collections.OrderedDict, f"{_DICT} move_to_end", "fromkeys"),
        readable(collections.defaultdict, _DICT),
        readable(
            collections.deque,
            "append appendleft clear copy count extend extendleft index insert maxlen pop popleft remove reverse "
            "rotate",
        ),
        readable(itertools.chain, "", "from_iterable", is_value=False),
    ),
)
