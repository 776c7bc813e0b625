"""Comments that silence a rule on their line: `# vibe: ignore[code, code]`."""

from __future__ import annotations

import io
import re
import tokenize
from typing import Final, NamedTuple

_MARK: Final = "vibe: ignore"
_COMMENT: Final = re.compile(r"#\s*vibe: ignore(?:\[([^\]\n]{0,500})\])?")
_MOST: Final = 1_000


class Ignore(NamedTuple):
    """`code` is what was written, whether there is such a rule or not; empty where no rule is named."""

    line: int
    column: int
    code: str


def find_ignores(source: str) -> list[Ignore]:
    if _MARK not in source:
        return []
    found: list[Ignore] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and (match := _COMMENT.search(token.string)):
                line, column = token.start
                codes = [code.strip()[:100] for code in (match[1] or "").split(",")]
                found += [Ignore(line, column + match.start() + 1, code) for code in codes[:20]]
            if len(found) >= _MOST:
                break
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass  # the compiler has told what is wrong with it
    return found
