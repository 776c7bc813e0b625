"""Every node and every opcode of every supported version of Python has been thought about, by name.

The lists are frozen: a version that adds to the language fails here until somebody has decided.
"""

from __future__ import annotations

import ast
import dis
import sys

import pytest

from tests.sandbox.policy_scripts import refusals
from tests.support.programs import node_names
from vibe_workflows.sandbox import policy_base, problems, verifier
from vibe_workflows.sandbox.policy_nodes import Policy

#: Nothing but themselves and what is in them.
ALLOWED = {
    *("Assert", "Await", "BinOp", "BoolOp", "Break", "Compare", "Constant", "Continue", "Delete", "Dict", "Expr"),
    *("FormattedValue", "IfExp", "JoinedStr", "List", "Nonlocal", "Pass", "Raise", "Return", "Set", "Slice", "Starred"),
    *("Subscript", "Tuple", "UnaryOp", "While", "Yield", "YieldFrom", "comprehension", "keyword", "withitem"),
    *("AugAssign", "Assign", "AsyncFor", "AsyncWith", "Call", "For", "Global", "If", "Lambda", "Name", "NamedExpr"),
    *("With", "Try", "DictComp", "GeneratorExp", "ListComp", "SetComp", "match_case", "arguments", "arg"),
    *("Match", "MatchAs", "MatchMapping", "MatchOr", "MatchSequence", "MatchSingleton", "MatchStar", "MatchValue"),
    # operators
    *("Add", "And", "BitAnd", "BitOr", "BitXor", "Div", "Eq", "FloorDiv", "Gt", "GtE", "In", "Invert", "Is", "IsNot"),
    *("LShift", "Lt", "LtE", "MatMult", "Mod", "Mult", "Not", "NotEq", "NotIn", "Or", "Pow", "RShift", "Sub", "UAdd"),
    "USub",
}
#: What they become.
REWRITTEN = {
    "AnnAssign": "an assignment, or nothing",
    "AsyncFunctionDef": "a function without annotations",
    "Attribute": "a call of the guard",
    "ExceptHandler": "`except Exception`, where it is bare",
    "FunctionDef": "a function without annotations",
    "Import": "a call of the facades' importer",
    "ImportFrom": "a call of the facades' importer",
    "MatchClass": "a pattern of a class that cannot be rebound",
    "alias": "part of an import",
}
#: A script that has one, and what its author is told.
REFUSED = {
    "ClassDef": ("class A: pass", "use a dict"),
    "TryStar": ("try: pass\nexcept* ValueError: pass", "use `except`"),
    "TypeAlias": ("type X = int", "write `X = ...`"),
    "TypeVar": ("def f[T](): pass", "leave them out"),
    "ParamSpec": ("def f[**P](): pass", "leave them out"),
    "TypeVarTuple": ("def f[*Ts](): pass", "leave them out"),
    "TemplateStr": ("x = t'{y}'", "use an f-string"),
    "Interpolation": ("x = t'{y}'", "use an f-string"),
}
_SINCE = {
    (3, 12): {"TypeAlias", "TypeVar", "ParamSpec", "TypeVarTuple"},
    (3, 14): {"TemplateStr", "Interpolation"},
}
_LATER = {name for version, names in _SINCE.items() if sys.version_info < version for name in names}


def test_every_node_is_allowed_rewritten_or_refused_by_name() -> None:
    groups = (ALLOWED, REWRITTEN.keys(), REFUSED.keys())
    assert len(set().union(*groups)) == sum(map(len, groups))
    assert set().union(*groups) - _LATER == node_names()


def test_what_is_allowed_or_rewritten_has_a_visitor_and_what_has_none_is_refused() -> None:
    leaves = {leaf.__name__ for leaf in policy_base._LEAVES}
    for name in (ALLOWED | REWRITTEN.keys()) - leaves:
        assert hasattr(Policy, f"visit_{name}"), name
    visited = {name.removeprefix("visit_") for name in dir(Policy) if name.startswith("visit_")}
    # Of later versions, and of RestrictedPython's own: never made by the parser, or refused by name.
    assert visited - ALLOWED - REWRITTEN.keys() - REFUSED.keys() <= _NEVER_MADE | leaves


#: Not below a module that was parsed as one; old names that the parser does not use any more.
_NEVER_MADE = {
    *("AugLoad", "AugStore", "Bytes", "Del", "Ellipsis", "Expression", "ExtSlice", "Index", "Interactive", "Load"),
    *("Module", "NameConstant", "Num", "Param", "Print", "Store", "Str", "Suite", "TypeIgnore", "all"),
}


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - _LATER))
def test_a_refused_node_says_what_to_write(name: str) -> None:
    source, message = REFUSED[name]
    assert any(message in problem for problem in refusals(source))
    assert name in {type(node).__name__ for node in ast.walk(ast.parse(source))}


