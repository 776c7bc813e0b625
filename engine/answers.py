"""What the child is told of its calls: answers, errors, and when to hand over what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from .journal import usage_json
from .keys import canonical_json
from .model import Fault, Observation, StepId, Usage
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


class Answering(Protocol):
    """A completed step, whether it has just run or comes from the store."""

    @property
    def id(self) -> StepId: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def turns(self) -> int: ...
    @property
    def model(self) -> str: ...
    @property
    def patch(self) -> str | None: ...
    @property
    def observations(self) -> tuple[Observation, ...]: ...


def detailed(value: bytes, step: Answering, merge: str, *, cached: bool) -> bytes:
    """The answer of a step with `detail=True`: the fields of StepResult. `merge` is that of its spec."""
    return canonical_json(
        {
            "value": msgspec.Raw(value),
            "patch": step.patch,
            "files": changed_files(step.observations),
            "usage": usage_json(step.usage),
            "turns": step.turns,
            "model": step.model,
            "step": step.id,
            "cached": cached,
            "merge": merge,
        }
    )


def changed_files(observations: Sequence[Observation]) -> list[str]:
    """What a step changed, in the project or in a worktree: each path once, in the order of the first changes."""
    return list(dict.fromkeys(seen.change.path for seen in observations if seen.change is not None))
