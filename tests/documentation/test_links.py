"""Every link of the pages leads somewhere."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from tests.documentation.pages import ROOT, Link, Page, all_pages, read_page

PAGES = all_pages()


def _wrong(page: Page, link: Link) -> str:
    """Why a link leads nowhere; empty where it does."""
    parts = urlsplit(link.target)
    if parts.scheme:
        return "" if parts.scheme == "https" and parts.netloc else "links out of the repository begin with https://"
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if not target.is_relative_to(ROOT):
        return "it leads out of the repository"
    if not target.exists():
        return "there is no such file"
    if parts.fragment and (target.suffix != ".md" or parts.fragment not in read_page(target).anchors):
        return "there is no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_leads_somewhere(page: Page) -> None:
    wrong = [f"{page.name}:{link.line}: {link.target}: {why}" for link in page.links if (why := _wrong(page, link))]
    assert wrong == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    page = read_page(ROOT / "README.md")
    assert _wrong(page, Link(1, "docs/nowhere.md")) == "there is no such file"
    assert _wrong(page, Link(1, "docs/cli.md#nowhere")) == "there is no such heading"
    assert _wrong(page, Link(1, "../elsewhere.md")) == "it leads out of the repository"
    assert _wrong(page, Link(1, "http://example.org"))
    assert _wrong(page, Link(1, "docs/cli.md#what-goes-where")) == ""


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in reached or path.suffix != ".md" or not path.is_file():
            continue
        reached.add(path)
        targets = (urlsplit(link.target) for link in read_page(path).links)
        todo += [(path.parent / parts.path).resolve() for parts in targets if parts.path and not parts.scheme]
    missed = {page.path for page in PAGES} - reached - {ROOT / "cli/guide.md", ROOT / "docs/index.md"}
    assert missed == set()
