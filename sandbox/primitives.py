"""The primitives, as a script calls them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .blocks import Budget, PhaseBlock
from .channel import NotJson, encode
from .facades.hints import Hint
from .fanout import FanOut, claimed_elements, pipeline_elements
from .names import HINTS
from .options import FAN_OUT_OPTIONS, PHASE_OPTIONS, RACE_OPTIONS, checked, checked_agent
from .race import Race
from .script_errors import ERRORS, misuse
from .steps import Step, Work
from .trampoline import Trampoline
from .values import StepResult
from .wire import MAX_LOG, MESSAGE_CHARS

_MESSAGE_CHARS = MESSAGE_CHARS - 1
_FIELD_CHARS = 500
_FIELDS_CHARS = MAX_LOG // 8  # a character takes six bytes at most
_MERGEABLE = 'the result of agent(..., isolation="worktree", merge="manual", detail=True)'


class Primitives:
    """One instance serves one script; its public methods are what scripts call."""

    def __init__(self, trampoline: Trampoline, *, now: float, has_model: bool) -> None:
        self._trampoline = trampoline
        self._now = datetime.fromtimestamp(now, UTC)
        self._has_model = has_model
        self.budget = Budget(trampoline)

    # ------------------------------------------------------------ steps

    def agent(self, /, prompt: Any, *more: Any, **options: Any) -> Step:
        if more:
            raise misuse("agent takes one prompt, and all else by name: agent(prompt, label=...)")
        if not isinstance(prompt, str):
            raise misuse(f"agent: the prompt is a string, not a value of type {type(prompt).__name__}")
        params = checked_agent(options)
        params["prompt"] = prompt
        return self._step("agent", params, detail=params.get("detail", False))

    def tool(self, name: Any, /, *more: Any, **arguments: Any) -> Step:
        if more:
            raise misuse('tool takes its arguments by name: tool("grep", pattern="TODO")')
        if not isinstance(name, str) or not name:
            raise misuse('tool: the first argument is the name of a tool, such as tool("grep", pattern="TODO")')
        return self._step("tool", {"name": name, "arguments": arguments})

    def merge(self, result: Any, /, *more: Any, **options: Any) -> Step:
        if more or options:
            raise misuse("merge takes one result and nothing else; call it once for each: await merge(result)")
        if isinstance(result, Work):
            raise misuse("merge takes a result, not a step: await the step first, merge(await agent(...))")
        if not isinstance(result, StepResult):
            raise misuse(f"merge takes {_MERGEABLE}, not a value of type {type(result).__name__}")
        if result._merge != "manual":
            why = "is merged by itself" if result._merge else "did not work in a worktree"
            raise misuse(f"merge takes {_MERGEABLE}; the step of this one {why}")
        return self._step("merge", {"step": result.step})

    def _step(self, method: str, params: dict[str, Any], *, detail: bool = False) -> Step:
        try:
            text = encode(params, method)
        except NotJson as error:
            raise misuse(f"{error}; only JSON values can be passed on") from None
        trampoline = self._trampoline
        return Step(trampoline.current, trampoline.sites.here(3), method, text, detail)

    # ------------------------------------------------------------ fan-outs

    def parallel(self, /, steps: Any, *more: Any, **options: Any) -> FanOut:
        if more:
            raise misuse("parallel takes one list or generator: put the steps into a list, parallel([first, second])")
        trampoline = self._trampoline
        given = checked("parallel", FAN_OUT_OPTIONS, options)
        site = trampoline.sites.here()
        return FanOut("parallel", trampoline.current, site, claimed_elements("parallel", steps, site), **given)

    def pipeline(self, /, items: Any, *stages: Any, **options: Any) -> FanOut:
        trampoline = self._trampoline
        given = checked("pipeline", FAN_OUT_OPTIONS, options)
        elements = pipeline_elements(trampoline.sites, items, stages)
        return FanOut("pipeline", trampoline.current, trampoline.sites.here(), elements, **given)

    def race(self, /, steps: Any, *more: Any, **options: Any) -> Race:
        if more:
            raise misuse("race takes one list or generator: put the steps into a list, race([first, second])")
        trampoline = self._trampoline
        given = checked("race", RACE_OPTIONS, options)
        site = trampoline.sites.here()
        return Race(trampoline.current, site, claimed_elements("race", steps, site), **given)

    # ------------------------------------------------------------ scopes and the rest

    def phase(self, /, title: Any, **options: Any) -> PhaseBlock:
        if not isinstance(title, str) or not title.strip():
            raise misuse('phase: the title is a string that is not empty, such as phase("Review")')
        given = checked("phase", PHASE_OPTIONS, options)
        task = self._trampoline.current
        self._trampoline.open_pending_phase(task)
        phase = PhaseBlock(self._trampoline, given.get("budget"), title, given.get("model"))
        task.pending_phase = phase
        return phase

    def log(self, /, *values: Any, **fields: Any) -> None:
        self._log(" ".join(map(_text, values)), {name: _field(value) for name, value in fields.items()})

    def print(self, *values: Any, sep: Any = " ", end: Any = None, flush: Any = None) -> None:
        """Goes to the log; `end` and `flush` have no meaning there."""
        separator = sep if isinstance(sep, str) else " "
        self._log(separator.join(map(_text, values)), {})

    def _log(self, message: str, fields: dict[str, Any]) -> None:
        trampoline = self._trampoline
        if len(message) > _MESSAGE_CHARS:
            message = f"{message[: _MESSAGE_CHARS - 1]}…"
        frame: dict[str, Any] = {
            "t": "log",
            "scope": trampoline.scope_of(trampoline.current).id,
            "line": trampoline.sites.here().line,
            "message": message,
        }
        if fields:
            size = len(encode(fields, ""))
            frame["fields"] = fields if size < _FIELDS_CHARS else {"left_out": f"{size:,} characters of fields"}
        trampoline.channel.send(frame)

    def now(self) -> datetime:
        return self._now

    def has_model(self) -> bool:
        return self._has_model

    # ------------------------------------------------------------ names

    def names(self) -> dict[str, Any]:
        """What a script has in scope, and may import from vibe_workflows.script."""
        return {
            "agent": self.agent,
            "parallel": self.parallel,
            "pipeline": self.pipeline,
            "race": self.race,
            "phase": self.phase,
            "budget": self.budget,
            "log": self.log,
            "tool": self.tool,
            "merge": self.merge,
            "now": self.now,
            "has_model": self.has_model,
            **ERRORS,
        }


for _method in (
    *(Primitives.agent, Primitives.parallel, Primitives.pipeline, Primitives.phase, Primitives.tool),
    *(Primitives.merge, Primitives.race),
):
    _method.__qualname__ = _method.__name__  # as errors of the interpreter name it

#: Types that a script may import for its annotations and has no other use for.
ANNOTATIONS = {name: Hint(name) for name in HINTS}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - too deep, or a number of thousands of digits
        return f"<a value of type {type(value).__name__}: {type(error).__name__}>"


def _field(value: Any) -> Any:
    """A value of `log`: as it is where JSON can hold it, else as text."""
    try:
        encode(value, "")
    except NotJson:
        text = _text(value)
        return text if len(text) <= _FIELD_CHARS else f"{text[: _FIELD_CHARS - 1]}…"
    return value
