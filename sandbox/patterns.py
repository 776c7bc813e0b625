"""Globs, .gitignore files and regular expressions, evaluated in the locked worker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: Of a matching line: minified files have lines of megabytes.
LINE_CHARS = 2_000


def load() -> dict[str, Callable[..., Any]]:
    from pathspec import GitIgnoreSpec

    GitIgnoreSpec.from_lines(["*.pyc", "build/"]).match_file("a.pyc")  # imports what it imports when first used
    return {"match_paths": match_paths, "ignored": ignored, "search": search}


def match_paths(pattern: str, paths: list[str]) -> list[int]:
    """Numbers of the paths that match. Raises ValueError for a malformed glob."""
    match = re.compile(translate_glob(pattern)).fullmatch
    return [number for number, path in enumerate(paths) if match(path)]


def translate_glob(pattern: str) -> str:
    """A glob as a regular expression: `*` and `?` stay within a folder, `**` crosses them, `{a,b}` is either."""
    out = []
    depth = 0
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            stars = 1
            while pattern[at : at + 1] == "*":
                at += 1
                stars += 1
            if stars == 1:
                out.append("[^/]*")
            elif pattern[at : at + 1] == "/":
                at += 1
                out.append("(?:.*/)?")
            else:
                out.append(".*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            text, at = _character_class(pattern, at)
            out.append(text)
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(char))
    if depth:
        raise ValueError(f"glob {pattern[:200]!r}: a {{ is never closed; write [{{] for the character itself")
    return "(?s:" + "".join(out) + ")"


def _character_class(pattern: str, at: int) -> tuple[str, int]:
    """The class that begins before `at`, and where the pattern goes on behind it."""
    negated = pattern[at : at + 1] in ("!", "^")
    first = at + 1 if negated else at
    end = pattern.find("]", first + 1)  # a ] at the first place stands for itself
    if end < 0:
        raise ValueError(f"glob {pattern[:200]!r}: a [ is never closed; write [[] for the character itself")
    body = re.sub(r"([\\\[\]&~|^])", r"\\\1", pattern[first:end])
    try:
        re.compile(f"[{body}]")
    except re.error as error:
        raise ValueError(f"glob {pattern[:200]!r}: [{pattern[first:end]}] is no set of characters: {error}") from None
    return f"(?!/)[{'^' if negated else ''}{body}]", end + 1


def ignored(rules: dict[str, str], paths: list[str]) -> list[int]:
    """Numbers of the paths that the .gitignore files exclude, by git's rules.

    The nearest file decides, its last line first; below an excluded folder nothing comes back. A line that is malformed
    excludes nothing.
    """
    specs = {folder.rstrip("/"): _ignore_spec(text.split("\n")) for folder, text in rules.items()}
    excluded: dict[str, bool] = {}

    def decide(path: str) -> bool:
        bare = path.rstrip("/")
        for folder in _folders_above(bare):
            spec = specs.get(folder)
            if spec is not None:
                verdict = spec.check_file(path[len(folder) + 1 :] if folder else path).include
                if verdict is not None:
                    return verdict
        return False

    def is_excluded(path: str) -> bool:
        if path not in excluded:
            above = path.rstrip("/").rpartition("/")[0]
            excluded[path] = (bool(above) and is_excluded(above + "/")) or decide(path)
        return excluded[path]

    return [number for number, path in enumerate(paths) if is_excluded(path)]


def _ignore_spec(lines: list[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error):
        return GitIgnoreSpec.from_lines(line for line in lines if _well_formed(line))


def _well_formed(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _folders_above(path: str) -> Iterator[str]:
    """Nearest first; the root is ""."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def search(pattern: str, texts: list[str], ignore_case: bool, limit: int) -> list[tuple[int, int, str]]:
    """(number of the text, line from 0, text of the line) of the first `limit` lines in which the pattern is found."""
    try:
        find = re.compile(pattern, re.IGNORECASE if ignore_case else 0).search
    except (re.error, OverflowError) as error:
        raise ValueError(f"pattern {pattern[:200]!r} is no regular expression: {error}") from None
    hits: list[tuple[int, int, str]] = []
    for number, text in enumerate(texts):
        for line, content in enumerate(text.split("\n")):
            if len(hits) >= limit:
                return hits
            content = content.removesuffix("\r")
            if find(content):
                hits.append((number, line, content[:LINE_CHARS]))
    return hits
