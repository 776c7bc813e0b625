"""The command `vibe`. Importing this module, and `vibe --help`, must stay cheap: commands are imported when called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click

from . import errors

_PACKAGE = "vibe_workflows.cli"
#: Objects that are made between two looks of the garbage collector.
COLLECT_AFTER = 50_000
#: By this variable a shell asks click for completions.
COMPLETE = "_VIBE_COMPLETE"


class _Entry(NamedTuple):  # a dataclass takes a millisecond to define, and this is on the way to --help
    section: str
    module: str
    about: str


_RUNNING, _WORKFLOWS, _PAST, _SETUP = "Run", "Workflows", "Past runs", "Set-up"

#: Every command of Vibe's own; the function in its module is `command`.
COMMANDS = {
    "run": _Entry(_RUNNING, "run", "Run a workflow: a file, a name, or - for standard input."),
    "resume": _Entry(_RUNNING, "resume", "Go on with a run that did not complete."),
    "new": _Entry(_WORKFLOWS, "new", "Write a workflow from a template."),
    "list": _Entry(_WORKFLOWS, "listing", "The workflows that can be run here."),
    "show": _Entry(_WORKFLOWS, "show", "What a workflow does and takes, its plan, and its source."),
    "validate": _Entry(_WORKFLOWS, "validate", "Check workflow files without running them."),
    "guide": _Entry(_WORKFLOWS, "guide", "The script language on one page."),
    "runs": _Entry(_PAST, "runs", "The runs of this project, newest first."),
    "trace": _Entry(_PAST, "trace", "What a run did: steps, turns, tool calls, tokens, cost, reuse."),
    "why": _Entry(_PAST, "why", "Why a step was answered from the store, or why it was not."),
    "diff": _Entry(_PAST, "diff", "What one run did otherwise than another."),
    "undo": _Entry(_PAST, "undo", "Take the edits of a run back."),
    "cache": _Entry(_PAST, "cache", "What the store holds: look at it, clear it, export and import steps."),
    "init": _Entry(_SETUP, "init", "Make a folder a project: settings, workflows, .gitignore."),
    "config": _Entry(_SETUP, "config", "Every setting, where it came from, and what was ignored."),
    "trust": _Entry(_SETUP, "trust", "Let this project's own settings and store count."),
    "completion": _Entry(_SETUP, "completion", "Let bash, zsh or fish complete what you type."),
    "doctor": _Entry(_SETUP, "doctor", "Probe the sandbox, check the store, and look for MCP servers."),
}


class _Vibe(click.Group):
    """A group whose commands are imported when called, and where any other word is a workflow's name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(f"{_PACKAGE}.{entry.module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in COMMANDS:
            return super().resolve_command(ctx, args)
        return args[0], self.get_command(ctx, "run"), args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in (_RUNNING, _WORKFLOWS, _PAST, _SETUP):
            with formatter.section(section):
                formatter.write_dl([(name, each.about) for name, each in COMMANDS.items() if each.section == section])
        with formatter.section("Workflows by name"):
            formatter.write_text("Every workflow that `vibe list` shows is a command of its own: vibe NAME --help")


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"vibe {version('vibe-workflows')}")
        ctx.exit()


@click.group(
    cls=_Vibe,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def _vibe(ctx: click.Context) -> None:
    """Run workflow scripts of LLM agents: cheap to rerun, safe to run, easy to understand.

    The result goes to stdout, everything else to stderr.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _open_standard_streams() -> None:
    """Give a process that was started without them (`vibe ... >&-`) streams that lead nowhere.

    Otherwise the next file that is opened, a database say, would become standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - lives as long as the process


def main(args: Sequence[str] | None = None) -> int:
    """The exit code of one invocation of `vibe`, in a process of its own: it sets up the garbage collector, too."""
    _open_standard_streams()
    gc.set_threshold(COLLECT_AFTER)  # by default the collector looks through all that is imported, again and again
    try:
        if COMPLETE in os.environ:
            from .completing import shells

            shells.register()
        code = _vibe.main(
            args=args if args is None else list(args), prog_name="vibe", complete_var=COMPLETE, standalone_mode=False
        )
    except BaseException as error:
        if isinstance(error, SystemExit | GeneratorExit):
            raise
        return errors.exit_code_of(error)
    finally:
        gc.freeze()  # nor need it do so when the process ends
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
