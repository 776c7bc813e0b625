"""The second look: what the compiled code of a script may consist of, whatever the policy thought of its source.

It knows nothing of the policy. Opcodes come from a list of what is allowed, so one that a later Python adds is refused
until somebody has thought about it.
"""

from __future__ import annotations

import dis
from types import CodeType
from typing import Final, NoReturn

from .names import GUARD_NAMES

# Python 3.11 to 3.14. Missing on purpose: LOAD_ATTR, LOAD_METHOD, STORE_ATTR, DELETE_ATTR, LOAD_SUPER_ATTR,
# IMPORT_NAME, IMPORT_FROM, IMPORT_STAR, LOAD_BUILD_CLASS, LOAD_CLASSDEREF, LOAD_LOCALS, LOAD_FROM_DICT_OR_DEREF,
# LOAD_FROM_DICT_OR_GLOBALS, SETUP_ANNOTATIONS, CHECK_EG_MATCH, PREP_RERAISE_STAR, PRINT_EXPR, CALL_INTRINSIC_2,
# BUILD_TEMPLATE, BUILD_INTERPOLATION, EXIT_INIT_CHECK, and everything instrumented.
_ALLOWED: Final = frozenset(
    """
    ASYNC_GEN_WRAP BEFORE_ASYNC_WITH BEFORE_WITH BINARY_OP BINARY_SLICE BINARY_SUBSCR BUILD_CONST_KEY_MAP BUILD_LIST
    BUILD_MAP BUILD_SET BUILD_SLICE BUILD_STRING BUILD_TUPLE CACHE CALL CALL_FUNCTION_EX CALL_INTRINSIC_1 CALL_KW
    CHECK_EXC_MATCH CLEANUP_THROW COMPARE_OP CONTAINS_OP CONVERT_VALUE COPY COPY_FREE_VARS DELETE_DEREF DELETE_FAST
    DELETE_GLOBAL DELETE_NAME DELETE_SUBSCR DICT_MERGE DICT_UPDATE END_ASYNC_FOR END_FOR END_SEND EXTENDED_ARG FOR_ITER
    FORMAT_SIMPLE FORMAT_VALUE FORMAT_WITH_SPEC GET_AITER GET_ANEXT GET_AWAITABLE GET_ITER GET_LEN GET_YIELD_FROM_ITER
    IS_OP JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT JUMP_FORWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP KW_NAMES
    LIST_APPEND LIST_EXTEND LIST_TO_TUPLE LOAD_ASSERTION_ERROR LOAD_CLOSURE LOAD_COMMON_CONSTANT LOAD_CONST
    LOAD_CONST_IMMORTAL LOAD_CONST_MORTAL LOAD_DEREF LOAD_FAST LOAD_FAST_AND_CLEAR LOAD_FAST_BORROW
    LOAD_FAST_BORROW_LOAD_FAST_BORROW LOAD_FAST_CHECK LOAD_FAST_LOAD_FAST LOAD_GLOBAL LOAD_NAME LOAD_SMALL_INT
    LOAD_SPECIAL MAKE_CELL MAKE_FUNCTION MAP_ADD MATCH_CLASS MATCH_KEYS MATCH_MAPPING MATCH_SEQUENCE NOP NOT_TAKEN
    POP_EXCEPT POP_ITER POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE
    POP_JUMP_BACKWARD_IF_TRUE POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE
    POP_JUMP_FORWARD_IF_TRUE POP_JUMP_IF_FALSE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE POP_JUMP_IF_TRUE POP_TOP PRECALL
    PUSH_EXC_INFO PUSH_NULL RAISE_VARARGS RERAISE RESUME RETURN_CONST RETURN_GENERATOR RETURN_VALUE SEND SET_ADD
    SET_FUNCTION_ATTRIBUTE SET_UPDATE STORE_DEREF STORE_FAST STORE_FAST_LOAD_FAST STORE_FAST_MAYBE_NULL
    STORE_FAST_STORE_FAST STORE_GLOBAL STORE_NAME STORE_SLICE STORE_SUBSCR SWAP TO_BOOL UNARY_INVERT UNARY_NEGATIVE
    UNARY_NOT UNARY_POSITIVE UNPACK_EX UNPACK_SEQUENCE WITH_EXCEPT_START YIELD_VALUE
    """.split()  # noqa: SIM905 - a hundred quoted words are harder to read
)
_ALLOWED_CODES: Final = frozenset(code for name, code in dis.opmap.items() if name in _ALLOWED)
_WRITING: Final = frozenset({"DELETE_GLOBAL", "DELETE_NAME", "STORE_GLOBAL", "STORE_NAME"})
_LOOKED_AT: Final = frozenset(
    code for name, code in dis.opmap.items() if name in _WRITING | {"CALL_INTRINSIC_1", "MATCH_CLASS"}
)
#: Of CALL_INTRINSIC_1 (3.12 on): STOPITERATION_ERROR, ASYNC_GEN_WRAP, UNARY_POSITIVE, LIST_TO_TUPLE.
#: Not PRINT, IMPORT_STAR, and what builds type parameters.
_INTRINSICS: Final = frozenset({3, 4, 5, 6})


