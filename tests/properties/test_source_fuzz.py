"""Compiling and reading metadata against mangled sources: a script is refused with its problems, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibe_workflows.sandbox.channel import encode
from vibe_workflows.sandbox.policy import ScriptProblem, ScriptRefused, compile_script, read_metadata
from vibe_workflows.sandbox.problems import MAX_PROBLEMS

_ROOT = Path(__file__).parents[2]
#: Small ones: what exhausts the parser is for the locked worker.
_SOURCES = [
    path.read_text(encoding="utf-8")
    for folder in ("examples/workflows", "catalog/workflows", "tests/attacks/scripts")
    for path in sorted((_ROOT / folder).glob("*.py"))
    if 0 < path.stat().st_size < 6_000 and "nest" not in path.name
]
_PIECES = (
    *("\x00", "\x0c", "\t", "\r", "\n", "\r\n", "\\\n", "\\", "\ufeff", "\u2028", "\x1a", "\x85", "\xa0", "\u200b"),
    *(
        "\ud800",
        "\udfff",
        "\U0010ffff",
        "\u0301",
        "\ufb01",
        "\uff3f",
        "\u2160",
        "\u00aa",
        "__\uff43lass__",
        "\U0001d41a",
    ),
    *("# -*- coding: rot13 -*-\n", "# coding: utf-7\n", "# vim: set fileencoding=ascii :\n", "#!/bin/sh\n"),
    *("9" * 5_000, "0x" + "f" * 9_000, "1e999", "1e-999", "0b2", "1_", "0777", "1j", "1__0", "0_7", "."),
    *("f'{", "f'{x!r:{y}}'", "f'{x=}'", "f'''{\n'''", "'''", '"', "b'\xe9'", "\\N{nope}", "'\\x'", "rb''", "t'{x}'"),
    *("(", ")", "[", "]", "{", "}", ":", ";", ",", "->", ":=", "...", "@", "**", "=", "==", "!", "?", "$", "`"),
    *("async ", "await ", "match x:\n case ", "type X = ", "lambda: ", "class A: ", "def f[T](): ", "except* ", "del "),
    *("global meta\n", "nonlocal x\n", "import os\n", "from . import x\n", "from __future__ import braces\n", "yield "),
    *("__class__", ".__globals__", "_getattr_", "None = 1\n", "True", "__debug__ = 1\n", "meta = {1: 2}\n", "return "),
    *(
        "meta = {'a': -'b'}\n",
        "meta = {**x}\n",
        "meta: int\n",
        "phase('a', *b)\n",
        "print(*a, end=b)\n",
        "*a, *b = c\n",
    ),
)


def mangled(seed: int, edits: int) -> str:
    chance = random.Random(seed)
    text = chance.choice(_SOURCES)
    for _ in range(edits):
        at = chance.randrange(len(text) + 1)
        match chance.randrange(6):
            case 0 | 1:
                text = text[:at] + chance.choice(_PIECES) + text[at:]
            case 2:
                text = text[:at] + text[at + chance.randrange(40) :]
            case 3:
                start = chance.randrange(len(text) + 1)
                text = text[:at] + text[start : start + chance.randrange(80)] + text[at:]
            case 4:
                text = (
                    text[:at] + chr(chance.choice((chance.randrange(256), chance.randrange(0x110000)))) + text[at + 1 :]
                )
            case 5:
                lines = text.split("\n")
                chance.shuffle(lines)
                text = "\n".join(lines) if chance.randrange(4) == 0 else text
    return text


def check(source: str) -> bool:
    """Whether it compiles."""
    report = read_metadata(source, "flow.py")
    encode({**report, "problems": [list(problem) for problem in report["problems"]]}, "the report")
    problems: tuple[ScriptProblem, ...] = ()
    try:
        compile_script(source, "flow.py")
    except ScriptRefused as refused:
        problems = refused.problems or (ScriptProblem(0, 0, "refused for nothing"),)
    assert report["problems"] == problems
    assert len(problems) <= MAX_PROBLEMS
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
    return not problems


@settings(max_examples=settings().max_examples * 4)
@given(st.builds(mangled, st.integers(0, 1 << 32), st.integers(1, 8)))
def test_a_mangled_script_compiles_or_is_refused_with_its_problems(source: str) -> None:
    check(source)


@given(st.text(max_size=60) | st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
def test_any_text_at_all_compiles_or_is_refused_with_its_problems(source: str) -> None:
    check(source)


def test_the_sources_that_are_mangled_compile_often_enough_to_matter() -> None:
    assert sum(check(source) for source in _SOURCES) > len(_SOURCES) // 4


@pytest.mark.parametrize(
    ("written", "is_name"),
    [
        ("().__\uff43lass__", ".__class__"),
        ("x.__\uff44ict__", ".__dict__"),
        ("_\uff47etattr_", "_getattr_"),
        ("\uff4fpen('x')", "open"),
        ("import \uff4fs", "os"),
        ("from json import dumps as _\uff47etattr_", "_getattr_"),
        ("match x:\n    case {**_\uff47etattr_}: pass", "_getattr_"),
        ("def f():\n    global _\uff49mport_", "_import_"),
        ("def f(*, _\uff47etattr_): pass", "_getattr_"),
        ("try: pass\nexcept Exception as _\uff47etattr_: pass", "_getattr_"),
    ],
)
def test_a_name_is_what_the_interpreter_makes_of_its_letters(written: str, is_name: str) -> None:
    with pytest.raises(ScriptRefused, match=is_name.replace(".", r"\.")):
        compile_script(written, "flow.py")
