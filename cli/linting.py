"""`vibe validate`: which files it checks, and what there is to say of each. Nothing of a file runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from click import UsageError

from vibe_workflows.catalog.discovery import Catalog, Origin, discover, read_source
from vibe_workflows.catalog.metadata import Metadata, read_metadata
from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.nearest import nearest
from vibe_workflows.sandbox.lint.rules import BY_CODE, LOUD, Severity
from vibe_workflows.sandbox.lint_report import LintPlace, LintReport

from .lint_outside import Outside
from .sandboxing import ask_checker
from .workflow_files import open_index, standard_source

if TYPE_CHECKING:
    from vibe_workflows.catalog.discovery import WorkflowSource
    from vibe_workflows.engine.config import Settings
    from vibe_workflows.sandbox.checker import LockedChecker

_MOST_FILES = 1_000
_LINE_END = re.compile(r"\r\n|\r|\n")  # what ends a line of Python, and nothing else
_RULES_LISTED = "`vibe validate --rules` lists them"


class Problem(NamedTuple):
    """Lines and columns count from 1; the end does not belong to it."""

    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    message: str

    @property
    def severity(self) -> Severity:
        return BY_CODE[self.code].severity


class LintedFile(NamedTuple):
    """`path` as it was given, or as the shell would find it; `lines` is the source where it could be read."""

    path: str
    problems: tuple[Problem, ...]
    lines: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        return sum(problem.severity == severity for problem in self.problems)


def lint_files(settings: Settings, targets: Sequence[str], standard_input: str | None) -> list[LintedFile]:
    """Each target: a file, the name of a workflow, a folder of files, or `-`; without any, the project's workflows.

    Raises UsageError where there is nothing to check.
    """
    sources: dict[str, WorkflowSource] = {}
    linted: dict[str, LintedFile] = {}
    catalog = discover(settings)
    for path in _paths(catalog, targets):
        try:
            shown, source = _source(catalog, path, standard_input)
        except WorkflowError as error:
            linted[path] = LintedFile(path, (_unreadable(error.message, path),))
        else:
            sources[shown] = source
            linted[shown] = LintedFile(shown, ())  # its place in the order
    metadata, reports = _read(settings, list(sources.values()))
    outside = Outside(settings)
    for (shown, source), about, report in zip(sources.items(), metadata, reports, strict=True):
        problems = sorted(_judged(outside, about, report))
        linted[shown] = LintedFile(shown, tuple(problems), tuple(_LINE_END.split(source.text)))
    return list(linted.values())


# ---------------------------------------------------------------- which files


def _paths(catalog: Catalog, targets: Sequence[str]) -> list[str]:
    found = [path for target in targets for path in _expanded(catalog, target)] if targets else _of_project(catalog)
    if not found:
        raise UsageError("no workflow lies in .vibe/workflows or workflows; name the files to check, as in flows/*.py")
    if len(found) > _MOST_FILES:
        raise UsageError(f"{len(found):,} files are too many to check at once; name at most {_MOST_FILES:,}")
    return list(dict.fromkeys(found))


def _of_project(catalog: Catalog) -> list[str]:
    files = [file.path for file in catalog.workflows.values() if file.origin is Origin.PROJECT]
    skipped = [each.path for each in catalog.skipped if each.path.suffix == ".py"]
    return sorted(_shown(path) for path in (*files, *skipped))


def _expanded(catalog: Catalog, target: str) -> list[str]:
    """A folder stands for the workflow files that lie in it, and not deeper."""
    if target == "-" or not os.path.isdir(target) or target in catalog.workflows:
        return [target]
    names = sorted(name for name in os.listdir(target) if name.endswith(".py") and not name.startswith(("_", ".")))
    if not names:
        raise UsageError(f"{target}: no workflow file lies in this folder; name one, or the folder that has them")
    return [os.path.join(target, name) for name in names]


def _source(catalog: Catalog, target: str, standard_input: str | None) -> tuple[str, WorkflowSource]:
    """By name without asking for trust, since nothing of it runs. Raises WorkflowError."""
    if target == "-":
        return "<stdin>", standard_source(standard_input or "")
    file = catalog.resolve(target, Path.cwd())
    return target if file.origin is Origin.PATH else _shown(file.path), read_source(file)


def _shown(path: Path) -> str:
    """As an annotation needs it: from here, where it lies below."""
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)


def _unreadable(message: str, path: str) -> Problem:
    """What the reading said, without the path, and at the line that it named."""
    rest = message.removeprefix(f"{os.path.abspath(path)}:")
    found = re.match(r"(\d+): ", rest)
    line = int(found[1]) if found else 1
    return Problem(line, 1, line, 1, "unreadable", rest[found.end() :] if found else rest.strip())


# ---------------------------------------------------------------- what is wrong with them


def _read(settings: Settings, sources: list[WorkflowSource]) -> tuple[list[Metadata], list[LintReport]]:
    """In locked workers: what the files say of themselves, and what the rules say of them."""
    if not sources:
        return [], []
    files = [(str(source.file.path), source.text) for source in sources]

    async def ask(checker: LockedChecker) -> tuple[list[Metadata], list[LintReport]]:
        return await read_metadata(sources, checker, index), await checker.lint(files)

    with open_index(settings) as index:
        return ask_checker(ask)


def _judged(outside: Outside, about: Metadata, report: LintReport) -> Iterator[Problem]:
    """All that is not silenced."""
    told = [Problem(*_place(found.place), found.code, found.message) for found in report.findings]
    said = {(each.line, each.column, each.message) for each in told}
    told += [
        Problem(found.line, found.column, found.line, found.column, "meta", found.message)
        for found in about.problems
        if (found.line, found.column, found.message) not in said
    ]
    told += [Problem(*_place(place), code, message) for place, code, message in outside.judge(report, about)]
    silenced = {(each.line, each.code) for each in report.ignores}
    for problem in told:
        if problem.code in LOUD or (problem.line, problem.code) not in silenced:
            yield problem
    for ignore in report.ignores:
        if message := _wrong_ignore(ignore.code):
            yield Problem(ignore.line, ignore.column, ignore.line, ignore.column, "unknown-code", message)


def _place(place: LintPlace) -> tuple[int, int, int, int]:
    return place.line, place.column, place.end_line, place.end_column


def _wrong_ignore(code: str) -> str:
    if not code:
        return f"name the rule that is silenced: `# vibe: ignore[CODE]`; {_RULES_LISTED}"
    if code not in BY_CODE:
        meant = nearest(code, BY_CODE)
        return f"no rule is called `{code}`; " + (f"did you mean `{meant}`?" if meant else _RULES_LISTED)
    return f"`{code}` cannot be silenced: such a script does not run" if code in LOUD else ""
