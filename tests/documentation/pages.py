"""The Markdown pages of the repository, taken apart: what they show, what they link to, what can be linked to.

How a page shows what runs (see test_examples_of_pages.py):

* a fence ```console holds commands, each after `$ `, and what they print; `...` stands for anything in a line, and
  alone on a line for any lines;
* a fence ```python NAME.py (or ```yaml NAME.yaml, any language with a path) is a file that the page makes;
* a fence ```python without a path is a workflow that runs by itself, ```yaml a configuration, and ```pycon a dialogue
  with Python that has the patterns at hand;
* an HTML comment right before a fence, which no reader sees, says more: `<!-- before: CODE -->` is put before a
  fragment, and `<!-- not run: REASON -->` leaves it alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]

_COMMENT = re.compile(r"<!--\s*(before|not run):\s*(.*?)\s*-->", re.DOTALL)
_ANCHOR = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    """A piece of code of a page. `language` is "" for an indented one; `about` is what follows it in the fence."""

    line: int
    language: str
    about: str
    text: str
    before: str = ""
    not_run: str = ""


class Link(NamedTuple):
    line: int
    target: str


class Page(NamedTuple):
    path: Path
    blocks: tuple[Block, ...]
    links: tuple[Link, ...]
    anchors: frozenset[str]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))


def all_pages() -> list[Page]:
    """README, changelog, guide, and everything below docs/."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "cli/guide.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [read_page(path) for path in paths]


def read_page(path: Path) -> Page:
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    return Page(path, tuple(_blocks(tokens)), tuple(_links(tokens)), frozenset(_anchors(tokens)))


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    comment: re.Match[str] | None = None
    for token in tokens:
        if token.type == "html_block":
            comment = _COMMENT.search(token.content)
            continue
        if token.type in ("fence", "code_block"):
            language, _, about = token.info.strip().partition(" ")
            said = {comment[1]: comment[2]} if comment else {}
            yield Block(
                line=(token.map or [0])[0] + 1,
                language=language,
                about=about.strip(),
                text=token.content,
                before=said.get("before", ""),
                not_run=said.get("not run", ""),
            )
        comment = None


def _links(tokens: list[Token]) -> Iterator[Link]:
    for token in tokens:
        for inner in token.children or ():
            if inner.type == "link_open":
                yield Link((token.map or [0])[0] + 1, str(inner.attrs["href"]))
            elif inner.type == "image":
                yield Link((token.map or [0])[0] + 1, str(inner.attrs["src"]))


def _anchors(tokens: list[Token]) -> Iterator[str]:
    """What a heading can be linked to by, as GitHub makes it; the second of a name is `name-1`."""
    seen: dict[str, int] = {}
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or ())
        slug = _ANCHOR.sub("", text.lower()).replace(" ", "-")
        number = seen.get(slug, 0)
        seen[slug] = number + 1
        yield f"{slug}-{number}" if number else slug
