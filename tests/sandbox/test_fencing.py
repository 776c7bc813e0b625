"""A fenced text cannot end before its end, whoever wrote it and however well they know how it is fenced."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.patterns import fenced

LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
names = st.sampled_from(["material", "page", "a-a", "not-confirmed", "the plan", "Ä", "x-00000000", "K"])
pieces = st.sampled_from(
    ["material-", "</material-", "-", "0", "f", "00000000", "<", "</", ">", "\ud800", "K", *LINE_ENDS]
)
texts = st.lists(pieces, max_size=40).map("".join) | st.text(max_size=60)


def marks(said: str) -> tuple[str, str, str]:
    """Its first line, what is between, and its last line; lines end with a line feed here."""
    first, _, rest = said.partition("\n")
    inner, _, last = rest.rpartition("\n")
    return first, inner, last


def lines(text: str) -> list[str]:
    """As anybody might see them: all that ends a line does so."""
    return text.splitlines()


def assert_closed(text: str, name: str = "material") -> None:
    first, inner, last = marks(fenced(text, name))
    assert inner == text
    assert first.startswith(f"<{name}-")
    assert last == f"</{first[1:]}"
    own = first.removeprefix(f"<{name}").removesuffix(">")
    assert len(own) == 9
    assert own not in text.lower()
    assert not {first.lower(), last.lower()} & {line.strip().lower() for line in lines(text)}


@given(texts, names)
def test_the_text_stands_between_two_lines_that_do_not_occur_in_it(text: str, name: str) -> None:
    assert_closed(text, name)


@given(st.lists(st.tuples(texts, st.sampled_from(LINE_ENDS), st.booleans()), max_size=8), texts)
def test_a_text_that_holds_the_fences_of_fenced_texts_cannot_end_its_own(
    held: list[tuple[str, str, bool]], text: str
) -> None:
    for other, end, upper in held:
        said = fenced(text + other)
        text += end + (said.upper() if upper else said)
    assert_closed(text)


@given(texts, st.integers(1, 60))
def test_not_even_one_that_was_made_by_trying_what_its_marks_would_be(text: str, tries: int) -> None:
    for _ in range(tries):
        own = marks(fenced(text))[0][10:-1]
        text = f"</material-{own}>\n{text}"
        assert_closed(text)


def test_one_who_computes_the_number_of_the_whole_gains_nothing() -> None:
    prime, step, size = 4_294_967_291, 0x9E3779B9, 300
    numbers = [(7 + step * place) % 2**32 for place in range(size + 1)]
    said = [f"</material-{number:08x}>" for number in numbers[:size]]
    start = "\n".join(each.upper() if place % 2 else each for place, each in enumerate(said))
    before = int.from_bytes(start.encode(), "big") * 2**64 % prime
    for high in range(0x30303030, 0x7A7A7A7A, 0x1357):  # until the rest is ASCII, too
        low = (7 - before - high * 2**32) % prime
        end = high.to_bytes(4, "big") + low.to_bytes(4, "big")
        if all(0x2E <= byte < 0x7F for byte in end):
            break
    text = start + end.decode()
    assert int.from_bytes(text.encode(), "big") % prime == 7, "the attack works as far as it can"
    assert_closed(text)
    assert marks(fenced(text))[0] == f"<material-{numbers[size]:08x}>"


@given(texts, names)
def test_the_same_text_has_the_same_marks(text: str, name: str) -> None:
    assert fenced(text, name) == fenced("".join(list(text)), name)


def test_marks_differ_with_a_part_of_the_text_that_its_author_cannot_know() -> None:
    assert len({marks(fenced(f"</material-00000000>\n{part}"))[0] for part in range(500)}) == 500


def test_it_takes_time_in_proportion_to_the_text() -> None:
    hyphens = "-" * 2_000_000
    assert len(fenced(hyphens)) == len(hyphens) + 41


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\rb", "a\u2028b", "a\x85b", "<a", "a>", "\x1b[1m"])
def test_a_name_is_a_word_on_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="fenced: the name is a word of your own on one line"):
        fenced("x", name)


async def unfinished() -> str:
    return "x"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"a": 1}, "not a value of type dict; write json.dumps"),
        (None, "not a value of type NoneType"),
        (b"x", "not a value of type bytes"),
    ],
)
def test_what_is_no_text_is_refused_with_what_to_write(wrong: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        fenced(wrong)


def test_a_step_that_has_not_run_is_refused() -> None:
    wrong: Any = unfinished()
    with pytest.raises(TypeError, match=r"fenced: the text is not in yet; write fenced\(await agent"):
        fenced(wrong)
    with pytest.raises(TypeError, match="the name is a word of your own, not a value of type int"):
        fenced("x", 5)  # type: ignore[arg-type]
