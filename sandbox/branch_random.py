"""`random` for scripts: every branch has a generator of its own, seeded by its place, so that a rerun sees the same."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .trampoline import Trampoline

RANDOM_FUNCTIONS = (
    "random",
    "randint",
    "randrange",
    "choice",
    "choices",
    "shuffle",
    "sample",
    "uniform",
    "gauss",
)


def random_functions(trampoline: Trampoline, seed: str) -> dict[str, Callable[..., Any]]:
    """The functions of the `random` module, on the generator of the branch that calls them."""

    def function(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            task = trampoline.current
            if task.random is None:
                task.random = Random(f"{seed}:{task.path}")  # noqa: S311 - repeatable on purpose
            return getattr(task.random, name)(*args, **options)

        call.__name__ = call.__qualname__ = name
        return call

    return {name: function(name) for name in RANDOM_FUNCTIONS}
