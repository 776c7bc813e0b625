"""vibe run: runs a workflow, shows its progress, prints its result."""

from __future__ import annotations

from typing import Any

import click

from . import options
from .arguments import TARGET, Split, split
from .completing import values
from .main import COMMANDS
from .standard_input import read_standard_input

_SPLIT = "vibe.split"
_BY_NAME = "vibe.by_name"


class _RunCommand(click.Command):
    """`vibe run NAME ...`, and `vibe NAME ...`, which is the same."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        by_name = ctx.info_name is not None and ctx.info_name not in COMMANDS
        if by_name:
            _refuse_misspelt(*args[:2])
        try:
            found = split(args, self.params)
        except click.UsageError as error:
            error.ctx = ctx
            raise
        ctx.meta[_SPLIT] = found
        ctx.meta[TARGET] = found.target
        ctx.meta[_BY_NAME] = by_name
        try:
            return super().parse_args(ctx, found.own)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        target = [] if ctx.meta.get(_BY_NAME) else ["FILE|NAME|-"]
        return ["[OPTIONS]", *target, "[--ARG VALUE]...", "[key=value | key:=JSON]...", "[TEXT]"]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        target = ctx.meta.get(TARGET)
        if target is None or target == "-":
            super().format_help_text(ctx, formatter)
            return
        from .workflow_help import write_help

        write_help(target, own_options(), formatter)


@click.command(
    cls=_RunCommand,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="What is no option here (timeout, retries, max_turns, max_tokens, fallbacks, prices, ...) is a key of "
    "vibe.yaml and ~/.config/vibe/config.yaml, or a variable such as VIBE_TIMEOUT.",
)
@click.option(
    "--args",
    "args_json",
    metavar="JSON|@FILE",
    shell_complete=values.document,
    help="All arguments as one JSON object; @- reads it from stdin.",
)
@click.option("--new", is_flag=True, help="Start over, even if the latest run did not complete.")
@click.option("--fresh", is_flag=True, help="Ignore stored answers: run every step again.")
@click.option(
    "--refresh",
    multiple=True,
    metavar="WHAT",
    shell_complete=values.refreshed,
    help="Run these steps again: a label or a phase (* stands for anything), #N of the latest run, RUN:N, a step id.",
)
@click.option("--accept", is_flag=True, help="Take what earlier runs edited as it lies: steps see the files of now.")
@click.option("--dry-run", is_flag=True, help="Show what the store would answer and what would be live; ask no model.")
@click.option("--seed", metavar="N", help="Another seed for the script's random.")
@options.running
@click.pass_context
def command(
    ctx: click.Context,
    /,
    args_json: str | None,
    new: bool,
    fresh: bool,
    refresh: tuple[str, ...],
    accept: bool,
    dry_run: bool,
    seed: str | None,
    **given: Any,
) -> int:
    """Run a workflow: a file, a name that `vibe list` shows, or - for a script on standard input.

    The workflow's own arguments follow its name. A run of the same file and arguments that did not complete is gone on
    with; steps whose inputs did not change are answered from the store.
    """
    target: str | None = ctx.meta[TARGET]
    typed: Split = ctx.meta[_SPLIT]
    if not target:
        raise click.UsageError("name a workflow: vibe run FILE (`vibe list` shows those that are here)", ctx)
    if given.get("offline") and given.get("require_model"):
        raise click.UsageError("--offline and --require-model exclude each other; leave one of them out", ctx)
    from .invocation import Asked, invoke, preview
    from .settings import load

    asked = Asked(
        target=target,
        source_text=read_standard_input("the workflow") if target == "-" else None,
        arguments=typed.arguments,
        options=typed.options,
        followed=typed.followed,
        words=typed.words,
        args_json=_args_text(args_json, from_stdin=target == "-"),
        new=new,
        fresh=fresh,
        refresh=_words(refresh),
        accept=accept,
        seed=seed,
    )
    return (preview if dry_run else invoke)(asked, load(given), given)


def _refuse_misspelt(name: str, following: str = "") -> None:
    """Raise where NAME of `vibe NAME` is close to a command's name, or what others call one, and no workflow's."""
    from vibe_workflows.engine.nearest import nearest

    from .usage_errors import ELSEWHERE

    close = nearest(name, COMMANDS)
    meant = ELSEWHERE.get(name) or (f"vibe {close}" if close else None)
    if name == "help" and following in COMMANDS:
        meant = f"vibe {following} --help"
    if meant is None or "/" in name or name.endswith(".py"):
        return
    from vibe_workflows.catalog.discovery import discover, workflow_name

    from .settings import load

    if workflow_name(name) not in discover(load({})).workflows:
        raise click.UsageError(f"no command and no workflow is named `{name}`; did you mean `{meant}`?")


def _words(refresh: tuple[str, ...]) -> tuple[str, ...]:
    if not all(word.strip() for word in refresh):
        raise click.UsageError("--refresh: name a label, a phase or a step; --fresh runs all of them again")
    return refresh


def _args_text(given: str | None, *, from_stdin: bool) -> str | None:
    """The text of --args; @FILE is read where the arguments are checked, and only @- needs this process's input."""
    if given != "@-":
        return given
    if from_stdin:
        raise click.UsageError("standard input holds the workflow already; give --args as text or as @FILE")
    return read_standard_input("the arguments")


def own_options() -> list[str]:
    """Vibe's own options of this command, without their dashes."""
    return [name.removeprefix("--") for each in command.params for name in each.opts if name.startswith("--")]
