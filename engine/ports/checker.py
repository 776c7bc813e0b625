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


class Page(Protocol):
    """A page of the web as text; `whole`: nothing of it was left out."""

    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def whole(self) -> bool: ...


class PageReader(Protocol):
    """Reads pages of the web in a locked process, as `Checker` does its work: parsing hostile HTML is code in C."""

    async def read_page(self, body: bytes, *, charset: str, html: bool, most: int) -> Page:
        """What a page says, readable and without control characters; of its text the first `most` characters.

        `charset` is what its server says ("" for nothing). `html`: it is to be made readable, else it is text already.
        Raises ValueError as `Checker`.
        """
        ...
