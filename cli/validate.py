"""vibe validate: checks workflow files without running them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from .linting import LintedFile


@click.command()
@click.argument("targets", nargs=-1, metavar="[FILE|FOLDER|NAME|-]...", shell_complete=values.workflows)
@click.option("--strict", is_flag=True, help="Warnings end it with exit code 2, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="How problems are printed; `github` makes annotations of a GitHub workflow.",
)
@options.as_json
@click.option("--rules", is_flag=True, help="List the rules, and check nothing.")
def command(targets: tuple[str, ...], strict: bool, form: str, as_json: bool, rules: bool) -> int:
    """Check workflow files without running them: the project's own, or those that are named.

    Each is compiled in the sandbox and held against the rules. Exit code 2 if there is an error. `# vibe: ignore[CODE]`
    behind a line silences a rule there.
    """
    form = "json" if as_json else form
    if rules:
        return _list_rules(as_json=form == "json")
    from vibe_workflows.engine.errors import ExitCode

    from .linting import lint_files
    from .settings import load
    from .standard_input import read_standard_input

    linted = lint_files(load({}), targets, read_standard_input("the workflow") if "-" in targets else None)
    _print(linted, form)
    errors, warnings = (sum(each.count(severity) for each in linted) for severity in ("error", "warning"))
    _sum_up(linted, errors, warnings)
    return int(ExitCode.USAGE if errors or (strict and warnings) else ExitCode.DONE)


def _print(linted: list[LintedFile], form: str) -> None:
    from .environment import screen
    from .printing import print_json, print_text
    from .render.problems import Drawing, annotation, problem_lines

    if form == "json":
        print_json([_as_json(each) for each in linted])
        return
    view = screen(sys.stdout)
    drawing = Drawing(view.colour, view.width)
    for each in linted:
        for problem in each.problems:
            if form == "github":
                print_text(annotation(each.path, problem))
            else:
                for line in problem_lines(each.path, problem, each.lines, drawing):
                    print_text(line)


def _sum_up(linted: list[LintedFile], errors: int, warnings: int) -> None:
    from .errors import say
    from .render.figures import count

    bad = sum(bool(each.problems) for each in linted)
    found = [count(number, word) for number, word in ((errors, "error"), (warnings, "warning")) if number]
    ending = f"{bad:,} with problems: {', '.join(found)}" if bad else "no problem found"
    say(f"{count(len(linted), 'file')} checked, {ending}")


def _as_json(linted: LintedFile) -> dict[str, object]:
    problems = [{**problem._asdict(), "severity": problem.severity} for problem in linted.problems]
    return {"file": linted.path, "valid": not linted.count("error"), "problems": problems}


def _list_rules(*, as_json: bool) -> int:
    from vibe_workflows.sandbox.lint.rules import RULES

    from .environment import screen
    from .printing import print_json, print_text
    from .render.problems import rule_lines

    if as_json:
        print_json([rule._asdict() for rule in RULES])
    else:
        for line in rule_lines(RULES, colour=screen(sys.stdout).colour):
            print_text(line)
    return 0