def test_a_default_of_a_type_parameter_is_refused_too() -> None:
    source = "def f[T = open](): pass"
    assert refusals(source)
    if sys.version_info >= (3, 13):
        assert refusals(source)[0].startswith("1:1: type parameters")


def test_nodes_of_all_versions_have_a_message_here_whatever_version_this_is() -> None:
    for name in ("TryStar", "TemplateStr", "Interpolation", "TypeAlias"):
        assert "not available in workflow scripts; " in problems.CONSTRUCTS[name]


# ---------------------------------------------------------------- opcodes

#: Why an opcode may be in the code of a script.
OPCODES = {
    "names, cells and constants: hidden names are looked at by themselves": (
        "COPY_FREE_VARS DELETE_DEREF DELETE_FAST DELETE_GLOBAL DELETE_NAME LOAD_ASSERTION_ERROR LOAD_CLOSURE "
        "LOAD_COMMON_CONSTANT LOAD_CONST LOAD_CONST_IMMORTAL LOAD_CONST_MORTAL LOAD_DEREF "
        "LOAD_FAST LOAD_FAST_AND_CLEAR "
        "LOAD_FAST_BORROW LOAD_FAST_BORROW_LOAD_FAST_BORROW LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST LOAD_GLOBAL LOAD_NAME "
        "LOAD_SMALL_INT MAKE_CELL STORE_DEREF STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_MAYBE_NULL "
        "STORE_FAST_STORE_FAST STORE_GLOBAL STORE_NAME"
    ),
    "the stack": "CACHE COPY EXTENDED_ARG NOP NOT_TAKEN POP_TOP PUSH_NULL RESUME SWAP",
    "jumps": (
        "JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP "
        "POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE POP_JUMP_BACKWARD_IF_TRUE "
        "POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE POP_JUMP_FORWARD_IF_TRUE "
        "POP_JUMP_IF_FALSE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_IF_TRUE"
    ),
    "operators and items: no type that a script can make has methods of its own": (
        "BINARY_OP BINARY_SLICE BINARY_SUBSCR COMPARE_OP CONTAINS_OP DELETE_SUBSCR IS_OP "
        "STORE_SLICE STORE_SUBSCR TO_BOOL "
        "UNARY_INVERT UNARY_NEGATIVE UNARY_NOT UNARY_POSITIVE"
    ),
    "containers and text": (
        "BUILD_CONST_KEY_MAP BUILD_LIST BUILD_MAP BUILD_SET BUILD_SLICE BUILD_STRING BUILD_TUPLE "
        "CONVERT_VALUE DICT_MERGE "
        "DICT_UPDATE FORMAT_SIMPLE FORMAT_VALUE FORMAT_WITH_SPEC LIST_APPEND LIST_EXTEND LIST_TO_TUPLE MAP_ADD SET_ADD "
        "SET_UPDATE UNPACK_EX UNPACK_SEQUENCE"
    ),
    "calls and functions: what may be called is what may be reached": (
        "CALL CALL_FUNCTION_EX CALL_KW KW_NAMES MAKE_FUNCTION PRECALL RETURN_CONST RETURN_VALUE SET_FUNCTION_ATTRIBUTE"
    ),
    "loops, generators and coroutines: the trampoline drives them": (
        "ASYNC_GEN_WRAP CLEANUP_THROW END_ASYNC_FOR END_FOR END_SEND FOR_ITER GET_AITER GET_ANEXT "
        "GET_AWAITABLE GET_ITER "
        "GET_YIELD_FROM_ITER POP_ITER RETURN_GENERATOR SEND YIELD_VALUE"
    ),
    "with and try: __enter__ and __exit__ of blocks, which are ours": (
        "BEFORE_ASYNC_WITH BEFORE_WITH CHECK_EXC_MATCH LOAD_SPECIAL POP_EXCEPT PUSH_EXC_INFO RAISE_VARARGS RERAISE "
        "WITH_EXCEPT_START"
    ),
    "patterns: classes with no attributes": "GET_LEN MATCH_CLASS MATCH_KEYS MATCH_MAPPING MATCH_SEQUENCE",
    "only some of their arguments": "CALL_INTRINSIC_1",
}


def test_every_allowed_opcode_has_a_reason_and_one_only() -> None:
    names = [name for group in OPCODES.values() for name in group.split()]
    assert len(names) == len(set(names))
    assert set(names) == verifier._ALLOWED


def test_the_opcodes_of_this_python_that_do_what_the_guards_are_for_are_not_allowed() -> None:
    dangerous = ("ATTR", "IMPORT", "METHOD", "BUILD_CLASS", "LOCALS", "EG_MATCH", "TEMPLATE", "INTERPOLATION", "SUPER")
    for name in dis.opmap:
        if any(part in name for part in dangerous) and name != "SET_FUNCTION_ATTRIBUTE":
            assert name not in verifier._ALLOWED
