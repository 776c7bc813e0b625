"""The turns of a step as text: what was said, which tools were called, and what they gave."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from vibe_workflows.engine.model import Shortened, ToolCall, Turn

from . import figures
from .paint import Style, paint
from .sanitize import cell_width, clean, folded, one_line
from .stored import parsed
from .usage import makeup_line, usage_line

_ARGUMENTS = 200  # columns of a tool call's arguments where they only name the call
_MOST_LINES = 12  # of arguments that have lines of their own


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What text is written on: on a terminal lines are broken between words, elsewhere they stay as they are."""

    width: int | None
    colour: bool

    def title(self, name: str) -> str:
        return "\n" + paint(name, Style.TITLE, colour=self.colour)

    def lines(self, text: str, *, indent: int = 0, style: Style = Style.PLAIN) -> list[str]:
        """The clean text; a line that is broken goes on as it began, and `indent` further in."""
        parts = clean(text).split("\n")
        if self.width is not None:
            parts = [part for line in parts for part in folded(line.expandtabs(), self.width, indent=indent)]
        return [paint(part, style, colour=self.colour) for part in parts]

    def value(self, value: object) -> list[str]:
        return self.lines(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2))


def original(shortened: Shortened, said: Sequence[object]) -> Mapping[str, object]:
    """The message that was shortened, as it came; empty where the trace does not hold it."""
    message = said[shortened.message] if 0 <= shortened.message < len(said) else None
    return message if isinstance(message, dict) else {}


def turn_lines(
    turn: Turn, calls: Sequence[ToolCall], all_calls: Sequence[ToolCall], said: Sequence[object], page: Page
) -> list[str]:
    """One turn with its tool calls. `said` is the conversation of the step, as it was before it was shortened."""
    took = figures.duration(turn.finished_at - turn.started_at)
    head = f"turn {turn.number}  {one_line(turn.model)}  {one_line(turn.outcome)}  {took}"
    parts = ["", *page.lines(head, style=Style.TITLE), f"  {usage_line(turn.usage, calls=1, colour=page.colour)}"]
    parts += [f"  {line}" for line in [makeup_line(turn.makeup)] if line]
    for line in _left_out(turn, said, all_calls):
        parts += page.lines(f"  {line}", indent=2, style=Style.WARN)
    if turn.number > 1:
        # What the first turn was given is the prompt above, and tool outputs stand with their calls.
        parts += [
            line for told in _spoken(parsed(turn.input), but="tool") for line in page.lines(f"> {told}", indent=2)
        ]
    parts += [line for told in _spoken([parsed(turn.output)]) for line in page.lines(told)]
    if turn.error:
        parts += page.lines(turn.error, style=Style.BAD)
    return parts + [line for call in calls for line in call_lines(call, page)]


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


def call_lines(call: ToolCall, page: Page) -> list[str]:
    """A tool call with its arguments, below it where they are long, and what it gave."""
    took = figures.duration(call.finished_at - call.started_at)
    style = Style.LIVE if call.outcome == "ok" else Style.BAD
    name, arguments = f"  {one_line(call.name)}", one_line(_arguments(call))
    ending = f"  {one_line(call.outcome)}  {took}"
    below: list[str] = []
    if page.width is not None and cell_width(f"{name} {arguments}{ending}") > page.width:
        below = page.lines(f"    with {arguments}", indent=2)
        if len(below) > _MOST_LINES:
            below = [*below[: _MOST_LINES - 1], "      [cut here: --json has all arguments]"]
        arguments = ""
    head = paint(name, style, colour=page.colour) + f" {arguments}".rstrip() + ending
    lines = clean(call.output).splitlines()
    if call.whole:
        lines.append(f"[cut for the model: --json has all {len(call.whole):,} characters]")
    return [head, *below, *(part for line in lines for part in page.lines(f"    {line}", indent=2))]


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
