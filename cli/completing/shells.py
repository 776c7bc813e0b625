"""Click's completion for three shells, whose answers can neither be run by the shell nor steer its terminal.

An answer is offered only if it is printable and goes on with the word that is there. It is quoted for its shell: bash
takes it as it is written, zsh and fish quote what they insert.
"""

from __future__ import annotations

import os
import shlex
import threading
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from vibe_workflows.cli.main import COMPLETE
from vibe_workflows.cli.render.sanitize import one_line

from . import scripts

Items = list[CompletionItem[str]]

#: After this a shell gets no answer: it waits for it, and so does a person.
PATIENCE_S = 2.0
_MOST_ITEMS = 500
_DESCRIPTION_CELLS = 90
_PLAIN = frozenset("-_./,:=@%+^")  # bash takes them as they are, beside letters and digits
_CURSOR = "x"


def register() -> None:
    """Put these in the place of click's own, for this process."""
    for each in (_Bash, _Zsh, _Fish):
        add_completion_class(each)


def script(shell: str, group: click.Command) -> str:
    """What `shell` sources to complete `vibe`."""
    made: _Answering = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}[shell](group, {}, "vibe", COMPLETE)
    return made.source()


def split_line(line: str) -> tuple[list[str], str]:
    """The words of a line up to the cursor, unquoted, and the one that the cursor is in (empty after a space)."""
    *before, last = split_arg_string(line + _CURSOR) or [_CURSOR]
    return before, last.removesuffix(_CURSOR)


class _Answering(ShellComplete):
    def quoted(self, text: str) -> str:
        """The text as one word of a script of this shell."""
        return shlex.quote(text)

    def source(self) -> str:
        from vibe_workflows.cli.completion import program

        return self.source_template % {**self.source_vars(), "program": self.quoted(program())}

    def get_completion_args(self) -> tuple[list[str], str]:
        before, incomplete = split_line(os.environ.get(scripts.LINE, ""))
        return before[1:], incomplete

    def get_completions(self, args: list[str], incomplete: str) -> Items:
        from .words import completions

        return completions(args, incomplete, super().get_completions)

    def complete(self) -> str:
        """All answers, or none: an error in the middle of a person's line would help nobody."""
        watch = threading.Timer(PATIENCE_S, os._exit, (0,))
        watch.daemon = True
        watch.start()
        offered: list[str] = []
        with suppress(Exception):
            args, incomplete = self.get_completion_args()
            found = self.get_completions(args, incomplete)
            fitting = {each.value: each for each in found if _offers(each.value, incomplete)}
            offered = [self.format_completion(each) for each in list(fitting.values())[:_MOST_ITEMS]]
        watch.cancel()
        return "\n".join(each for each in offered if each)

    def format_completion(self, item: CompletionItem[Any]) -> str:
        about = one_line(item.help or "", _DESCRIPTION_CELLS)
        return f"{self.value(item.value)}\t{about}" if about else self.value(item.value)

    def value(self, text: str) -> str:
        return text


def _offers(value: str, incomplete: str) -> bool:
    """Unprintable ones are left out: a newline is an answer of its own, and an escape sequence steers the terminal."""
    return value.isprintable() and value.startswith(incomplete) and value != ""


class _Bash(_Answering, BashComplete):
    """Inserts answers as they are, and of a word only what follows the last `=`, `:` or `@` in it."""

    source_template = scripts.BASH

    def format_completion(self, item: CompletionItem[Any]) -> str:
        line, word = os.environ.get(scripts.LINE, ""), os.environ.get(scripts.WORD, "")
        _, incomplete = split_line(line)
        quote = open_quote(line)
        _, replaced = split_line(quote + word.removeprefix(quote))
        kept = len(incomplete) - len(replaced) if incomplete.endswith(replaced) else 0
        return _within(quote, item.value[kept:]) if quote else _escaped(item.value[kept:])


class _Zsh(_Answering, ZshComplete):
    source_template = scripts.ZSH

    def value(self, text: str) -> str:
        return text.replace("\\", "\\\\").replace(":", "\\:")  # as `_describe` takes it


class _Fish(_Answering, FishComplete):
    source_template = scripts.FISH

    def quoted(self, text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def open_quote(line: str) -> str:
    """The quote that is open at the end of the line, or nothing."""
    quote, escaped = "", False
    for char in line:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
    return quote


def _within(quote: str, value: str) -> str:
    """The value inside an open quote; nothing where it cannot be written there."""
    if quote in value or "!" in value:  # there is no way to quote a `!` inside of double quotes
        return ""
    return value if quote == "'" else "".join("\\" + char if char in "\\$`" else char for char in value)


def _escaped(value: str) -> str:
    return "".join(char if char.isalnum() or char in _PLAIN or not char.isascii() else "\\" + char for char in value)
