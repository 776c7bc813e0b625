"""All rules over one script: the worker's capability `lint`. It serves one request only, since strangers wrote it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from typing import Any

from .. import schemas
from ..policy import MAX_SOURCE_CHARS, read_metadata, source_lines
from ..problems import TOO_DEEP
from .calls import check_calls
from .captures import check_captures
from .described import Description, check_described
from .facts import gather_facts
from .findings import Findings, Place
from .flow import check_flow
from .ignores import find_ignores
from .json_schemas import check_schemas
from .literals import Literals
from .results import check_results
from .script import Script
from .shapes import Shapes
from .steps import check_steps
from .texts import check_texts
from .works import Works


def load() -> dict[str, Callable[..., Any]]:
    schemas.load()
    lint("return f'{1}'  # vibe: ignore[x]\n", "first.py")
    return {"lint": lint_all}


def lint_all(files: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [lint(source, filename) for filename, source in files]


def lint(source: str, filename: str) -> dict[str, Any]:
    """Keys: findings [{place, code, message}], facts [{place, kind, value}], ignores [{line, column, code}].

    A place is [line, column, end line, end column]. Never raises for what is in a script.
    """
    read = read_metadata(source, filename)
    findings = Findings(source_lines(source))
    told = [("syntax" if each.is_syntax else "refused", each) for each in read["problems"]]
    told += [("undefined-name", each) for each in read["undefined"]]
    if len(source) <= MAX_SOURCE_CHARS and not any(code == "syntax" for code, _ in told):
        _apply(source, filename, findings)
    found = [
        {"place": Place(each.line, each.column, each.line, each.column), "code": code, "message": each.message}
        for code, each in told
    ]
    found += [{"place": each.place, "code": each.code, "message": each.message} for each in findings.found]
    return {
        "findings": found,
        "facts": [{"place": each.place, "kind": each.kind, "value": each.value} for each in findings.facts],
        "ignores": [each._asdict() for each in find_ignores(source)],
    }


def _apply(source: str, filename: str, findings: Findings) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source.removeprefix("\ufeff"), filename)
        _check(Script(tree), findings)
    except RecursionError:
        findings.report("refused", ast.Pass(lineno=1, col_offset=0), TOO_DEEP)
    except (SyntaxError, ValueError, MemoryError, OverflowError):
        return  # the compiler has told what is wrong with it


def _check(script: Script, findings: Findings) -> None:
    literals, works = Literals(script), Works(script)
    about = Description(script, literals)
    gather_facts(script, literals, about, findings)
    check_calls(script, literals, findings)
    check_steps(script, works, findings)
    check_captures(script, findings)
    check_flow(script, findings)
    check_results(script, Shapes(script, literals), findings)
    check_described(script, literals, about, findings)
    check_schemas(script, literals, about.part("args"), findings)
    check_texts(script, findings)
