"""litellm itself, seen from the asyncio island. Imported on the first live call, together with litellm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import httpx
from msgspec.structs import replace

from ..errors import AgentError, ContextTooLong, ProviderError, SetupError, StepFault
from ..model import ModelInfo, ModelReply, ModelRequest, Role, Usage
from .litellm import LitellmSettings
from .litellm_errors import Place, typed_error
from .litellm_models import MICRO, Target, resolve
from .litellm_replies import SIGNED, ReplyBuilder, reported_usage
from .litellm_setup import AsyncHTTPHandler, litellm, map_finish_reason
from .litellm_streams import read_stream
from .litellm_wire import request_arguments
from .message_parts import check_files

#: Finish reasons with which gateways tell of a failure in mid-answer; litellm takes them for "stop".
_BROKEN_OFF: Final = frozenset({"error", "ERROR", "network_error", "MALFORMED_RESPONSE"})
#: Anthropic's least; an answer that is to be shorter cannot be thought about.
_LEAST_THINKING: Final = 1024

_responses: ContextVar[list[httpx.Response]] = ContextVar("litellm_responses")


async def _note(response: httpx.Response) -> None:
    _responses.get([]).append(response)


class LitellmClient:
    """All that the backend asks of litellm. `complete` and `close` are for the island, the rest for any thread."""

    def __init__(self, settings: LitellmSettings, *, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._targets: dict[str, Target] = {}
        # Constant, because litellm keeps one client with its connections per value; `complete` has the real limit.
        self._timeout = httpx.Timeout(settings.silence_s, connect=settings.connect_s)
        self._http: Any = None

    def info(self, model: str) -> ModelInfo:
        return self._target(model).info

    def _target(self, model: str) -> Target:
        target = self._targets.get(model)
        if target is None:
            target = self._targets[model] = resolve(model, self._settings)
        return target

    # ------------------------------------------------------------ on the island

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None]) -> ModelReply:
        """One streamed call. However it ends, its connection is closed or back in the pool when this returns."""
        target = self._target(request.model)
        check_files(request, target.info)
        arguments = {**self._arguments(request, target), **target.address()}
        responses: list[httpx.Response] = []
        _responses.set(responses)  # of this call alone: each runs in a context of its own
        answering = False
        try:
            async with asyncio.timeout(request.timeout_s):
                stream = await litellm.acompletion(**arguments)
                answering = True
                try:
                    return await self._collect(request, target, stream, responses, on_text)
                finally:
                    await stream.aclose()
        except StepFault:
            raise
        except Exception as error:
            raise typed_error(
                error, target.place, timeout_s=request.timeout_s, now=self._now(), answering=answering
            ) from error
        finally:
            for response in responses:
                await response.aclose()

    def _arguments(self, request: ModelRequest, target: Target) -> dict[str, Any]:
        arguments = request_arguments(request, target.dialect)
        # One call is one request: retries are the engine's, which counts and records each.
        arguments |= {"timeout": self._timeout, "max_retries": 0, "num_retries": 0}
        if target.place.anthropic:
            arguments["client"] = self._anthropic_client()
        if request.effort is None:
            return arguments
        if target.takes_effort:
            arguments |= _effort(request, target)
        elif target.listed is None:
            # Nobody knows this model, so its server decides. A known model that cannot think goes without.
            arguments |= {"reasoning_effort": request.effort, "allowed_openai_params": ["reasoning_effort"]}
        return arguments

    def _anthropic_client(self) -> Any:
        """A client of our own: litellm's shared one is never closed, and hides the answer that its reader reads."""
        if self._http is None:
            self._http = AsyncHTTPHandler(timeout=self._timeout, event_hooks={"response": [_note]})
        return self._http

    async def _collect(
        self,
        request: ModelRequest,
        target: Target,
        stream: Any,
        responses: list[httpx.Response],
        on_text: Callable[[str], None],
    ) -> ModelReply:
        building = ReplyBuilder(keep_reasoning=target.dialect.reasoning_content)
        ended = await read_stream(stream, responses[-1] if responses else None, building, on_text)
        fault = _fault_of(ended.finish, target.place)
        if fault is not None:
            raise fault
        return building.reply(
            finish=map_finish_reason(ended.finish),
            usage=self._priced(ended.usage, target),
            model=request.model,
            turn=len(request.messages),
        )

    def _priced(self, usage: Any, target: Target) -> Usage | None:
        counted = reported_usage(usage)
        if counted is None or target.listed is None:
            return counted
        try:
            prompt, completion = litellm.cost_per_token(
                model=target.bare, custom_llm_provider=target.provider, usage_object=usage
            )
        except Exception:  # noqa: BLE001 - it raises bare Exceptions; a paid answer must not be lost for its price
            return counted
        return replace(counted, cost_microusd=round((prompt + completion) * MICRO))

    async def close(self) -> None:
        """Close all connections. litellm makes new ones when it is called again."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()


def _fault_of(finish: str | None, place: Place) -> AgentError | None:
    """The error that a finish reason means, where it means that what came is no answer."""
    if finish is None or finish in _BROKEN_OFF:
        # litellm would call it "stop", and half an answer would pass for a whole one.
        return ProviderError(f"{place}: the answer ended before it was finished", retryable=True)
    if finish == "pause_turn":
        return ProviderError(f"{place}: the model paused in the middle of its answer", retryable=True)
    if finish == "model_context_window_exceeded":
        return ContextTooLong(
            f"{place}: prompt and answer together fill the context of the model; send less, or choose a model that "
            "takes more"
        )
    return None


def _effort(request: ModelRequest, target: Target) -> dict[str, Any]:
    """`effort` in litellm's words. A Claude that thinks with a budget gets one that Anthropic does not refuse."""
    asked = {"reasoning_effort": request.effort}
    if not target.dialect.thinking_blocks:
        return asked
    mapped = litellm.AnthropicConfig().map_openai_params(asked, {}, target.bare, drop_params=False)
    budget = mapped.get("thinking", {}).get("budget_tokens")
    if budget is None:
        return asked
    if _begun_without_thinking(request):
        return {}
    if budget < request.max_tokens:
        return asked
    if request.max_tokens <= _LEAST_THINKING:
        raise SetupError(
            f"{target.place}: it thinks with {_LEAST_THINKING:,} tokens at least, and max_tokens is "
            f"{request.max_tokens:,}; raise max_tokens=, or leave effort= out"
        )
    return {"thinking": {"type": "enabled", "budget_tokens": max(_LEAST_THINKING, request.max_tokens // 2)}}


def _begun_without_thinking(request: ModelRequest) -> bool:
    """Whether tools were called by a model that signed no thinking: no other one can take over its turn and think."""
    said = [message for message in request.messages if message.role is Role.ASSISTANT]
    called = any(message.tool_requests for message in said)
    return called and not any(block.get("type") in SIGNED for message in said for block in message.thinking)
