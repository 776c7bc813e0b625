"""docs/cli.md says what the command line is."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from vibe_workflows.cli import resume, run
from vibe_workflows.cli.arguments import RESERVED
from vibe_workflows.cli.main import COMMANDS
from vibe_workflows.engine.errors import ExitCode

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command: str) -> None:
    assert f"    vibe {command} " in PAGE


@pytest.mark.parametrize("command", [run.command, resume.command])
def test_every_option_that_runs_something_is_described(command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option):
            assert all(f"`{name}" in PAGE or f", {name}" in PAGE for name in option.opts), option.opts


def test_every_reserved_name_is_told() -> None:
    assert all(f"`--{name}`" in PAGE for name in RESERVED)


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_described(code: ExitCode) -> None:
    assert f"| {int(code)} |" in PAGE
