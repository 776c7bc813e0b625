"""Metadata: read from the source, never evaluated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vibe_workflows.sandbox.policy import ScriptRefused, compile_script, read_metadata

SOURCE = '''\
"""Review a change.

More.
"""
from vibe_workflows.script import agent, phase

meta = {
    "phases": ["Review", ("a", 1)],
    "args": {"type": "object", "properties": {"n": {"type": "integer", "default": -1, "maximum": 2.5}}},
    "on": True,
    "off": None,
    "long": "a"
            "b",
}

async def main(args):
    phase("Review")
    phase(f"Round {1}")
    with phase("Merge"):
        phase("Review")
    return 1
'''


def test_metadata_is_what_the_source_says() -> None:
    found = read_metadata(SOURCE, "flow.py")
    assert found == {
        "docstring": "Review a change.\n\nMore.",
        "meta": {
            "phases": ["Review", ["a", 1]],
            "args": {"type": "object", "properties": {"n": {"type": "integer", "default": -1, "maximum": 2.5}}},
            "on": True,
            "off": None,
            "long": "ab",
        },
        "meta_line": 7,
        "body": "main",
        "phases_used": ["Review", "Merge"],
        "problems": (),
        "undefined": (),
    }


def test_a_script_without_metadata_has_none() -> None:
    assert read_metadata("return 1", "flow.py") == {
        "docstring": None,
        "meta": {},
        "meta_line": None,
        "body": "toplevel",
        "phases_used": [],
        "problems": (),
        "undefined": (),
    }


def test_an_annotated_meta_is_read() -> None:
    assert read_metadata("meta: dict[str, object] = {'a': 1}", "f")["meta"] == {"a": 1}


NOT_LITERAL = [
    ("meta = {'a': open('x')}", 1, 14, "a call is computed"),
    ("meta = {\n    'a': [1,\n        f'{x}'],\n}", 3, 9, "an f-string is computed"),
    ("meta = {'a': X}", 1, 14, "the name `X` stands for a value"),
    ("meta = {'a': 'b' + 'c'}", 1, 14, "an operator is computed"),
    ("meta = {**other}", 1, 11, "`**` is computed"),
    ("meta = {'a': [*b]}", 1, 15, "`*` is computed"),
    ("meta = {'a': {1, 2}}", 1, 14, "JSON has no sets"),
    ("meta = {'a': b'x'}", 1, 14, "JSON has no bytes"),
    ("meta = {'a': 1j}", 1, 14, "JSON has no complex"),
    ("meta = {'a': ...}", 1, 14, "JSON has no ellipsis"),
    ("meta = {'a': 1e999}", 1, 14, "JSON has no number that large"),
    ("meta = {'a': -1e999}", 1, 14, "JSON has no number that large"),
    ("meta = {'a': -True}", 1, 14, "it is computed"),
    ("meta = {'a': not 1}", 1, 14, "it is computed"),
    ("meta = {'a': '\\ud800'}", 1, 14, "a lone surrogate is no text"),
    ("meta = {1: 2}", 1, 9, "keys are strings"),
    ("meta = {('a',): 2}", 1, 9, "keys are strings"),
    ("meta = {'a': 1, 'a': 2}", 1, 17, "the key 'a' is there twice"),
    ("meta = {'a': [i for i in b]}", 1, 14, "it is computed"),
    ("meta = {'a': (lambda: 1)}", 1, 15, "it is computed"),
    ("meta = {'a': " + "[" * 40 + "]" * 40 + "}", 1, 46, "it is nested deeper than 32"),
    ("meta = dict(a=1)", 1, 8, "must be a dict literal"),
]


@pytest.mark.parametrize(("source", "line", "column", "why"), NOT_LITERAL)
def test_what_is_no_literal_is_reported_at_its_very_place(source: str, line: int, column: int, why: str) -> None:
    found = read_metadata(source, "flow.py")
    problem = found["problems"][0]
    assert (problem.line, problem.column) == (line, column)
    assert why in problem.message
    assert found["meta"] == {}


@pytest.mark.parametrize(
    "source", ["import os\nclass A: pass", "x = (", "meta = {'a': f()}", "def main(): pass", "x = 1"]
)
def test_the_problems_are_those_that_compiling_finds(source: str) -> None:
    compiled: Any = ()
    try:
        compile_script(source, "flow.py")
    except ScriptRefused as refused:
        compiled = refused.problems
    assert read_metadata(source, "flow.py")["problems"] == compiled


def test_whatever_is_read_can_be_sent_as_json() -> None:
    assert json.loads(json.dumps(read_metadata(SOURCE, "f")["meta"], allow_nan=False))
