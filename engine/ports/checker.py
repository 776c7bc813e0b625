"""What is evaluated in a locked process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..model import JSON


class Verdict(Protocol):
    """`value` is the value with defaults filled in, as JSON; `problems` is empty where it fits the schema."""

    @property
    def value(self) -> bytes: ...
    @property
    def problems(self) -> Sequence[str]: ...


class Checker(Protocol):
    """Evaluates what a stranger may have written (schemas, patterns, globs) in a locked process, 2 s at most a call.

    Time or memory exhausted, or a malformed pattern, raises ValueError with a message for its author.
    """

    async def check_schema(self, schema: JSON) -> Sequence[str]:
        """Problems of the schema itself, none if it is usable. Only local references are."""
        ...

    async def validate(self, schema: JSON, value: JSON, *, fill_defaults: bool = False) -> Verdict: ...

    async def match_paths(self, pattern: str, paths: Sequence[str]) -> Sequence[str]:
        """The paths that a glob matches (`**` crosses folders), in their order."""
        ...

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> Sequence[str]:
        """The paths that .gitignore files exclude; `rules` maps a folder ("" is the root) to its file's text.

        A folder's path ends with a slash.
        """
        ...

    async def search(
        self, pattern: str, files: Sequence[tuple[str, str]], *, ignore_case: bool, limit: int
    ) -> Sequence[tuple[str, int, str]]:
        """(path, line from 1, text) of the first `limit` matching lines of (path, text) files."""
        ...
