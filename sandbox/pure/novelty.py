"""What is new among what was found, and when nothing new comes any more."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from .checks import given, kind, listed, settled, whole

Item = TypeVar("Item")

_NO_VALUE: tuple[object, ...] = (None, object.__hash__)


def dedup(
    items: Iterable[Item],
    key: Callable[[Item], Any] | None = None,
    merge: Callable[[Item, Item], Item] | None = None,
) -> list[Item]:
    """The first item of each key, in order; without `key`, each item is its own.

    Keys are compared as JSON values: lists and dicts by what is in them, 1 and 1.0 as equal, 1 and True as different.
    `merge(kept, other)` gives what is kept in place of both; it must leave the key as it is. Takes time in proportion
    to the items. Raises TypeError for a key that has no value to compare, such as a function.

    >>> dedup(["b", "a", "b"])
    ['b', 'a']
    >>> found = [{"path": "a.py", "line": 3, "by": ["x"]}, {"path": "a.py", "line": 3, "by": ["y"]}]
    >>> dedup(found, lambda f: (f["path"], f["line"]), lambda kept, other: {**kept, "by": kept["by"] + other["by"]})
    [{'path': 'a.py', 'line': 3, 'by': ['x', 'y']}]
    """
    kept: dict[Hashable, Item] = {}
    for item in listed("dedup", "items", items):
        own = _key("dedup", key, item)
        if own not in kept:
            kept[own] = item
        elif merge is not None:
            kept[own] = _merged(merge, kept[own], item)
    return list(kept.values())


def fresh(found: Iterable[Item], seen: Iterable[Item], key: Callable[[Item], Any] | None = None) -> list[Item]:
    """Those of `found` whose key none of `seen` has, once each, in order. Both hold items; keys are as for `dedup`.

    >>> seen = ["a.py"]
    >>> fresh(["b.py", "a.py", "b.py"], seen)
    ['b.py']
    >>> fresh([{"id": 1, "text": "new words"}], [{"id": 1, "text": "old words"}], lambda each: each["id"])
    []
    """
    known = {_key("fresh", key, item) for item in listed("fresh", "seen items", seen)}
    new: dict[Hashable, Item] = {}
    for item in listed("fresh", "items", found):
        own = _key("fresh", key, item)
        if own not in known:
            new.setdefault(own, item)
    return list(new.values())


def dry(counts: Iterable[int | None], rounds: int = 2) -> bool:
    """Whether the last `rounds` counts are all 0: nothing new has come for so long. False while there are fewer.

    None, for a round that failed, is not 0: an outage is no sign that all is found. Bound the loop by a count, too.

    >>> dry([5, 2, 0]), dry([5, 2, 0, 0]), dry([5, 2, 0, None])
    (False, True, False)
    """
    whole("dry", "the rounds are a number of counts", rounds, 1)
    held = list(listed("dry", "counts", counts))
    for count in held:
        if count is not None:
            whole("dry", "a count is how much was new in one round, such as len(found)", count, 0)
    return len(held) >= rounds and all(count == 0 for count in held[-rounds:])


def _key(who: str, key: Callable[[Any], Any] | None, item: Any) -> Hashable:
    """What stands for an item in a dict: equal for two items if and only if their keys are equal as JSON values."""
    settled(who, "an item", item)
    own = item if key is None else given(who, "the key", key(item))
    if type(own) is str:
        return own
    try:
        return _canonical(who, own)
    except RecursionError:
        raise ValueError(f"{who}: the key of an item is nested too deeply; give a text or a number") from None


def _canonical(who: str, value: Any) -> Hashable:
    # Marked by its type are a bool, because True == 1, and what becomes a frozenset. No list can hold a type.
    if type(value) is bool:
        return (bool, value)
    if isinstance(value, (list, tuple)):
        return tuple([_canonical(who, each) for each in value])
    if isinstance(value, dict):
        return (dict, frozenset([(_canonical(who, name), _canonical(who, each)) for name, each in value.items()]))
    if isinstance(value, (set, frozenset)):
        return (set, frozenset([_canonical(who, each) for each in value]))
    if value is None:
        return None
    if callable(value):
        raise TypeError(f"{who}: a key is a function that nobody called; write its (), or give what it is to be")
    if type(value).__hash__ in _NO_VALUE:
        raise TypeError(
            f"{who}: a key of type {kind(value)} has no value to compare; give a text or a number, or a list or dict "
            f"of them"
        )
    return value  # type: ignore[no-any-return]


def _merged(merge: Callable[[Item, Item], Item], kept: Item, other: Item) -> Item:
    result = given("dedup", "merge", merge(kept, other))
    if result is None:
        raise TypeError("dedup: merge gave None; it must return what is kept, such as {**other, **kept}")
    return result
