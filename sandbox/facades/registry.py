"""The modules that a script may import, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import algorithms, containers, data, dates, hints, math_, patterns, places, text
from .module import Module, Readable, members

_FACADES: Final = (algorithms.FACADE, containers.FACADE, data.FACADE, dates.FACADE, hints.FACADE, math_.FACADE)
_ALL: Final = (*_FACADES, patterns.FACADE, places.FACADE, text.FACADE)

#: The types that the built-in facades give out.
TYPES: Final[tuple[Readable, ...]] = tuple(readable for facade in _ALL for readable in facade.types)

#: Modules whose members come from outside, by `register`; a script may import them wherever it is compiled.
FROM_OUTSIDE: Final = frozenset({"random", "vibe_workflows", "vibe_workflows.script"})

_modules: dict[str, Module] = {}


def find(name: str) -> Module | None:
    return _modules.get(name)


def register(name: str, mapping: Mapping[str, object]) -> None:
    """Offer `mapping` as module `name`, in place of what was registered under it before.

    Every member must be safe to call, to iterate and to index by a hostile script, and of a type whose attributes are
    allowlisted or needed by nobody. A built-in facade cannot be replaced.
    """
    if name in _BUILT_IN:
        raise ValueError(f"the facade of {name!r} is built in")
    _install(name, mapping)


def importable() -> str:
    """The names for a message, in order."""
    return ", ".join(sorted((_modules.keys() | FROM_OUTSIDE) - {"urllib", "vibe_workflows"}))


def top_level() -> dict[str, object]:
    """The modules that are in scope without an import."""
    return {name: module for name, module in _modules.items() if "." not in name and name not in FROM_OUTSIDE}


def _install(name: str, mapping: Mapping[str, object]) -> None:
    module = _modules[name] = Module(name, mapping)
    package, _, leaf = name.rpartition(".")
    if package:
        siblings = members(_modules[package]) if package in _modules else {}
        _install(package, {**siblings, leaf: module})


for _facade in _ALL:
    for _name, _mapping in _facade.modules.items():
        _install(_name, _mapping)
_BUILT_IN: Final = frozenset(_modules)
