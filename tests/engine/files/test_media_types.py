"""The kind of a file is told by its contents."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sample_files import JPEG, PDF, PNG, SAMPLES, WEBP
from vibe_workflows.engine.media_types import KindReader


def kind_of(*pieces: bytes) -> str | None:
    reader = KindReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.media_type()


@pytest.mark.parametrize("media_type", SAMPLES)
def test_every_kind_is_told_by_its_contents(media_type: str) -> None:
    assert kind_of(SAMPLES[media_type]) == media_type


@pytest.mark.parametrize(
    ("contents", "media_type"),
    [
        (b"GIF87a\x01\0", "image/gif"),
        (b"", "text/plain"),
        (b"\xef\xbb\xbfwith a mark of its encoding", "text/plain"),
        (b"RIFF, a word", "text/plain"),
        (b"PDF-1.4 is named later: %PDF-1.4", "text/plain"),
        (b"\x89PN", None),
        (b"RIFF\x1a\0\0\0WAVEfmt ", None),
        (b"PK\x03\x04\x14\0\0\0", None),
        (b"\x7fELF\x02\x01\x01\0", None),
        ("utf-16".encode("utf-16"), None),
        ("naïve".encode("latin-1"), None),
        (b"text with a \0 in it", None),
        ("grün".encode()[:3], None),  # cut off within a character
        (b"\xed\xa0\x80", None),  # half of a surrogate pair
    ],
)
def test_only_whole_utf_8_without_nul_is_text(contents: bytes, media_type: str | None) -> None:
    assert kind_of(contents) == media_type


@given(
    st.sampled_from([PNG, JPEG, WEBP, PDF, b"RIFF....WAVE", b"\xff\xd8 no", "grün, blau".encode(), b"\xf0\x9f\x98"])
    | st.binary(max_size=60)
    | st.text(max_size=30).map(str.encode),
    st.lists(st.integers(0, 60), max_size=8).map(sorted),
)
def test_the_kind_does_not_depend_on_how_the_contents_are_cut(contents: bytes, cuts: list[int]) -> None:
    bounds = [0, *cuts, len(contents)]
    assert kind_of(*(contents[a:b] for a, b in pairwise(bounds))) == kind_of(contents)
