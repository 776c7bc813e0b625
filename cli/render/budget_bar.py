"""The budget of a run as a bar and words: how much of each limit is spent. Pure."""

from __future__ import annotations

import msgspec

from vibe_workflows.engine.events import RunLimits

from . import figures
from .paint import Line, Span, Style
from .sanitize import cell_width

_CELLS = 10  # each is a tenth
_NEAR = 0.75  # from here on the bar warns
_ROOM = 28  # columns that a limit in words may need
_TITLE = "budget  "


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has used of its limits; a cost is None where a price is unknown."""

    tokens: int
    microusd: int | None
    steps: int
    seconds: float
    paid_microusd: int | None


def budget_lines(limits: RunLimits, spent: Spent, *, width: int) -> list[Line]:
    """The bar of the limit that is nearest, and each limit in words, that one first; none where nothing is limited.

    One line, or as many as the words need.
    """
    shares = sorted(_shares(limits, spent), key=lambda each: -each[0])
    if not shares:
        return []
    share = min(shares[0][0], 1.0)
    filled = int(share * _CELLS)
    bar = f"[{'#' * filled}{'-' * (_CELLS - filled)}]"
    percent = f" {int(share * 100 + 1e-9):>3}%  "
    first = (Span(_TITLE, Style.TITLE), Span(bar, _style(share)), Span(percent))
    indent = sum(cell_width(span.text) for span in first)
    if width - indent < _ROOM:
        texts = _joined([text for _, text in shares], width - 2)
        return [first, *((Span("  "), Span(text)) for text in texts)]
    texts = _joined([text for _, text in shares], width - indent)
    return [(*first, Span(texts[0])), *((Span(" " * indent), Span(text)) for text in texts[1:])]


def _shares(limits: RunLimits, spent: Spent) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    if limits.tokens is not None:
        text = f"{figures.tokens(spent.tokens)} of {_short(limits.tokens)} tokens"
        found.append((_share(spent.tokens, limits.tokens), text))
    if limits.microusd is not None:
        text = f"{figures.money(spent.microusd)} of {figures.money(limits.microusd)}"
        found.append((_share(spent.microusd, limits.microusd), text))
    if limits.seconds is not None:
        text = f"{figures.duration(spent.seconds)} of {figures.duration(limits.seconds)}"
        found.append((_share(spent.seconds, limits.seconds), text))
    if limits.steps is not None:
        steps = min(spent.steps, limits.steps)  # one that the limit turns away began all the same
        found.append((_share(steps, limits.steps), f"{steps:,} of {limits.steps:,} steps"))
    if limits.paid_microusd is not None:
        text = f"{figures.money(spent.paid_microusd)} of {figures.money(limits.paid_microusd)} to pay"
        share = _share(spent.paid_microusd, limits.paid_microusd)
        if limits.microusd is None or share > _share(spent.microusd, limits.microusd):
            found.append((share, text))
    return found


def _share(spent: float | None, limit: float) -> float:
    if not spent:
        return 0.0
    return spent / limit if limit > 0 else 1.0


def _short(count: int) -> str:
    """200k, not 200.0k: limits are round."""
    return figures.tokens(count).replace(".0", "")


def _style(share: float) -> Style:
    if share >= 1:
        return Style.BAD
    return Style.WARN if share >= _NEAR else Style.GOOD


def _joined(texts: list[str], room: int) -> list[str]:
    lines = [texts[0]]
    for text in texts[1:]:
        longer = f"{lines[-1]}, {text}"
        if cell_width(longer) <= room:
            lines[-1] = longer
        else:
            lines[-1] += ","
            lines.append(text)
    return lines
