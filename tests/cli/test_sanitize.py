"""What reaches a terminal cannot steer it."""

from __future__ import annotations

import json
import unicodedata

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vibe_workflows.cli.render.sanitize import cell_width, clean, escaped, fit, one_line, pad

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from("\x1b\x9b\x9d\x07\x9c\x08\r\n\t[]0;m?hA\u202e\u2066\u200f\ufeff\U000e0041\ud800"),
        st.characters(),
    )
)


@given(HOSTILE)
def test_clean_text_holds_no_control_character_but_newline_and_tab(text: str) -> None:
    for char in clean(text):
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs"), ascii(char)
        assert not "\u202a" <= char <= "\u202e"
        assert not "\u2066" <= char <= "\u2069"
        assert not "\U000e0000" <= char <= "\U000e007f"


@given(HOSTILE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(HOSTILE, st.integers(0, 30))
def test_one_line_is_one_line_that_fits(text: str, cells: int) -> None:
    line = one_line(text, cells)
    assert "\n" not in line
    assert "\t" not in line
    assert cell_width(line) <= cells


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain text, ümläut, 日本", "plain text, ümläut, 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bPpayload\x1b\\after", "after"),
        ("progress 10%\rprogress 20%", "progress 10%\nprogress 20%"),
        ("a\r\nb", "a\nb"),
        ("back\x08space", "backspace"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("half\ud83d", "half\ufffd"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_what_is_dropped_and_what_stays(text: str, kept: str) -> None:
    assert clean(text) == kept


def test_an_unclosed_sequence_ends_with_its_line() -> None:
    assert clean("\x1b]0;title without end\nthe next line") == "\nthe next line"


def test_width_counts_columns_not_characters() -> None:
    assert cell_width("日本") == 4
    assert cell_width("e\u0301") == 1
    assert fit("日本語", 5) == "日本…"
    assert pad("日", 4) == "日  "
    assert pad("7", 3, right=True) == "  7"


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # JSON has no lone surrogates


@given(st.recursive(_TEXT, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=8))
@example("\x1b[31m\x7f\x9b2J\u202e\U000e0041\u2028")
def test_escaped_json_means_the_same_and_moves_no_terminal(value: object) -> None:
    document = msgspec.json.encode(value)
    shown = escaped(document)
    assert json.loads(shown) == json.loads(document)
    assert clean(shown.decode()) == shown.decode()
