"""The errors that end an agent's work without an answer, each with what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ProviderError, Refused, SchemaMismatch, Truncated, TurnLimit
from ..model import Message, Turn
from .task import AgentTask

_SHOWN_PROBLEMS = 3
_PROBLEM_CHARS = 200
_SHOWN_CHARS = 500

#: Characters of an answer that did not fit, for a script that wants to do something with it.
_KEPT_CHARS = 20_000


def turn_limit(task: AgentTask, turns: int) -> TurnLimit:
    return TurnLimit(
        f"no answer after {turns} turns (max_turns={task.max_turns}); "
        "raise max_turns=, or give the agent a narrower task"
    )


def truncated(task: AgentTask, turn: Turn, message: Message, limit: int | None) -> Truncated:
    """`limit` is what the model gives at most, where that is less than the task's max_tokens."""
    used = turn.usage
    where = "in the middle of a tool call" if message.tool_requests else ""
    if not message.text.strip() and not message.tool_requests:
        where = "before it began" + (f", with {used.reasoning_tokens:,} for thinking" if used.reasoning_tokens else "")
    bound, mend = f"max_tokens={task.max_tokens:,}", "raise max_tokens=, or ask"
    if limit is not None:
        bound, mend = f"{turn.model} gives at most {limit:,}", "choose a model that gives more, or ask"
    return Truncated(
        f"the answer was cut off {f'{where}, ' if where else ''}after {used.output_tokens:,} tokens ({bound}); "
        f"{mend} for less at once"
    )


def filtered() -> Refused:
    return Refused("the provider's content filter stopped the answer; rephrase the prompt or context")


def empty() -> ProviderError:
    return ProviderError("the model answered with nothing, twice in a row", retryable=True)


def mismatch(message: Message, problems: Sequence[str], corrections: int) -> SchemaMismatch:
    """`message` is the last answer. Its fields hold all problems and more of the answer than the message shows."""
    came = message.text or "; ".join(request.arguments for request in message.tool_requests)
    after = f"after {corrections} correction{'s' * (corrections > 1)}"
    after = after if corrections else "and max_turns leaves no turn to correct it"
    shown = [problem[:_PROBLEM_CHARS] for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > _SHOWN_PROBLEMS:
        shown.append(f"and {len(problems) - _SHOWN_PROBLEMS} more")
    return SchemaMismatch(
        f"the answer does not fit the schema, {after}: {'; '.join(shown)}; it was: {came[:_SHOWN_CHARS]}",
        problems=problems,
        answer=came[:_KEPT_CHARS],
        corrections=corrections,
    )
