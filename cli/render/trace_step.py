"""One step of a past run as text: which model answered it, its attempts, prompt, turns and tool calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vibe_workflows.engine.edited import EditedFile, WorktreeFile
from vibe_workflows.engine.events import ContextShortened, StepFellBack, StepRetried
from vibe_workflows.engine.model import (
    IMPORT_PREFIX,
    Attempt,
    Fault,
    FinishReason,
    Run,
    RunStatus,
    Step,
    StepStatus,
    ToolCall,
    Turn,
)

from . import figures
from .edited_files import file_parts
from .faults import LONGEST_ERROR, fault_line, fault_name
from .given import file_lines, given_files, given_line
from .happenings import instead
from .paint import Style
from .sanitize import one_line
from .stored import parsed, step_line
from .trace_turns import Page, call_lines, turn_lines
from .usage import makeup_line, makeup_sum, usage_line
from .words import status_word

_SHORT = 200  # characters of an answer that may stand twice
_KEPT_TIMES = 5  # of attempts that ended alike
_KEPT = (FinishReason.STOP.value, FinishReason.TOOL_CALLS.value)  # outcomes whose answer stays in the conversation

#: What a step's trace shows of the events of its run.
STEP_EVENTS = (StepRetried, StepFellBack, ContextShortened)


class StepTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A step as one run saw it. `run` is that run, `events` are the step's own, from the run that did the work."""

    run: Run
    number: int
    label: str
    phase: str
    line: int
    stored: bool
    reason: str
    model_reason: str
    step: Step
    attempts: Sequence[Attempt]
    turns: Sequence[Turn]
    tool_calls: Sequence[ToolCall]
    events: Sequence[StepRetried | StepFellBack | ContextShortened]
    edited: Sequence[EditedFile] = ()
    worktree: Sequence[WorktreeFile] = ()

    @property
    def fallbacks(self) -> list[StepFellBack]:
        return [event for event in self.events if isinstance(event, StepFellBack)]

    @property
    def waits(self) -> list[StepRetried]:
        """Before another attempt, or within one for a rate limit to let the call through."""
        return [event for event in self.events if isinstance(event, StepRetried)]

    @property
    def answered_by(self) -> str:
        """The model of the last turn; without turns the one that was asked last."""
        asked = self.fallbacks[-1].model if self.fallbacks else self.step.model
        return self.turns[-1].model if self.turns else asked


def _context(trace: StepTrace) -> str:
    """The context as it was sent: the spec holds its digest only."""
    messages = parsed(trace.turns[0].input) if trace.turns else []
    for message in messages if isinstance(messages, list) else []:
        chars = message.get("context_chars") if isinstance(message, dict) else None
        if isinstance(chars, int) and isinstance(message["text"], str):
            return message["text"][:chars]
    return ""


def step_text(trace: StepTrace, *, width: int | None, colour: bool) -> str:
    """One step: its prompt, then every turn with its tool calls, then its answer."""
    page = Page(width=width, colour=colour)
    step = trace.step
    parts = _head(trace, page)
    spec = spec_of(step)
    for name in ("system", "context", "prompt", "tool", "arguments", "schema"):
        if name in spec:
            text = _context(trace) or spec[name] if name == "context" else spec[name]
            parts += [page.title(name), *page.value(text)]
    if files := given_files(spec, trace.turns):
        parts += [page.title("files"), *file_lines(files)]
    calls: dict[int, list[ToolCall]] = {}
    for call in trace.tool_calls:
        calls.setdefault(call.turn, []).append(call)
    said = conversation(trace.turns)
    for turn in trace.turns:
        parts += turn_lines(turn, calls.pop(turn.number, []), trace.tool_calls, said, page)
    for left in calls.values():
        parts += [line for call in left for line in call_lines(call, page)]
    for title, lines in file_parts(trace.worktree, trace.edited, spec.get("merge"), colour=colour):
        parts += [page.title(title), *lines]
    if step.result is not None:
        parts += [page.title("result"), *_result(trace, page)]
    if step.fault is not None:
        name = fault_name(step.fault.type, step.fault.kind)
        error = page.lines(f"{name}: {step.fault.message}", style=Style.BAD)
        parts += [page.title("error"), *error, *(line for move in _next_move(trace) for line in page.lines(move))]
    return "\n".join(parts)


def _result(trace: StepTrace, page: Page) -> list[str]:
    """Once is enough: most answers are what the last turn said, which stands above."""
    result = parsed(trace.step.result or "null")
    last = parsed(trace.turns[-1].output) if trace.turns else None
    if isinstance(result, str) and isinstance(last, dict) and last.get("text") == result and len(result) > _SHORT:
        return [f"what turn {trace.turns[-1].number} said"]
    return page.value(result)


def spec_of(step: Step) -> dict[str, object]:
    spec = parsed(step.spec)
    return spec if isinstance(spec, dict) else {}


