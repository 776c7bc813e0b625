"""re, string, textwrap, difflib and fnmatch."""

from __future__ import annotations

import difflib
import fnmatch
import re
import string
import textwrap
from typing import Final

from .module import Facade, pick, readable

#: Plain integers: the members of an enum are more than a script needs to hold.
_FLAGS: Final = {
    name: int(flag)  # type: ignore[call-overload]
    for name, flag in pick(re, "A ASCII DOTALL I IGNORECASE M MULTILINE NOFLAG S U UNICODE VERBOSE X").items()
}
_CONSTANTS: Final = (
    "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation whitespace"
)

FACADE: Final = Facade(
    modules={
        # Not Scanner, nor DEBUG, which prints.
        "re": {
            **pick(re, "Match Pattern compile error escape findall finditer fullmatch match search split sub subn"),
            **_FLAGS,
        },
        # Not Formatter, which reads attributes past the guard.
        "string": pick(string, f"{_CONSTANTS} Template capwords"),
        "textwrap": pick(textwrap, "dedent fill indent shorten wrap"),
        # Not HtmlDiff, nor Differ, which ndiff stands for.
        "difflib": pick(
            difflib,
            "SequenceMatcher context_diff get_close_matches ndiff restore unified_diff IS_CHARACTER_JUNK IS_LINE_JUNK",
        ),
        "fnmatch": pick(fnmatch, "filter fnmatch fnmatchcase translate"),
    },
    types=(
        readable(re.Pattern, "findall finditer flags fullmatch groupindex groups match pattern search split sub subn"),
        readable(re.Match, "end expand group groupdict groups lastgroup lastindex pos endpos re span start string"),
        readable(re.error, "args colno lineno msg pattern pos"),
        readable(string.Template, "safe_substitute substitute template", is_value=False),
        readable(
            difflib.SequenceMatcher,
            "find_longest_match get_grouped_opcodes get_matching_blocks get_opcodes quick_ratio ratio "
            "real_quick_ratio set_seq1 set_seq2 set_seqs",
            is_value=False,
        ),
        readable(difflib.Match, "a b count index size", is_value=False),
    ),
)
