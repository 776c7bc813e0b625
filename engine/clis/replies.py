"""From what a program printed to the reply of a turn, or the error that it ends with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ..errors import StepFault, Timeout
from ..model import Usage
from ..ports import CommandEnd, Job
from .description import AgentCli
from .failures import failure_of, garbage
from .readings import MAX_LINES, Document, documents_of, number_at, text_at

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
_TAIL_BYTES: Final = 2_000


class Came(Struct, frozen=True, kw_only=True):
    """What came of a turn: an answer, or an error. `usage` is None where the program did not say."""

    usage: Usage | None
    answer: str = ""
    error: StepFault | None = None


def came_of(agent: AgentCli, model: str, job: Job, end: CommandEnd) -> Came:
    documents = documents_of(end.stdout, lines=agent.lines)
    # Some tell of their failure on the other stream; an answer never stands there.
    failing = documents or documents_of(end.stderr[-65_536:], lines=False)
    usage = _usage(agent, documents)
    answer = text_at(documents, agent.answer)
    if end.timed_out:
        error: StepFault | None = Timeout(f"{model}: `{agent.program}` was still at work after {job.timeout_s:,.0f} s")
    elif end.exit_code != 0 or any(text_at(failing, reading) for reading in agent.failed):
        error = failure_of(agent, model, _said(agent, failing, end), end.exit_code, _how(end))
    else:
        error = _unreadable(agent, model, end, documents, answer)
    if error is not None:
        return Came(usage=usage, error=error)
    return Came(usage=usage, answer=answer or "")


def _unreadable(
    agent: AgentCli, model: str, end: CommandEnd, documents: Sequence[Document], answer: str | None
) -> StepFault | None:
    if end.stdout_dropped:
        return garbage(agent, model, f"{len(end.stdout) + end.stdout_dropped:,} bytes of output, too many to be read")
    if not documents:
        lines = end.stdout.count(b"\n")
        return garbage(agent, model, f"{lines:,} lines, too many" if lines > MAX_LINES else "no JSON")
    if answer is None:
        return garbage(agent, model, f"JSON without an answer at `{agent.answer}`")
    if len(answer.encode("utf-8", "replace")) > MAX_ANSWER_BYTES:
        return garbage(agent, model, f"an answer of {len(answer):,} characters, which is too long")
    return None


def _how(end: CommandEnd) -> str:
    if end.exit_code is None:
        return "was killed by a signal"
    return f"ended with exit code {end.exit_code}" if end.exit_code else "failed"


def _said(agent: AgentCli, documents: Sequence[Document], end: CommandEnd) -> str:
    said = [text for reading in agent.errors if (text := text_at(documents, reading))]
    if said:
        return ": ".join(dict.fromkeys(said))
    stream = end.stderr.strip() or end.stdout.strip()
    return stream[-_TAIL_BYTES:].decode("utf-8", "replace")


def _usage(agent: AgentCli, documents: Sequence[Document]) -> Usage | None:
    counts = {
        name: round(number_at(documents, agent.usage.get(name, ())) or 0)
        for name in ("input", "output", "cached", "cache_write", "reasoning")
    }
    cost = number_at(documents, agent.usage.get("cost_usd", ()))
    if not counts["input"] and not counts["output"]:
        return None
    return Usage(
        input_tokens=counts["input"],
        output_tokens=counts["output"],
        cached_tokens=min(counts["cached"], counts["input"]),
        cache_write_tokens=min(counts["cache_write"], counts["input"]),
        reasoning_tokens=min(counts["reasoning"], counts["output"]),
        cost_microusd=None if cost is None else round(cost * 1_000_000),
    )
