"""A command is split into words as POSIX shells do, and nothing else of a shell happens to it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.patterns import words

pieces = st.sampled_from(["a", "-q", " ", "\t", "\n", "'", '"', "\\", "#", "$HOME", "*", "|", "&&", "é", "\u2028"])
commands = st.lists(pieces, max_size=12).map("".join)


def split(command: str) -> list[str] | None:
    try:
        return shlex.split(command)
    except ValueError:
        return None


@given(commands)
def test_it_splits_as_the_standard_library_does(command: str) -> None:
    expected = split(command)
    if expected is None:
        with pytest.raises(ValueError, match="words: "):
            words(command)
    else:
        assert words(command) == expected


@given(st.lists(st.text(max_size=8), max_size=6))
def test_what_was_joined_with_quotes_comes_back(argv: list[str]) -> None:
    assert words(shlex.join(argv)) == argv
    assert words(argv) == argv


def test_a_command_that_ends_in_the_middle_says_so() -> None:
    with pytest.raises(ValueError, match="words: a ' is not closed in"):
        words("pytest -k 'slow")
    with pytest.raises(ValueError, match="ends with a backslash; double it, or give a list"):
        words("dir C:\\")


@pytest.mark.parametrize("wrong", [None, 5, ["pytest", 5], {"argv": []}, b"x"])
def test_what_is_no_command_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="words: "):
        words(wrong)
