"""One step of a past run as text: which model answered it, its attempts, prompt, turns and tool calls."""

from __future__ import annotations

import json
import shlex
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
    Shortened,
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
from .paint import Style, paint
from .sanitize import clean, one_line
from .stored import parsed, step_line
from .usage import makeup_line, makeup_sum, usage_line
from .words import status_word

_ARGUMENTS = 200  # columns of a tool call's arguments where they only name the call
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


def step_text(trace: StepTrace, *, colour: bool) -> str:
    """One step: its prompt, then every turn with its tool calls, then its answer."""
    step = trace.step
    parts = [_head(trace, colour=colour)]
    spec = spec_of(step)
    for name in ("system", "context", "prompt", "tool", "arguments", "schema"):
        if name in spec:
            text = _context(trace) or spec[name] if name == "context" else spec[name]
            parts += [_title(name, colour), _shown(text)]
    if files := given_files(spec, trace.turns):
        parts += [_title("files", colour), *file_lines(files)]
    calls: dict[int, list[ToolCall]] = {}
    for call in trace.tool_calls:
        calls.setdefault(call.turn, []).append(call)
    said = conversation(trace.turns)
    for turn in trace.turns:
        parts += _turn(turn, calls.pop(turn.number, []), _left_out(turn, said, trace.tool_calls), colour=colour)
    for left in calls.values():
        parts += [line for call in left for line in _call(call, colour=colour)]
    for title, lines in file_parts(trace.worktree, trace.edited, spec.get("merge"), colour=colour):
        parts += [_title(title, colour), *lines]
    if step.result is not None:
        parts += [_title("result", colour), _shown(parsed(step.result))]
    if step.fault is not None:
        name = fault_name(step.fault.type, step.fault.kind)
        error = paint(f"{name}: {clean(step.fault.message)}", Style.BAD, colour=colour)
        parts += [_title("error", colour), error, *_next_move(trace)]
    return "\n".join(parts)


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


def original(shortened: Shortened, said: Sequence[object]) -> Mapping[str, object]:
    """The message that was shortened, as it came; empty where the trace does not hold it."""
    message = said[shortened.message] if 0 <= shortened.message < len(said) else None
    return message if isinstance(message, dict) else {}


# ---------------------------------------------------------------- its head


def _answered_first(step: Step) -> str:
    if step.run_id.startswith(IMPORT_PREFIX):
        return f"imported ({one_line(step.run_id)}): `vibe cache show {one_line(step.id)}` says from which file"
    return f"answered first in run {one_line(step.run_id)}"


def _head(trace: StepTrace, *, colour: bool) -> str:
    step = trace.step
    head = step_line(
        f"step #{trace.number}",
        label=trace.label,
        phase=trace.phase,
        status=step.status.value,
        stored=trace.stored,
        model=trace.answered_by,
        line=trace.line,
        colour=colour,
    )
    lines = [head, usage_line(step.usage, calls=step.turns, colour=colour)]
    lines += filter(None, [makeup_line(makeup_sum([turn.makeup for turn in trace.turns]), "prompts")])
    lines += _model(trace, colour=colour)
    if trace.reason:
        lines.append(f"reuse: {one_line(trace.reason)}")
    if given := given_line(spec_of(step)):
        lines.append(given)
    if trace.stored:
        lines.append(_answered_first(step))
    return "\n".join([*lines, *_attempts(trace.attempts, colour=colour), *_waits(trace)])


def _model(trace: StepTrace, *, colour: bool) -> list[str]:
    """Which model was asked and why, which one answered, and the fallbacks in between."""
    asked = str(spec_of(trace.step).get("model") or trace.step.model)
    lines = []
    if trace.model_reason or asked != trace.answered_by:
        reason = f" ({one_line(trace.model_reason)})" if trace.model_reason else ""
        answered = f", {one_line(trace.answered_by)} answered" if asked != trace.answered_by and trace.turns else ""
        lines.append(f"model: asked {one_line(asked)}{reason}{answered}")
    return lines + [paint(f"fallback: {instead(event)}", Style.WARN, colour=colour) for event in trace.fallbacks]


def _attempts(attempts: Sequence[Attempt], *, colour: bool) -> list[str]:
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
    return [_attempt(group, follower, colour=colour) for group in alike]


def _end(attempt: Attempt) -> tuple[Fault | None, str]:
    return attempt.fault, attempt.model


