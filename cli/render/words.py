"""Words that more than one view uses."""

from __future__ import annotations

from collections.abc import Sequence

from vibe_workflows.engine.events import Logged
from vibe_workflows.engine.model import StepStatus

from . import figures
from .paint import Span, Style
from .sanitize import one_line
from .tally import Tally

OFFLINE_NOTICE = (
    "offline: no model is configured, so agent() gives made-up replies that begin [offline]; "
    "name one with --model, or with `model:` in vibe.yaml"
)


#: At the end of a run, which began with the notice.
OFFLINE_REMINDER = "offline: what agents answered here is made up; --model NAME asks a model"


def status_word(status: str) -> str:
    return status.replace("_", " ")


def status_style(status: str, *, stored: bool = False) -> Style:
    if stored or status == StepStatus.CACHED:
        return Style.STORED
    return {
        "completed": Style.GOOD,
        "running": Style.LIVE,
        "failed": Style.BAD,
        "timed_out": Style.BAD,
        "budget_exceeded": Style.BAD,
        "interrupted": Style.WARN,
        "waiting": Style.WARN,
        "paused": Style.WARN,
        "cancelled": Style.FAINT,
        "skipped": Style.FAINT,
        "pending": Style.FAINT,
    }.get(status, Style.PLAIN)


def status_mark(status: str, *, stored: bool = False) -> str:
    """One column that needs no colour to be told apart."""
    if stored or status == StepStatus.CACHED:
        return "="
    return {
        "completed": "✓",
        "running": "▸",
        "failed": "✗",
        "timed_out": "✗",
        "budget_exceeded": "✗",
        "pending": "·",
    }.get(status, "-")


def counts(over: Tally, *, running: int = 0, waiting: int = 0) -> list[Span]:
    """12 stored, 3 live, 4 running: what there is of each."""
    pairs = (
        (over.stored, "stored", Style.TITLE),
        (over.live, "live", Style.TITLE),
        (over.failed, "failed", Style.BAD),
        (over.dropped, "cancelled", Style.PLAIN),
        (running, "running", Style.LIVE),
        (waiting, "waiting", Style.PLAIN),
    )
    return [Span(f"{count:,} {word}", style) for count, word, style in pairs if count]


def counts_text(over: Tally, *, running: int = 0) -> str:
    return ", ".join(span.text for span in counts(over, running=running))


def phase_status(over: Tally, *, running: int) -> str:
    """The status that a phase is marked with."""
    if running:
        return "running"
    if over.failed:
        return "failed"
    if over.dropped and over.dropped == over.done:
        return "cancelled"
    return "cached" if over.stored and over.stored == over.done else "completed"


def phases_ahead(titles: Sequence[str], *, over: bool) -> str:
    """The phases that a workflow announced, and that it has not come to."""
    names = ", ".join(one_line(title) for title in titles)
    return f"{'not reached' if over else 'to come'}: {names}"


def log_line(event: Logged) -> str:
    fields = " ".join(f"{name}={value}" for name, value in event.fields.items())
    return f"{event.message}  {fields}" if fields else event.message


def summary(
    over: Tally,
    *,
    paid_microusd: int | None,
    paid_tokens: int,
    oldest_stored_s: float | None,
    hint: bool = True,
) -> str:
    """The line that ends a run: what it did, what it paid, and how to do it all anew."""
    oldest = f" (oldest {figures.age(oldest_stored_s)})" if oldest_stored_s is not None and over.stored else ""
    if paid_microusd is None:
        paid = f"{figures.tokens(paid_tokens)} tokens paid, price unknown"
    else:
        paid = f"{figures.money(paid_microusd)} paid"
    parts = [
        f"{over.stored:,} from the store{oldest}",
        f"{over.live:,} live",
        counts_text(Tally(failed=over.failed, dropped=over.dropped)),
        paid,
    ]
    line = f"{figures.count(over.done, 'step')}: {', '.join(filter(None, parts))}"
    return f"{line}; --fresh runs all" if over.stored and hint else line