def conversation(turns: Sequence[Turn]) -> list[object]:
    """The messages of a step in their order, as they were before any of them was shortened."""
    messages: list[object] = []
    for turn in turns:
        added = parsed(turn.input)
        messages += added if isinstance(added, list) else [added]
        if turn.outcome in _KEPT:
            messages.append(parsed(turn.output))
    return messages


# ---------------------------------------------------------------- its head


def _answered_first(step: Step) -> str:
    if step.run_id.startswith(IMPORT_PREFIX):
        return f"imported ({one_line(step.run_id)}): `vibe cache show {one_line(step.id)}` says from which file"
    return f"answered first in run {one_line(step.run_id)}"


def _head(trace: StepTrace, page: Page) -> list[str]:
    step = trace.step
    head = step_line(
        f"step #{trace.number}",
        label=trace.label,
        phase=trace.phase,
        status=step.status.value,
        stored=trace.stored,
        model=trace.answered_by,
        line=trace.line,
        colour=page.colour,
    )
    lines = [head, usage_line(step.usage, calls=step.turns, colour=page.colour)]
    lines += filter(None, [makeup_line(makeup_sum([turn.makeup for turn in trace.turns]), "prompts")])
    lines += _model(trace, page)
    if trace.reason:
        lines += page.lines(f"reuse: {one_line(trace.reason)}", indent=2)
    if given := given_line(spec_of(step)):
        lines += page.lines(given, indent=2)
    if trace.stored:
        lines.append(_answered_first(step))
    waits = [part for line in _waits(trace) for part in page.lines(line, indent=2)]
    return [*lines, *_attempts(trace.attempts, page), *waits]


def _model(trace: StepTrace, page: Page) -> list[str]:
    """Which model was asked and why, which one answered, and the fallbacks in between."""
    asked = str(spec_of(trace.step).get("model") or trace.step.model)
    lines = []
    if trace.model_reason or asked != trace.answered_by:
        reason = f" ({one_line(trace.model_reason)})" if trace.model_reason else ""
        answered = f", {one_line(trace.answered_by)} answered" if asked != trace.answered_by and trace.turns else ""
        lines += page.lines(f"model: asked {one_line(asked)}{reason}{answered}", indent=2)
    for event in trace.fallbacks:
        lines += page.lines(f"fallback: {instead(event)}", indent=2, style=Style.WARN)
    return lines


def _attempts(attempts: Sequence[Attempt], page: Page) -> list[str]:
    """One line an attempt, or for attempts in a row that ended alike; none where the only one was good."""
    if len(attempts) < 2 and all(attempt.fault is None for attempt in attempts):
        return []
    alike: list[list[Attempt]] = []
    for attempt in attempts:
        before = alike[-1][-1] if alike else None
        if before is not None and before.fault is not None and _end(attempt) == _end(before):
            alike[-1].append(attempt)
        else:
            alike.append([attempt])
    after = [*attempts[1:], None]
    follower = {attempt.number: following for attempt, following in zip(attempts, after, strict=True)}
    return [line for group in alike for line in _attempt(group, follower, page)]


def _end(attempt: Attempt) -> tuple[Fault | None, str]:
    return attempt.fault, attempt.model


def _attempt(group: Sequence[Attempt], follower: Mapping[int, Attempt | None], page: Page) -> list[str]:
    first, last = group[0], group[-1]
    number = f"attempt {first.number}" if first is last else f"attempts {first.number} to {last.number}"
    took = ", ".join(figures.duration(each.finished_at - each.started_at) for each in group[:_KEPT_TIMES])
    more = ", ..." if len(group) > _KEPT_TIMES else ""
    model = f" of {one_line(last.model)}" if last.model else ""
    line = f"{number}{model}: {status_word(last.status.value)} after {took}{more}"
    if last.fault is None:
        return page.lines(line, indent=2)
    waits = [
        figures.duration(following.started_at - each.finished_at)
        for each in group[:_KEPT_TIMES]
        if (following := follower[each.number]) is not None
    ]
    waited = f"; then waited {', '.join(waits)}{more}" if waits else ""
    error = one_line(fault_line(last.fault), LONGEST_ERROR)
    return page.lines(f"{line}, {error}{waited}", indent=2, style=Style.BAD)


def _waits(trace: StepTrace) -> list[str]:
    """How long a step waited to be let through, and why, where the waits between attempts were not all."""
    waits = trace.waits
    if len(waits) < max(len(trace.attempts), 1):
        return []
    times = figures.count(len(waits), "time")
    whole = figures.duration(sum(each.wait_s for each in waits))
    return [f"waited {times}, {whole} at most; the last time after: {one_line(waits[-1].error, LONGEST_ERROR)}"]


def _next_move(trace: StepTrace) -> list[str]:
    """For a failed step: what its message does not say."""
    if trace.step.status not in (StepStatus.FAILED, StepStatus.TIMED_OUT):
        return []
    if trace.run.status in (RunStatus.COMPLETED, RunStatus.RUNNING, RunStatus.PENDING):
        return ["the run went on without it; `vibe run` of the same file and arguments tries it again"]
    return [f"to try it again: `vibe resume {trace.run.id}`"]
