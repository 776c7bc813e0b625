"""Texts cut and gathered: nothing lost, nothing too large, and cut where a reader would."""

from __future__ import annotations

import importlib.util
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows import patterns
from vibe_workflows.patterns import batches, chunks, token_count

ROOT = Path(__file__).parents[2]
pieces = st.sampled_from(["word ", "a\tb ", "\n", "\n\n", "\r\n\r\n", "x" * 9, "12,5;", "漢字", "👩‍💻", "\ud800", " "])
texts = st.lists(pieces, max_size=40).map("".join) | st.text(max_size=60)
limits = st.integers(1, 30)


@given(texts, limits)
def test_nothing_is_lost_and_no_piece_is_empty_or_above_the_limit(text: str, tokens: int) -> None:
    cut = chunks(text, tokens)
    assert "".join(cut) == text
    assert all(cut)
    assert all(token_count(piece) <= tokens for piece in cut)


@given(texts, limits)
def test_a_piece_ends_at_the_best_place_that_fits(text: str, tokens: int) -> None:
    start = 0
    for piece in chunks(text, tokens)[:-1]:
        longest = next(
            size for size in range(len(text) - start, 0, -1) if token_count(text[start : start + size]) <= tokens
        )
        fits = text[start : start + longest]
        if re.search(r"\n\r?\n", fits):
            assert re.search(r"\n\r?\n\Z", piece)
        elif "\n" in fits:
            assert piece.endswith("\n")
        elif " " in fits or "\t" in fits:
            assert piece.endswith((" ", "\t"))
        else:
            assert piece == fits
        if re.search(r"[ \t\n]", fits):
            kind = r"\n\r?\n" if re.search(r"\n\r?\n", fits) else "\n" if "\n" in fits else "[ \t]"
            assert not re.search(kind, fits[len(piece) :]), "the last such place"
        start += len(piece)


@given(texts, st.integers(2, 30), st.data())
def test_an_overlap_repeats_the_end_of_what_came_before(text: str, tokens: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tokens // 2))
    own, cut = chunks(text, tokens - overlap), chunks(text, tokens, overlap)
    assert len(own) == len(cut)
    before = ""
    for piece, with_overlap in zip(own, cut, strict=True):
        assert with_overlap.endswith(piece)
        lead = with_overlap[: len(with_overlap) - len(piece)]
        assert before.endswith(lead)
        assert token_count(lead) <= overlap
        assert token_count(with_overlap) <= tokens
        before += piece


def test_an_overlap_begins_with_a_word_if_there_is_one() -> None:
    assert chunks("one two three four", 5, 2) == ["one two ", "two three ", "three four"]
    assert chunks("一二三四五六七八", 4, 2) == ["一二", "一二三四", "三四五六", "五六七八"]


def test_a_long_text_is_cut_into_few_pieces() -> None:
    text = ("A paragraph of a few words.\n" * 4 + "\n") * 200
    cut = chunks(text, 400)
    assert len(cut) <= 1.2 * token_count(text) / 400 + 1
    assert all(piece.endswith("words.\n\n") for piece in cut)


@given(texts, texts)
def test_tokens_of_two_texts_are_about_those_of_both_together(one: str, other: str) -> None:
    together = token_count(one + other)
    assert (
        max(token_count(one), token_count(other)) <= together <= token_count(one) + token_count(other) <= together + 1
    )
    assert together <= len(one + other)


def test_no_estimate_is_far_from_what_a_tokenizer_says(tokenizer: Any) -> None:
    samples = {
        "prose": (ROOT / "README.md").read_text(),
        "code": (ROOT / "sandbox/pure/chunking.py").read_text(),
        "JSON": str([{"path": f"src/module_{n}.py", "line": n * 7, "problem": "is wrong"} for n in range(100)]),
        "CSV": "\n".join(f"{n},{n * n},{n * 1.37:.2f},foo" for n in range(100)),
        "Chinese": "这个工具会检查每一个文件,并报告它发现的问题。" * 5,
        "German": "Diese Funktion öffnet die Datei und zählt sämtliche Zeilen." * 5,
    }
    for name, text in samples.items():
        assert 0.95 < token_count(text) / len(tokenizer.encode(text)) < 1.8, name


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real one, that comes with a dependency of the product: nothing is fetched."""
    tiktoken = pytest.importorskip("tiktoken")
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TIKTOKEN_CACHE_DIR", str(Path(spec.origin).parent / "litellm_core_utils/tokenizers"))
        return tiktoken.get_encoding("cl100k_base")


@given(st.lists(texts, max_size=12), limits)
def test_batches_hold_all_items_in_order_and_only_a_giant_is_above_the_limit(items: list[str], tokens: int) -> None:
    gathered = batches(items, tokens)
    assert [item for batch in gathered for item in batch] == items
    assert all(gathered)
    for batch in gathered:
        assert len(batch) == 1 or token_count("".join(batch)) <= tokens
    for one, next_one in pairwise(gathered):
        assert token_count("".join([*one, next_one[0]])) > tokens, "it would have fitted"


def test_batches_measure_what_they_are_told_to() -> None:
    items = [{"path": "a", "text": "x" * 30}, {"path": "b", "text": ""}, {"path": "c", "text": "y"}]
    assert batches(items, 10, lambda item: item["text"]) == [items[:2], items[2:]]
    assert batches(range(4), 2) == [[0, 1, 2], [3]]
    assert batches([], 5) == []


untyped: Any = patterns  # as a script calls them


async def a_coroutine(*_: Any) -> str:
    return ""


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: untyped.chunks("x", 0), ValueError, "chunks: the tokens are a number; it is at least 1, not 0"),
        (
            lambda: untyped.chunks("x", "5"),
            TypeError,
            "chunks: the tokens are a number; it is a whole number, not a value of type str",
        ),
        (lambda: untyped.chunks("x", 10, 6), ValueError, "the overlap is at most half of the tokens, here 5, not 6"),
        (
            lambda: untyped.chunks("x", 10, -1),
            ValueError,
            "the overlap is a number of tokens; it is at least 0, not -1",
        ),
        (
            lambda: untyped.chunks({"text": "x"}, 10),
            TypeError,
            r"chunks: it takes a text, not a value of type dict; .*file\['text'\]",
        ),
        (lambda: untyped.chunks(None, 10), TypeError, "not a value of type NoneType"),
        (lambda: untyped.token_count(b"x"), TypeError, "token_count: it takes a text, not a value of type bytes"),
        (lambda: untyped.chunks(a_coroutine(), 10), TypeError, "chunks: the text has not run"),
        (lambda: untyped.batches(["x"], 0), ValueError, "batches: the tokens are a number; it is at least 1"),
        (
            lambda: untyped.batches([{}], 5, lambda item: item),
            TypeError,
            "`text` gives the text of an item, not a value of type dict",
        ),
        (lambda: untyped.batches(["x"], 5, a_coroutine), TypeError, "batches: `text` has to be a plain function"),
        (lambda: untyped.batches("xyz", 5), TypeError, "batches: the items are a list, not one text"),
    ],
)
def test_a_wrong_use_says_what_to_write(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
