"""A `Checker` for tests of the engine: what runs in the locked worker, called in place."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from vibe_workflows.engine.model import JSON
from vibe_workflows.sandbox import pages, patterns, schemas
from vibe_workflows.sandbox.replies import Page


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
