"""deep-research: quotes, verdicts, figures and doubles, as pure functions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.catalog_jobs import workflow_module

research = workflow_module("deep-research")

PAGES = {
    "https://a.example/": {"text": "Tea is a drink that was first made in the east.", "title": "", "error": ""},
    "https://down.example/": {"text": None, "title": "", "error": "503"},
}


def ballot(verdict: str, url: str = "", quote: str = "") -> dict[str, Any]:
    evidence = [{"url": url, "quote": quote}] if url else []
    return {"reason": verdict, "verdict": verdict, "evidence": evidence}


YES, DUNNO = ballot("holds"), ballot("cannot_tell")
NO = ballot("refuted", "https://a.example/", "first made in the east")
WITHOUT_EVIDENCE = ballot("refuted")
MADE_UP = ballot("refuted", "https://a.example/", "first made in the west")
CANNOT_BE_SEEN = ballot("refuted", "https://down.example/", "first made in the east")


@pytest.mark.parametrize(
    ("ballots", "verdict"),
    [
        ([YES, YES, NO], "confirmed"),
        ([YES, NO, NO], "refuted"),
        ([YES, YES, None], "confirmed"),
        ([NO, NO, None], "refuted"),
        ([YES, NO, None], "refuted"),  # a draw of those who could tell
        ([NO, None, None], "unverified"),
        ([YES, DUNNO, DUNNO], "unverified"),
        ([None, None, None], "unverified"),
        ([YES, YES, WITHOUT_EVIDENCE], "confirmed"),
        ([NO, MADE_UP, CANNOT_BE_SEEN], "unverified"),
        ([MADE_UP, MADE_UP, MADE_UP], "unverified"),
    ],
)
def test_a_refutation_counts_with_evidence_and_who_could_not_tell_abstains(ballots: list[Any], verdict: str) -> None:
    decided = research.decided(ballots, 3, PAGES)
    assert decided["verdict"] == verdict
    assert sum(decided["votes"].values()) == 3
    assert bool(decided["why"]) is (verdict == "unverified")


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("It costs 3.5 million, says the board", True),
        ("it costs  3.5\nmillion, says the board", True),  # white space and case
        ("“tea” – a drink", True),  # quotes and dashes
        ("It costs 35 million, says the board", False),
        ("It costs 3.5 million ... a drink", False),
        ("board", False),  # too short to show anything
        ("", False),
    ],
)
def test_a_quote_stands_on_a_page_up_to_white_space_links_and_quotes(quote: str, stands: bool) -> None:
    page = 'It costs 3.5 million, says the board (https://fao.example/x?y=1).\n"Tea" - **a drink**, they say.'
    assert research.stands_in(quote, page) is stands


def test_links_in_the_middle_of_a_quote_may_be_copied_or_left_out() -> None:
    page = "The board (https://fao.example/) says that tea is a drink."
    assert research.stands_in("The board says that tea", page)
    assert research.stands_in("The board (https://fao.example/) says that", page)


def found(text: str, weight: str = "detail", verdict: str | None = None) -> dict[str, Any]:
    return {"claim": text, "weight": weight, "verdict": verdict, "evidence": [{"url": text}]}


def test_claims_of_a_group_become_its_first_with_all_evidence_and_the_greatest_weight() -> None:
    claims = [found("a"), found("b", "central"), found("c"), found("d")]
    joined = research.joined(claims, [[3, 1, 3], [1, 4], [2, 99, 0, -1]])
    assert [each["claim"] for each in joined] == ["a", "b", "d"], "a number counts once, and one that is none never"
    assert [each["url"] for each in joined[0]["evidence"]] == ["a", "c"]
    assert research.joined(claims, [[1, 2]])[0]["weight"] == "central"
    assert claims == [found("a"), found("b", "central"), found("c"), found("d")]


def test_claims_that_have_their_verdict_are_joined_with_new_ones_only() -> None:
    claims = [found("a", verdict="confirmed"), found("b", verdict="refuted"), found("c"), found("d")]
    joined = research.joined(claims, [[1, 2, 3]], 2)
    assert [each["claim"] for each in joined] == ["a", "b", "d"]
    assert [each["url"] for each in joined[0]["evidence"]] == ["a", "c"]


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        ("In 2024 it was 1,200 tonnes [1].", ""),
        ("In 2024 it was 1200 tonnes, as [3] says.", ""),
        ("In 2025 it was 1,200 tonnes.", "its claims do not have: 2025"),
        ("It was 12.5 percent of 200.", "its claims do not have: 12.5, 200"),
    ],
)
def test_a_sentence_has_no_figure_that_its_claims_do_not_have(sentence: str, fault: str) -> None:
    claims = [{"claim": "It was 1,200 tonnes.", "evidence": [{"quote": "1200 t in 2024"}]}]
    assert research.figures_fault({"text": sentence, "claims": [1]}, claims) == fault


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "http://www.A.example/x/#top", True),
        ("https://a.example/x?utm_source=y&id=1", "https://a.example/x?id=1", True),
        ("https://a.example/x?id=1", "https://a.example/x?id=2", False),
        ("https://a.example/x", "https://b.example/x", False),
    ],
)
def test_two_addresses_of_a_page_are_one(one: str, other: str, same: bool) -> None:
    assert (research.url_key({"url": one}) == research.url_key({"url": other})) is same


def test_of_a_long_page_the_parts_that_have_the_words_are_read_in_their_order() -> None:
    filler = "Nothing of interest is said here at all.\n\n" * 800
    text = f"{filler}Tea first.\n\n{filler}{filler}Tea last.\n\n{filler}"
    shown = research.passages(text, "first last")
    assert len(shown) < len(text)
    assert 0 < shown.index("Tea first.") < shown.index("Tea last.")
    assert research.passages("Short.", "tea") == "Short."


def test_rounds_share_a_limit_evenly() -> None:
    assert [research.share(15, 2), research.share(7, 1), research.share(0, 1), research.share(-3, 2)] == [8, 7, 0, 0]


def test_nothing_that_a_page_or_a_model_wrote_makes_markdown_of_its_own() -> None:
    said = research.one_line("Tea.\n\n# Heading ![x](https://evil.example/?q=1) <img src=x> [a][b] a[0] 1 < 2")
    assert said == "Tea. # Heading ![x]\\(https://evil.example/?q=1) \\<img src=x> [a]\\[b] a[0] 1 \\< 2"
    assert research.links(["https://a.example/x> <b>", "https://a.example/x"]) == (
        " <https://a.example/xb> <https://a.example/x>"
    )


def test_a_report_shows_no_dropped_sentence_and_no_number_of_its_writers_own() -> None:
    report = {
        "title": "Tea",
        "answer": [{"text": "Tea is old [3].", "claims": [2, 1, 2]}, {"text": "Tea is new.", "claims": [1]}],
        "sections": [{"heading": "New", "sentences": [{"text": "Tea is new.", "claims": [1]}]}],
        "open": [],
    }
    dropped = [{"sentence": "Tea is new.", "why": "no"}]
    assert research.as_markdown("Q", report, dropped, [{}, {}]) == "# Tea\n\nTea is old. [1][2]"
    dropped.append({"sentence": "Tea is old [3].", "why": "no"})
    assert "was left out" in research.as_markdown("Q", report, dropped, [{}, {}])
    assert research.as_markdown("Q", None, [], []) == "# Q\n\nNo claim was confirmed."
