"""A model made of a function: for tests and benchmarks, on a real or a fake clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from ..model import FinishReason, ModelInfo, ModelReply, ModelRequest, Usage
from .estimate import request_tokens, text_tokens

#: What a script gives for a request: a reply, its text, or the error of the call.
Scripted: TypeAlias = ModelReply | str | Exception
Script: TypeAlias = Callable[[ModelRequest], "Scripted | Awaitable[Scripted]"]

_INFO = ModelInfo(input_price=1.0, output_price=2.0, native_schema=True)


class ScriptedBackend:
    """Answers each request with what `script` returns or raises for it, `latency_s` later.

    A plain text becomes a reply with finish STOP, estimated tokens and the price of `info`. `requests` holds every
    request in order of arrival; `in_flight` and `peak` count the calls at the same time.
    """

    def __init__(
        self, script: Script, *, latency_s: float = 0.0, info: ModelInfo = _INFO, name: str = "scripted"
    ) -> None:
        self._script = script
        self._latency_s = latency_s
        self._info = info
        self._name = name
        self.requests: list[ModelRequest] = []
        self.in_flight = 0
        self.peak = 0
        self.closed = False

    @property
    def name(self) -> str:
        return self._name

    async def info(self, model: str) -> ModelInfo:
        return self._info

    async def count_tokens(self, request: ModelRequest) -> int:
        return request_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        self.requests.append(request)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await trio.sleep(self._latency_s)
            answer = self._script(request)
            given = await answer if isinstance(answer, Awaitable) else answer
        finally:
            self.in_flight -= 1
        if isinstance(given, Exception):
            raise given
        reply = self._reply(request, given) if isinstance(given, str) else given
        if on_text is not None and reply.text:
            on_text(reply.text)
        return reply

    def _reply(self, request: ModelRequest, text: str) -> ModelReply:
        asked, answered = request_tokens(request), text_tokens(text)
        cost = None
        if self._info.input_price is not None and self._info.output_price is not None:
            cost = round(asked * self._info.input_price + answered * self._info.output_price)
        usage = Usage(input_tokens=asked, output_tokens=answered, cost_microusd=cost)
        return ModelReply(text=text, finish=FinishReason.STOP, usage=usage, model=request.model)

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()
