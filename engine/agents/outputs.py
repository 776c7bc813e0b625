"""How much of what tools say a conversation holds.

One output is cut where it is longer than any window wants, and the outputs of one message where they are so together: a
model that asks for fifty files at once reads the first ones whole and the heads of the others. What was cut is told in
the text, which is what the model read and what the store keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model import ModelInfo
from . import prompts

#: Characters of one output. The tools that read stop at 32 KB by themselves.
MAX_OUTPUT_CHARS = 50_000

#: Characters of all outputs of one message: some 60,000 tokens.
MAX_TURN_CHARS = 200_000

#: Characters that are left of an output which is cut or shortened for want of room: what it is, and how it begins.
HEAD_CHARS = 600

#: Shorter outputs stay whole: the note would take what cutting them saves.
_WORTH_CHARS = 2 * HEAD_CHARS

#: The share of a known window that the outputs of one message may fill, as a divisor, in characters of 3.5 a token.
_WINDOW_SHARE = 4
_CHARS_PER_TOKEN = 3.5


def turn_chars(info: ModelInfo) -> int:
    """How many characters the outputs of one message may have together, with this model."""
    if info.max_input_tokens is None:
        return MAX_TURN_CHARS
    return max(HEAD_CHARS, min(MAX_TURN_CHARS, int(info.max_input_tokens * _CHARS_PER_TOKEN / _WINDOW_SHARE)))


def fitted(outputs: Sequence[str], most: int) -> list[str]:
    """The outputs of one message, each within MAX_OUTPUT_CHARS, and first come, first served up to `most` together.

    One for which no room is left keeps its head, or only the note that it was cut. Short ones are always whole.
    """
    left, fitting = most, []
    alone = min(most, MAX_OUTPUT_CHARS)
    for output in outputs:
        size = min(len(output), alone)
        if size > left and len(output) >= _WORTH_CHARS:
            size = min(left, HEAD_CHARS)
            fitting.append(_cut(output, size, lambda out, length: prompts.cut_together(out, length, most)))
        elif len(output) > alone:
            fitting.append(_cut(output, alone, lambda out, length: prompts.cut_alone(out, length, alone)))
        else:
            fitting.append(output)
        left = max(0, left - size)
    return fitting


def shortened(output: str) -> str | None:
    """The head of an old output with a note, or None where that would save nothing to speak of."""
    return _cut(output, HEAD_CHARS, prompts.shortened) if len(output) >= _WORTH_CHARS else None


def _cut(output: str, chars: int, note: Callable[[int, int], str]) -> str:
    """At most `chars` from the beginning, whole lines where lines are short, and `note(left out, length)`."""
    head = output[:chars]
    whole, newline, _ = head.rpartition("\n")
    if newline and len(whole) > chars // 2:
        head = whole
    said = note(len(output) - len(head), len(output))
    return f"{head}\n{said}" if head else said
