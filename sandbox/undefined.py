"""Names that a script uses and nobody defines: as the compiler resolved them, so there is no guess in it."""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import CodeType
from typing import Final, NamedTuple

from .facades.registry import top_level
from .names import GUARD_NAMES, PRIMITIVES
from .namespace import BUILTINS
from .problems import MAX_PROBLEMS
from .script_errors import ERRORS

#: All that is in scope in a script before it defines anything; child.py and guards.py put it there.
IN_SCOPE: Final = frozenset(
    {*BUILTINS, *PRIMITIVES, *ERRORS, *GUARD_NAMES, *top_level(), "getattr", "hasattr", "print", "__name__", "__file__"}
)
_READS: Final = frozenset({dis.opmap["LOAD_GLOBAL"], dis.opmap["LOAD_NAME"]})
_WRITES: Final = frozenset({dis.opmap["STORE_GLOBAL"], dis.opmap["STORE_NAME"]})


class UndefinedName(NamedTuple):
    """`offset` counts bytes from the line's beginning, as the parser does."""

    name: str
    line: int
    offset: int
    meant: str  # the nearest name that is defined; empty where none is near
    elsewhere: bool  # some function has a variable of that name

    @property
    def message(self) -> str:
        if self.elsewhere:
            return (
                f"`{self.name}` is not defined here: it is a variable of another function; hand it over, or return it"
            )
        hint = f"did you mean `{self.meant}`?" if self.meant else "define it, or correct its name"
        strange = next((char for char in self.name if not char.isascii()), "")
        if strange and self.meant.isascii() and self.meant:
            return f"`{self.name}` is not defined anywhere: its {strange!r} is U+{ord(strange):04X}; {hint}"
        return f"`{self.name}` is not defined anywhere; {hint}"


def undefined_names(code: CodeType) -> list[UndefinedName]:
    """Uses of names that neither the script nor its surroundings define, in the order of the source, one per line.

    A script that handles NameError may well mean it, and none are found there.
    """
    codes = list(_codes(code))
    if any("NameError" in each.co_names for each in codes):
        return []
    used = {name for each in codes for name in each.co_names} - IN_SCOPE
    writing = [each for each in codes if not _WRITES.isdisjoint(each.co_code[::2])]
    written = {str(each.argval) for part in writing for each in dis.get_instructions(part) if each.opcode in _WRITES}
    missing = used - written
    if not missing:
        return []
    found: dict[tuple[str, int], UndefinedName] = {}
    local = {name for each in codes for name in each.co_varnames + each.co_cellvars}
    reading = [each for each in codes if not missing.isdisjoint(each.co_names)]
    for each in (instruction for part in reading for instruction in dis.get_instructions(part)):
        if each.opcode in _READS and each.argval in missing and each.positions and each.positions.lineno:
            name, line = str(each.argval), each.positions.lineno
            if (name, line) not in found and len(found) < MAX_PROBLEMS:
                meant = _nearest(name, written | local | PRIMITIVES) or _nearest(name, IN_SCOPE)
                offset = each.positions.col_offset or 0
                found[name, line] = UndefinedName(name, line, offset, meant, name in local)
    return sorted(found.values(), key=lambda each: (each.line, each.offset))


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), 1, 0.75)
    return near[0] if near else ""


def _codes(code: CodeType) -> Iterator[CodeType]:
    stack = [code]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(constant for constant in current.co_consts if isinstance(constant, CodeType))
