"""Whatever the pages show runs, and prints what they say: each page is followed from top to bottom in a new folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documentation.pages import ROOT, Block, Page, all_pages
from tests.documentation.walking import Reader, Wrong

PAGES = [page for page in all_pages() if any(block.language for block in page.blocks)]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_what_a_page_shows_is_so(page: Page, tmp_path: Path) -> None:
    reader = Reader.at(page, tmp_path)
    for block in page.blocks:
        reader.follow(block)


PAGE = Page(ROOT / "README.md", (), (), frozenset())


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (Block(7, "console", "", "$ echo hello\nbye\n"), "`echo hello` prints:\nhello"),
        (Block(7, "console", "", "echo hello\n"), "no command in it begins with"),
        (Block(7, "python", "", "return await agnt('x')\n"), "it does not run"),
        (Block(7, "python", "../../out.py", "1\n"), "lies outside"),
        (Block(7, "json", "", "{'a': 1}\n"), "it is no JSON"),
        (Block(7, "pycon", "", ">>> dry([0, 0])\nFalse\n"), "Expected"),
        (Block(7, "ruby", "", "puts 1\n"), "nothing checks a block of 'ruby'"),
    ],
)
def test_what_is_not_so_is_found(block: Block, why: str, tmp_path: Path) -> None:
    with pytest.raises(Wrong, match="(?s).*" + why.replace("(", r"\(")):
        Reader.at(PAGE, tmp_path).follow(block)


def test_dots_stand_for_anything_in_a_line_and_for_any_lines(tmp_path: Path) -> None:
    Reader.at(PAGE, tmp_path).follow(
        Block(
            7, "console", "", "$ echo one; echo two; echo three 3 times\none\n...\nthree ... times\n$ echo \\\n  x\nx\n"
        )
    )
