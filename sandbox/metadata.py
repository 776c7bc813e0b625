"""What workflow files say of themselves, and what they plan, read in a locked worker that serves one request only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .channel import NotJson, encode
from .plan.outline import read_plan
from .policy import read_metadata


def load() -> dict[str, Callable[..., Any]]:
    return {"read": read, "plan": read_plan}


def read(files: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [_report(source, filename) for filename, source in files]


def _report(source: str, filename: str) -> dict[str, Any]:
    report = read_metadata(source, filename)
    # What would end every run is said before the first of its steps is paid for.
    found = (*report["problems"], *report.pop("undefined"))
    problems = [{"line": problem.line, "column": problem.column, "message": problem.message} for problem in found]
    try:
        encode(report["meta"], "meta")
    except NotJson as error:
        report["meta"] = {}
        problems.append({"line": report["meta_line"] or 1, "column": 1, "message": f"{error}; metadata is plain JSON"})
    return report | {"problems": problems}