class Unverified(Exception):
    """Compiled code holds what the policy should have refused: a hole in the policy."""

    def __init__(self, code: CodeType, what: str) -> None:
        super().__init__(f"{what} in the bytecode of {code.co_name}")
        self.line = code.co_firstlineno


def verify(code: CodeType) -> None:
    """Raise Unverified unless `code`, and all code within it, reads no attribute, imports nothing and defines no class,
    names no hidden name beside the guards, and never writes to those."""
    stack = [code]
    while stack:
        current = stack.pop()
        _check_names(current)
        # The opcodes alone, at every second byte; inline caches are zero there, which is CACHE.
        opcodes = set(current.co_code[::2])
        if unknown := opcodes - _ALLOWED_CODES:
            raise Unverified(current, ", ".join(sorted(dis.opname[opcode] for opcode in unknown)))
        if not _LOOKED_AT.isdisjoint(opcodes):
            _check_instructions(current)
        stack.extend(constant for constant in current.co_consts if isinstance(constant, CodeType))


def _check_names(code: CodeType) -> None:
    for name in code.co_names:
        if _is_hidden(name) and name not in GUARD_NAMES:
            raise Unverified(code, f"the name {name!r}")
    for name in code.co_varnames + code.co_cellvars + code.co_freevars:
        # ".0" is what a comprehension calls its argument.
        if _is_hidden(name) and name != ".0":
            raise Unverified(code, f"the variable {name!r}")


def _is_hidden(name: str) -> bool:
    return name.startswith(("_", ".")) and name != "_"


def _check_instructions(code: CodeType) -> None:
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(code):
        match instruction.opname:
            case "EXTENDED_ARG":
                continue
            case "CALL_INTRINSIC_1" if instruction.arg not in _INTRINSICS:
                raise Unverified(code, f"CALL_INTRINSIC_1 {instruction.argrepr}")
            case "MATCH_CLASS" if not _is_plain_class_pattern(instruction, before):
                raise Unverified(code, "a class pattern with attributes")
            case writing if writing in _WRITING and _is_hidden(instruction.argval):
                _refuse_write(code, instruction)
        before = instruction


def _is_plain_class_pattern(instruction: dis.Instruction, before: dis.Instruction | None) -> bool:
    """At most one positional pattern, and no attribute names: those are the constant before the instruction."""
    names_none = before is not None and before.opname.startswith("LOAD_CONST") and before.argval == ()
    return names_none and instruction.arg is not None and instruction.arg <= 1


def _refuse_write(code: CodeType, instruction: dis.Instruction) -> NoReturn:
    raise Unverified(code, f"{instruction.opname} {instruction.argval}")
