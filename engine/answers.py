"""What the child is told of its calls: answers, errors, and when to hand over what it holds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .journal import usage_json
from .keys import canonical_json
from .model import Fault, StepId, Usage
from .ports import AnswerSink


class Answers:
    """To one script. `clock` is that of its seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.stored = 0  # answers from the store, which the child holds until it is told to hand them over
        self._clock = clock
        self._started_at = clock()
        self._sink: AnswerSink | None = None

    def started(self, sink: AnswerSink) -> None:
        self._sink = sink

    def give(self, number: int, value: bytes, usage: Usage, *, order: int | None) -> None:
        self._to_child.answer(
            number,
            value,
            order=order,
            tokens=usage.tokens,
            microusd=usage.cost_microusd or 0,
            seconds=self._clock() - self._started_at,
        )

    def fail(self, number: int, fault: Fault, usage: Usage, *, steps: int) -> None:
        self._to_child.fault(
            number,
            fault.type,
            fault.message,
            fault.kind,
            fault.fields,
            tokens=usage.tokens,
            microusd=usage.cost_microusd or 0,
            steps=steps,
            seconds=self._clock() - self._started_at,
        )

    def hand_over(self, last_call: int) -> None:
        """Let the script have stored answers, up to the next one that it asks something after. `last_call` was seen."""
        self._to_child.go(last_call)

    @property
    def _to_child(self) -> AnswerSink:
        assert self._sink is not None, "the child has started"
        return self._sink


def detailed(value: bytes, usage: Usage, turns: int, model: str, step: StepId, *, cached: bool) -> bytes:
    """The answer of a step with `detail=True`: the fields of StepResult."""
    return canonical_json(
        {
            "value": msgspec.Raw(value),
            "patch": None,
            "files": [],
            "usage": usage_json(usage),
            "turns": turns,
            "model": model,
            "step": step,
            "cached": cached,
        }
    )
