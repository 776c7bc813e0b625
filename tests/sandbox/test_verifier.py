"""The second look at compiled code: it finds what a policy with a hole would let through."""

from __future__ import annotations

import dis

import pytest

from tests.sandbox.policy_scripts import refusals
from vibe_workflows.sandbox import policy_nodes, verifier
from vibe_workflows.sandbox.verifier import Unverified, verify

UNVERIFIED = [
    ("x.y", "LOAD_ATTR"),
    ("x.y()", "LOAD_METHOD|LOAD_ATTR"),
    ("x.y = 1", "STORE_ATTR"),
    ("del x.y", "DELETE_ATTR"),
    ("import os", "IMPORT_NAME"),
    ("from os import path", "IMPORT_FROM|IMPORT_NAME"),
    ("from os import *", "IMPORT_STAR|IMPORT_NAME|CALL_INTRINSIC_1"),
    ("class A: pass", "LOAD_BUILD_CLASS"),
    ("x: int = 1", "SETUP_ANNOTATIONS|the name '__annotations__'|the name '__conditional_annotations__'"),
    ("try: pass\nexcept* ValueError: pass", "CHECK_EG_MATCH"),
    ("'''doc'''", "the name '__doc__'"),
    ("__builtins__", "the name '__builtins__'"),
    ("_private", "the name '_private'"),
    ("_getattr_ = 1", "STORE_NAME _getattr_"),
    ("del _getattr_", "DELETE_NAME _getattr_"),
    ("def f():\n    global _import_\n    _import_ = 1", "STORE_GLOBAL _import_"),
    ("def f(_getattr_): pass", "the variable '_getattr_'"),
    ("def f():\n    _x = 1\n    return lambda: _x", "the variable '_x'"),
    ("lambda: [lambda: (lambda: x.y)]", "LOAD_ATTR"),
    ("match x:\n    case str(real=a): pass", "a class pattern with attributes"),
    ("match x:\n    case str(a, b): pass", "a class pattern with attributes"),
    ("async def f():\n    async with x: y.z", "LOAD_METHOD|LOAD_ATTR"),
]


@pytest.mark.parametrize(("source", "what"), UNVERIFIED)
def test_forbidden_code_is_found_wherever_it_hides(source: str, what: str) -> None:
    for wrapped in (source, "def outer():\n    " + source.replace("\n", "\n    ")):
        if wrapped is not source and ("import *" in source or "NAME" in what or "__" in what or "_private" in source):
            continue  # other opcodes, or none, inside a function
        with pytest.raises(Unverified, match=what):
            verify(compile(wrapped, "f", "exec"))


def test_every_opcode_is_either_allowed_or_listed_here() -> None:
    """A new version of Python adds opcodes: somebody has to think about each."""
    forbidden = {
        *("CALL_INTRINSIC_2", "CHECK_EG_MATCH", "DELETE_ATTR", "IMPORT_FROM", "IMPORT_NAME", "IMPORT_STAR"),
        *("LOAD_ATTR", "LOAD_BUILD_CLASS", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_FROM_DICT_OR_GLOBALS"),
        *("LOAD_LOCALS", "LOAD_METHOD", "LOAD_SUPER_ATTR", "PREP_RERAISE_STAR", "PRINT_EXPR", "SETUP_ANNOTATIONS"),
        *("STORE_ATTR", "BUILD_TEMPLATE", "BUILD_INTERPOLATION"),
        # never in the code of a function that has not run
        *("ENTER_EXECUTOR", "EXIT_INIT_CHECK", "INTERPRETER_EXIT", "RESERVED"),
    }
    emitted = {name for name, code in dis.opmap.items() if code < 256 and not name.startswith("INSTRUMENTED_")}
    assert emitted - verifier._ALLOWED == forbidden & emitted


def test_a_hole_in_the_policy_is_closed_by_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the guard of attributes off, the attack compiles but for the verifier; with that off too, it compiles."""
    monkeypatch.setattr(policy_nodes.Policy, "visit_Attribute", lambda self, node: self.node_contents_visit(node))
    attack = "x = (i for i in []).gi_frame"
    assert refusals(attack) == ["1:1: LOAD_ATTR in the bytecode of main, which is not available in workflow scripts"]
    monkeypatch.setattr("vibe_workflows.sandbox.policy.verify", lambda code: None)
    assert refusals(attack) == []


def test_with_the_name_check_off_the_verifier_still_keeps_guards_from_being_rebound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy_nodes.Policy, "check_name", lambda *_: None)
    for attack in ("match x:\n    case {**_getattr_}: pass", "def f():\n    global _getattr_\n    _getattr_ = 1"):
        assert "in the bytecode of" in refusals(attack)[0]
