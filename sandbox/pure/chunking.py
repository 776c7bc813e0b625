"""Texts cut and gathered by how many tokens they have, as far as that can be said without a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from .checks import given, kind, listed, settled, whole

Item = TypeVar("Item")

_PARAGRAPHS, _LINES, _WORDS = ("\n\n", "\n\r\n"), ("\n",), (" ", "\t")
_PREFERRED = (_PARAGRAPHS, _LINES, _WORDS)

#: Characters weigh, in thirds of a token: 1 each of these, 2 other ASCII, 3 all else. Beside two tokenizers that is too
#: many for prose (by 1.4) and code (by 1.5), and about right for JSON, CSV, digests, Chinese, Japanese and Korean.
_LIGHT = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t\r\n"
_PER_TOKEN = 3


def token_count(text: str) -> int:
    """About how many tokens a text has, rather too many.

    No tokenizer is asked, so that a rerun, with another model, too, cuts a text as before. A letter or space of ASCII
    counts as a third of a token, a digit or sign as two thirds, and any other character as one. Base64, emoji, and
    scripts that tokenizers know badly have more than that.

    >>> token_count("Count the words of this sentence.")
    12
    >>> token_count("日本語"), token_count("")
    (3, 0)
    """
    return -(-_weight(_text("token_count", text)) // _PER_TOKEN)


def chunks(text: str, tokens: int, overlap: int = 0) -> list[str]:
    """The text in pieces of at most `tokens` tokens each, as `token_count` counts.

    A piece ends behind the last paragraph that fits; where none does, behind the last line, else the last word, else
    anywhere. Nothing is lost: joined, the pieces are the text. With `overlap`, at most half of `tokens`, a piece has at
    most `tokens - overlap` of its own, and each but the first begins with up to `overlap` of what comes before it, from
    the start of a word where there is one. Takes time in proportion to the text.

    >>> chunks("One.\\n\\nTwo is longer.\\n\\nThree.", tokens=7)
    ['One.\\n\\n', 'Two is longer.\\n\\n', 'Three.']
    >>> chunks("one two three four", tokens=5, overlap=2)
    ['one two ', 'two three ', 'three four']
    """
    _text("chunks", text)
    whole("chunks", "the tokens are a number", tokens, 1)
    whole("chunks", "the overlap is a number of tokens", overlap, 0)
    if 2 * overlap > tokens:
        raise ValueError(f"chunks: the overlap is at most half of the tokens, here {tokens // 2}, not {overlap}")
    own, before = (min(limit, len(text)) * _PER_TOKEN for limit in (tokens - overlap, overlap))
    pieces, start = [], 0
    while start < len(text):
        end = _end(text, start, own)
        pieces.append(text[_lead(text, start, before) : end])
        start = end
    return pieces


def batches(items: Iterable[Item], tokens: int, text: Callable[[Item], str] = str) -> list[list[Item]]:
    """The items, in order, in lists whose texts have at most `tokens` tokens together.

    `text` gives what of an item goes into a prompt; leave room for what stands between. An item that is larger alone
    is a list of its own: cut it by `chunks` before, if it must fit.

    >>> batches(["one", "two", "a much longer one", "four"], tokens=3)
    [['one', 'two'], ['a much longer one'], ['four']]
    """
    whole("batches", "the tokens are a number", tokens, 1)
    gathered: list[list[Item]] = []
    room = 0
    for item in listed("batches", "items", items):
        own = given("batches", "`text`", text(settled("batches", "an item", item)))
        weight = _weight(_text("batches", own, "`text` gives the text of an item"))
        if not gathered or weight > room:
            gathered.append([])
            room = tokens * _PER_TOKEN
        gathered[-1].append(item)
        room -= weight
    return gathered


def _text(who: str, text: object, what: str = "it takes a text") -> str:
    if not isinstance(text, str):
        settled(who, "the text", text)
        raise TypeError(
            f"{who}: {what}, not a value of type {kind(text)}; read it out, as in file['text'], or json.dumps it"
        )
    return text


def _weight(text: str) -> int:
    plain = text.encode("ascii", "ignore")
    return len(plain) + len(plain.translate(None, _LIGHT)) + 3 * (len(text) - len(plain))


def _end(text: str, start: int, limit: int) -> int:
    """Where the piece ends that begins at `start` and weighs no more than `limit`."""
    end = start + _most(lambda size: text[start : start + size], limit)
    if end >= len(text):
        return len(text)
    for marks in _PREFERRED:
        if found := [at + len(mark) for mark in marks if (at := text.rfind(mark, start, end)) >= 0]:
            return max(found)
    return end


def _lead(text: str, start: int, limit: int) -> int:
    """Where the text begins that leads in to `start`, and weighs no more than `limit`."""
    begin = start - min(start, _most(lambda size: text[max(0, start - size) : start], limit))
    if not 0 < begin < start:
        return begin
    found = [at for mark in " \t\n" if (at := text.find(mark, begin - 1, start - 1)) >= 0]
    return start - len(text[min(found) : start].lstrip()) if found else begin


def _most(piece: Callable[[int], str], limit: int) -> int:
    """The largest size for which the piece of that size weighs no more than `limit`."""
    least, most = limit // 3, limit
    while least < most:
        size = (least + most + 1) // 2
        if _weight(piece(size)) <= limit:
            least = size
        else:
            most = size - 1
    return least
