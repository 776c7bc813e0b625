"""Random trees of a project, and random scripts that change one."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from .job_scripts import Operation

#: A confined command takes a fifth of a second: by thousands they run with the long profile.
MANY, FEW = (5_000, 200) if settings().max_examples > 1_000 else (40, 3)

_PATHS = (
    *("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/b", "build", "build/a", "d/build/a", "x.log", "d/x.log"),
    *(".gitignore", "d/.gitignore", "é ö", "new\nline/a", "\udcff", "d/\udcff/a"),
)
_RULES = ("*.log\n", "build/\n", "a\n", "!a\n", "/d/\n", "*\n", ".gitignore\n", "\xa0\n[\n", "")

paths = st.sampled_from(_PATHS)
texts = st.one_of(st.sampled_from(_RULES), st.text("xyz\n", max_size=4), st.just("\0binary"))
targets = st.sampled_from(("a", "d", "d/a", "d/../a", "build", "gone"))


def operations() -> st.SearchStrategy[list[Operation]]:
    one: list[st.SearchStrategy[Any]] = [
        st.tuples(st.sampled_from(("write", "plant")), paths, texts),
        st.tuples(st.just("append"), paths, texts),
        st.tuples(st.just("make"), paths),
        st.tuples(st.just("move"), paths, paths),
        st.tuples(st.just("link"), targets, paths),
        st.tuples(st.sampled_from(("remove", "empty", "clear", "again")), paths),
        st.tuples(st.just("mode"), paths, st.sampled_from((0o600, 0o644, 0o700, 0o755))),
    ]
    return st.lists(st.one_of(one), max_size=10)


def trees() -> st.SearchStrategy[list[Operation]]:
    one: list[st.SearchStrategy[Any]] = [
        st.tuples(st.just("make"), paths),
        st.tuples(st.just("plant"), paths, texts),
        st.tuples(st.just("link"), targets, paths),
        st.tuples(st.just("mode"), st.sampled_from(("a", "b", "d/a")), st.just(0o755)),
    ]
    return st.lists(st.one_of(one), max_size=12)
