"""Models that are slowed or down while a run lasts, as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import figures
from .faults import told
from .paint import Line, Span, Style
from .progress import ModelState
from .sanitize import fit, one_line

_MODELS = 3  # lines at most
_NAME = 28  # columns of a model's name


def model_lines(states: Iterable[ModelState], *, width: int, now: float) -> Iterator[Line]:
    """A line for each model that is slowed or down; of many the last ones are counted."""
    ailing = [state for state in states if state.ails(now)]
    shown = ailing if len(ailing) <= _MODELS else ailing[: _MODELS - 1]
    for state in shown:
        style = Style.BAD if state.down is not None else Style.WARN
        yield (Span("! ", style), Span(fit(_trouble(state, width=width, now=now), width - 2)))
    if len(ailing) > len(shown):
        yield (Span("! ", Style.WARN), Span(f"{len(ailing) - len(shown):,} more models are slowed or down"))


def _trouble(state: ModelState, *, width: int, now: float) -> str:
    name = one_line(state.model, _NAME)
    down = state.down
    if down is None:
        assert state.slowed is not None
        return f"{name} is rate limited: {figures.count(state.slowed.at_once, 'call')} at a time"
    left = down.at + down.wait_s - now
    again = f"asked again in {figures.duration(left)}" if left > 0 else "asked again now"
    return f"{name} is down, {again}: {one_line(told(down.error, down.model), width)}"
