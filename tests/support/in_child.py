"""Runs modules of the tests inside of a locked child, which can import nothing: their source goes with the request."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

_LOADER = """
import sys, types
for name, source in {sources!r}:
    module = sys.modules[name] = types.ModuleType(name)
    if source is None:
        module.__path__ = []
    else:
        exec(compile(source, name, "exec"), module.__dict__)
        package, _, leaf = name.rpartition(".")
        setattr(sys.modules[package], leaf, module)
"""


def with_modules(modules: Sequence[str], source: str) -> str:
    """A native script that can import `modules`, each after those that it imports itself, and goes on with `source`."""
    sources: list[tuple[str, str | None]] = [("tests", None), ("tests.support", None)]
    for name in modules:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        sources.append((name, Path(spec.origin).read_text(encoding="utf-8")))
    return _LOADER.format(sources=sources) + source
