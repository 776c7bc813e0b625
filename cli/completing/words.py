"""What may stand at the cursor: a command or a workflow's name, or what that takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from click.shell_completion import CompletionItem

Items = list[CompletionItem[str]]


def completions(args: list[str], incomplete: str, of_click: Callable[[list[str], str], Items]) -> Items:
    """Of the words after `vibe`; `of_click` completes what click parses itself."""
    from vibe_workflows.cli.main import COMMANDS

    first = next((at for at, word in enumerate(args) if not word.startswith("-")), None)
    if first is None:
        return of_click(args, incomplete) if incomplete.startswith("-") else _names(incomplete)
    if args[first] in COMMANDS and args[first] != "run":
        return of_click(args, incomplete)
    from .run_line import completions_of_run

    return completions_of_run(args[first + (args[first] == "run") :], incomplete)


def _names(incomplete: str) -> Items:
    from vibe_workflows.cli.main import COMMANDS
    from vibe_workflows.engine.errors import VibeError

    from .values import workflow_names

    commands = [CompletionItem(name, help=entry.about) for name, entry in COMMANDS.items()]
    if any(each.value == incomplete for each in commands):
        return commands
    with suppress(VibeError):  # with a broken config the commands are what mends it
        commands += [each for each in workflow_names(incomplete) if each.value not in COMMANDS]
    return commands
