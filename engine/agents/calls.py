"""Runs the tool calls of one reply: those that only read at the same time, others one by one, in order.

A tool that does not only read is a barrier: what stands before it is over when it begins, what comes after waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import assert_never

import trio
from msgspec import Struct
from msgspec.structs import replace

from ..errors import ToolDenied, ToolFailed
from ..model import JSON, Observation, StepId, ToolCall, ToolRequest
from ..ports import Along, CommandTool, EditingTool, Hands, Outcome, Record, Tool, ToolResult
from . import prompts
from .outputs import fitted
from .structured import parse_json

#: Calls of one reply that run at the same time: a model may ask for hundreds.
CALLS_AT_ONCE = 8


class _Said(Struct, frozen=True, kw_only=True):
    """What came of a call: the text for the model, and what the trace and reuse need to know."""

    text: str
    outcome: str = "ok"
    whole: str = ""
    observations: tuple[Observation, ...] = ()


class Calls(Struct, frozen=True, kw_only=True):
    """The tool calls of one turn. `answered` holds texts for calls, by id, that need no tool to be run.

    `over` holds calls by number that were made already. An edit joins them when it is done, and is never made again.
    Outputs are cut where they are longer than `most_chars` together.
    """

    step_id: StepId
    turn: int
    tools: Mapping[str, Tool]
    hands: Hands
    clock: Callable[[], float]
    answered: Mapping[str, str]
    most_chars: int
    over: dict[int, ToolCall]

    async def run(self, requests: Sequence[ToolRequest]) -> tuple[ToolCall, ...]:
        """Their results in the order of the requests. A tool's failure is a result; other errors are raised."""
        results: list[ToolCall] = []
        for together, members in groupby(requests, key=self._only_reads):
            work = [(len(results) + number, request) for number, request in enumerate(members, 1)]
            if together and len(work) > 1:
                results += await self._run_together(work)
            else:
                for number, request in work:
                    results.append(await self._run(number, request, results))
        texts = fitted([call.output for call in results], self.most_chars)
        return tuple(
            call if text is call.output else replace(call, output=text, whole=self._whole(call))
            for call, text in zip(results, texts, strict=True)
        )

    def _whole(self, call: ToolCall) -> str:
        """Of an output that is cut: what a tool that looks at the project gave, it gives again."""
        tool = self.tools.get(call.name)
        return call.whole if tool is None or tool.observes else call.whole or call.output

    def _only_reads(self, request: ToolRequest) -> bool:
        tool = self.tools.get(request.name)
        return tool is None or tool.observes or tool.group == "web"

    async def _run_together(self, work: Sequence[tuple[int, ToolRequest]]) -> list[ToolCall]:
        results: dict[int, ToolCall] = {}
        failures: list[Exception] = []
        slots = trio.Semaphore(CALLS_AT_ONCE)

        async def one(number: int, request: ToolRequest) -> None:
            async with slots:
                try:
                    results[number] = await self._run(number, request, ())
                except Exception as error:  # noqa: BLE001 - raised again below, bare: callers know errors by type
                    failures.append(error)
                    nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for number, request in work:
                nursery.start_soon(one, number, request)
        if failures:
            raise failures[0]
        return [results[number] for number, _ in work]

    async def _run(self, number: int, request: ToolRequest, before: Sequence[ToolCall]) -> ToolCall:
        """`before` are the calls of this turn that are over, where this one may edit."""
        if number in self.over:
            return self.over[number]
        started_at = self.clock()

        def call(said: _Said) -> ToolCall:
            return ToolCall(
                step_id=self.step_id,
                turn=self.turn,
                number=number,
                call_id=request.id,
                name=request.name,
                arguments=request.arguments,
                output=said.text,
                outcome=said.outcome,
                started_at=started_at,
                finished_at=self.clock(),
                observations=said.observations,
                whole=said.whole,
            )

        def along(result: ToolResult, seen: Sequence[Observation]) -> Sequence[Record]:
            return [*before, call(_Said(text=result.text, whole=result.whole, observations=tuple(seen)))]

        done = call(await self._said(request, along))
        if any(seen.change is not None for seen in done.observations):
            self.over[number] = done
        return done

    async def _said(self, request: ToolRequest, along: Along) -> _Said:
        if request.id in self.answered:
            return _Said(text=self.answered[request.id], outcome="error")
        tool = self.tools.get(request.name)
        if tool is None:
            return _Said(text=prompts.unknown_tool(request.name, list(self.tools)), outcome="error")
        try:
            arguments = parse_arguments(request.arguments)
        except ValueError as error:
            return _Said(text=prompts.bad_json(str(error)), outcome="error")
        outcome, seen = await self._come_of(tool, arguments, along)
        match outcome:
            case ToolResult():
                return _Said(text=outcome.text, whole=outcome.whole, observations=seen)
            case ToolFailed():
                return _Said(text=f"Error: {outcome.message}", outcome="error", observations=seen)
            case ToolDenied():
                return _Said(text=f"Denied: {outcome.message}", outcome="denied", observations=seen)
            case _ as unreachable:
                assert_never(unreachable)

    async def _come_of(
        self, tool: Tool, arguments: Mapping[str, JSON], along: Along
    ) -> tuple[Outcome, tuple[Observation, ...]]:
        if isinstance(tool, CommandTool):
            return await self.hands.command(tool, arguments, along)
        if isinstance(tool, EditingTool):
            outcome, seen = await self.hands.edit(tool, arguments, along)
        else:
            outcome, seen = await self.hands.look(tool, arguments, as_text=True)
        return outcome, () if seen is None else (seen,)


def parse_arguments(text: str) -> dict[str, JSON]:
    """A JSON object; no text at all is an empty one, as some providers send it. Raises ValueError."""
    value = parse_json(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value
