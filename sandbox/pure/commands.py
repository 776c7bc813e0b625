"""A command line as the list of words that `run_command` and a gate take."""

from __future__ import annotations

from .checks import kind, listed

_SPACE = " \t\r\n"
_ESCAPED_IN_QUOTES = '"\\'


def words(command: str | list[str]) -> list[str]:
    """The words of a command, split as a POSIX shell would, and with none of what a shell does besides.

    Spaces and line ends part words, but not in `'...'` and `"..."` or behind a backslash. Variables, globs, pipes and
    comments are plain text. A list is given back as it is, so that an argument may be either. Raises ValueError for a
    quote that is not closed, or a backslash at the end.

    >>> words("pytest -k 'slow and not web' --color=no")
    ['pytest', '-k', 'slow and not web', '--color=no']
    >>> words(["pytest", "-q"])
    ['pytest', '-q']
    """
    if not isinstance(command, str):
        return _checked(command)
    found: list[str] = []
    word: list[str] | None = None
    quote = ""
    signs = iter(command)
    for sign in signs:
        if not quote and sign in _SPACE:
            found += [] if word is None else ["".join(word)]
            word = None
            continue
        word = [] if word is None else word
        if sign == quote:
            quote = ""
        elif not quote and sign in "'\"":
            quote = sign
        elif sign == "\\" and quote != "'":
            word.append(_escaped(next(signs, ""), quote, command))
        else:
            word.append(sign)
    if quote:
        raise ValueError(f"words: a {quote} is not closed in {command[:200]!r}; close it, or give a list of words")
    return found if word is None else [*found, "".join(word)]


def _escaped(sign: str, quote: str, command: str) -> str:
    if not sign:
        raise ValueError(f"words: {command[:200]!r} ends with a backslash; double it, or give a list of words")
    return sign if not quote or sign in _ESCAPED_IN_QUOTES else f"\\{sign}"


def _checked(command: list[str]) -> list[str]:
    given = list(listed("words", "words of a command", command))
    for word in given:
        if not isinstance(word, str):
            raise TypeError(f"words: a word of a command is a text, not a value of type {kind(word)}; write str(...)")
    return given
