"""vibe guide: the script language on one page."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
def command() -> None:
    """The script language on one page, for a person in a hurry or a coding agent."""
    from .printing import print_text

    print_text(Path(__file__).with_name("guide.md").read_text(encoding="utf-8").rstrip("\n"))
