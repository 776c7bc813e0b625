"""Errors as a person sees them: a message on stderr, and the exit code. Nothing heavy is imported before one comes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click

from . import environment

_USAGE = 2
_INTERNAL = 70
_INTERRUPTED = 130


def exit_code_of(error: BaseException) -> int:
    """Tell of the error on stderr, and return the exit code for it."""
    code, text = _judge(error)
    if environment.debugging() and not isinstance(error, click.ClickException):
        import traceback

        text = "".join(traceback.format_exception(error)) + text
    say(text)
    return code


def say(text: str) -> None:
    """One message on stderr, whatever became of stderr. On a terminal its lines are broken between words."""
    from .render.sanitize import clean, folded
    from .render.stream import Output

    width = environment.screen(sys.stderr).width
    lines = clean(text).split("\n")
    if width is not None:
        lines = [part for line in lines for part in folded(line, width, indent=2)]
    with suppress(OSError):  # a full disk behind `2>log` must not hide the exit code
        Output.of(sys.stderr).line("\n".join(lines))


def _judge(error: BaseException) -> tuple[int, str]:
    if isinstance(error, click.Abort | KeyboardInterrupt | EOFError):
        return _INTERRUPTED, "interrupted"
    if isinstance(error, click.ClickException):
        from .usage_errors import usage_text

        return _USAGE, usage_text(error)
    from vibe_workflows.engine.errors import InternalError, VibeError

    known = _single(error)
    if isinstance(known, VibeError) and not isinstance(known, InternalError):
        return int(known.exit_code), f"error: {known.message}"
    return _INTERNAL, _bug(error)


def _single(error: BaseException) -> BaseException:
    """The one error that a group holds."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _bug(error: BaseException) -> str:
    import traceback

    error = _single(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return (
        f"internal error: {type(error).__name__}: {error}{where}\n"
        "This is a bug in vibe, and nothing that you did wrong. Please report it, with what the same command prints "
        "under VIBE_DEBUG=1. What had finished is in the store; the same command goes on from there."
    )
