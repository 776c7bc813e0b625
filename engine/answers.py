"""What the child is told of its calls: answers, errors, and when to hand over what it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from .journal import usage_json
from .keys import canonical_json
from .model import NO_USAGE, Fault, Observation, StepId, Usage
from .ports import AnswerSink

#: The rank of what needs no look-up; those of stored answers are above 0.
FIRST = -1


class Answers:
    """To one script. `clock` is that of its seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        #: Answers from the store, and refusals, which the child holds until it is told to hand them over.
        self.stored = 0
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

    def refuse(self, number: int, fault: Fault) -> None:
        """A call that became no step. The script hears of it before anything else, and before a live step starts."""
        self.stored += 1
        self.fail(number, fault, NO_USAGE, steps=0, order=FIRST)

    def fail(self, number: int, fault: Fault, usage: Usage, *, steps: int, order: int | None = None) -> None:
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
            order=order,
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
