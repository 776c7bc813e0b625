"""What runs in the locked worker, for tests: called in place, or in a real one for the time of a test."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import trio

from vibe_workflows.engine.model import JSON
from vibe_workflows.sandbox import pages, patterns, schemas
from vibe_workflows.sandbox.checker import LockedChecker, open_checker
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.replies import Page

T = TypeVar("T")


@dataclass(frozen=True)
class PlainVerdict:
    value: bytes
    problems: Sequence[str]


class PlainChecker:
    async def check_schema(self, schema: JSON) -> Sequence[str]:
        return schemas.check_schema(schema)

    async def validate(self, schema: JSON, value: JSON, *, fill_defaults: bool = False) -> PlainVerdict:
        found = schemas.validate(schema, value, fill_defaults)
        return PlainVerdict(value=msgspec.json.encode(found["value"]), problems=found["problems"])

    async def match_paths(self, pattern: str, paths: Sequence[str]) -> Sequence[str]:
        return [paths[number] for number in patterns.match_paths(pattern, list(paths))]

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> Sequence[str]:
        return [paths[number] for number in patterns.ignored(dict(rules), list(paths))]

    async def search(
        self, pattern: str, files: Sequence[tuple[str, str]], *, ignore_case: bool, limit: int
    ) -> Sequence[tuple[str, int, str]]:
        hits = patterns.search(pattern, [text for _, text in files], ignore_case, limit)
        return [(files[number][0], line + 1, text) for number, line, text in hits]

    async def read_page(self, body: bytes, *, charset: str, html: bool, most: int) -> Page:
        pages.load()
        return Page(**pages.page(base64.b64encode(body).decode(), charset, html, most)).cleaned(most)


def locked(work: Callable[[LockedChecker], Awaitable[T]], *, request_s: float = 2.0) -> T:
    """What `work` gives, with a checker whose workers are really locked."""

    async def main() -> T:
        zygote = start_zygote()
        try:
            async with open_checker(zygote, request_s=request_s) as checker:
                return await work(checker)
        finally:
            zygote.close()

    return trio.run(main)
