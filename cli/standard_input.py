"""Standard input, where a command takes a text from it."""

from __future__ import annotations

import sys

import click

_MOST = 8 * 1024 * 1024


def read_standard_input(what: str) -> str:
    """All of it, as `what`, which messages name. Raises UsageError where it is no text, or too much of it."""
    if sys.stdin.isatty():
        click.echo(f"reading {what} from the terminal; Ctrl-D ends it", err=True)
    data = sys.stdin.buffer.read(_MOST + 1)
    if len(data) > _MOST:
        raise click.UsageError(f"standard input holds more than {_MOST >> 20} MB, which {what} cannot be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"standard input is not UTF-8 text (byte {error.start}); {what} must be") from error