def _attempt(group: Sequence[Attempt], follower: Mapping[int, Attempt | None], *, colour: bool) -> str:
    first, last = group[0], group[-1]
    number = f"attempt {first.number}" if first is last else f"attempts {first.number} to {last.number}"
    took = ", ".join(figures.duration(each.finished_at - each.started_at) for each in group[:_KEPT_TIMES])
    more = ", ..." if len(group) > _KEPT_TIMES else ""
    model = f" of {one_line(last.model)}" if last.model else ""
    line = f"{number}{model}: {status_word(last.status.value)} after {took}{more}"
    if last.fault is None:
        return line
    waits = [
        figures.duration(following.started_at - each.finished_at)
        for each in group[:_KEPT_TIMES]
        if (following := follower[each.number]) is not None
    ]
    waited = f"; then waited {', '.join(waits)}{more}" if waits else ""
    return paint(f"{line}, {one_line(fault_line(last.fault), LONGEST_ERROR)}{waited}", Style.BAD, colour=colour)


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


# ---------------------------------------------------------------- its turns


def _turn(turn: Turn, calls: Sequence[ToolCall], left_out: Sequence[str], *, colour: bool) -> list[str]:
    took = figures.duration(turn.finished_at - turn.started_at)
    head = f"turn {turn.number}  {one_line(turn.model)}  {one_line(turn.outcome)}  {took}"
    parts = ["", paint(head, Style.TITLE, colour=colour), f"  {usage_line(turn.usage, calls=1, colour=colour)}"]
    parts += [f"  {line}" for line in [makeup_line(turn.makeup)] if line]
    parts += [paint(f"  {line}", Style.WARN, colour=colour) for line in left_out]
    if turn.number > 1:
        # What the first turn was given is the prompt above, and tool outputs stand with their calls.
        parts += [f"> {line}" for line in _spoken(parsed(turn.input), but="tool")]
    parts += _spoken([parsed(turn.output)])
    if turn.error:
        parts.append(paint(clean(turn.error), Style.BAD, colour=colour))
    return parts + [line for call in calls for line in _call(call, colour=colour)]


def _left_out(turn: Turn, said: Sequence[object], calls: Sequence[ToolCall]) -> list[str]:
    """What a turn was sent without, so that its prompt fits the model."""
    if not turn.shortened:
        return []
    outputs = figures.count(len(turn.shortened), "old tool output")
    named = {call.call_id: call for call in calls}
    lines = [f"shortened to fit the context, from this turn on: {outputs}"]
    for each in turn.shortened:
        message = original(each, said)
        call = named.get(str(message.get("tool_call_id")))
        what = f"{call.name} {call.arguments}" if call is not None else f"message {each.message}"
        before = str(message.get("text", ""))
        lines.append(f"  {one_line(what, _ARGUMENTS)}: {len(each.text):,} of {len(before):,} characters kept")
    return lines


def _call(call: ToolCall, *, colour: bool) -> list[str]:
    took = figures.duration(call.finished_at - call.started_at)
    style = Style.LIVE if call.outcome == "ok" else Style.BAD
    head = paint(f"  {one_line(call.name)} {one_line(_arguments(call))}", style, colour=colour)
    lines = clean(call.output).splitlines()
    if call.whole:
        lines.append(f"[cut for the model: --json has all {len(call.whole):,} characters]")
    body = "\n".join(f"    {line}" for line in lines)
    head = f"{head}  {one_line(call.outcome)}  {took}"
    return [head, body] if body else [head]


def _arguments(call: ToolCall) -> str:
    """As they came; those of a command as a person would type them."""
    given = parsed(call.arguments)
    argv = given.get("argv") if isinstance(given, dict) and call.name == "run_command" else None
    if not isinstance(argv, list) or not all(isinstance(argument, str) for argument in argv):
        return call.arguments
    return shlex.join(argv)


def _spoken(messages: object, *, but: str = "") -> list[str]:
    """The text of messages; one that has none is left out."""
    lines: list[str] = []
    for message in messages if isinstance(messages, list) else [messages]:
        if isinstance(message, dict):
            text = message.get("text") or message.get("content")
            if message.get("role") != but and isinstance(text, str) and text:
                lines += clean(text).splitlines()
        elif isinstance(message, str):
            lines += clean(message).splitlines()
    return lines


def _title(name: str, colour: bool) -> str:
    return "\n" + paint(name, Style.TITLE, colour=colour)


def _shown(value: object) -> str:
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))
