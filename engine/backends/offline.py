"""Answers without a model: no key, no network, the same answer for the same request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from ..errors import SetupError
from ..model import FinishReason, ModelInfo, ModelReply, ModelRequest, Role, Usage
from .estimate import request_tokens, text_tokens
from .schema_values import small_value

MODEL: Final = "offline"
MARK: Final = "[offline]"

_ECHO_CHARS: Final = 160
_INFO: Final = ModelInfo(input_price=0.0, output_price=0.0, native_schema=True)
_encode = msgspec.json.Encoder(order="deterministic").encode


class OfflineBackend:
    """Serves "offline" and "offline/...". Text begins with `[offline]`; with a schema, a small fitting value: one
    item in a list, the first of a choice.

    An answer depends on model, messages, tools, schema and sampling of the request, never on its limits of tokens and
    time, which a budget may clamp. Tools are never called.
    """

    @property
    def name(self) -> str:
        return "offline"

    async def info(self, model: str) -> ModelInfo:
        _require_offline(model)
        return _INFO

    async def count_tokens(self, request: ModelRequest) -> int:
        return request_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        _require_offline(request.model)
        await trio.lowlevel.checkpoint()
        text = _answer(request)
        if on_text is not None:
            on_text(text)
        usage = Usage(
            input_tokens=request_tokens(request),
            # Never above what was reserved: the answer is short, but a budget may have left less.
            output_tokens=min(text_tokens(text), request.max_tokens),
            cost_microusd=0,
            estimated=True,
        )
        return ModelReply(text=text, finish=FinishReason.STOP, usage=usage, model=request.model)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def _require_offline(model: str) -> None:
    if model != MODEL and not model.startswith(f"{MODEL}/"):
        raise SetupError(f"{model}: the offline backend serves only `{MODEL}` and `{MODEL}/NAME`; choose one of these")


def _answer(request: ModelRequest) -> str:
    if request.schema is not None:
        fitting = small_value(request.schema, f"{MARK} {_digest(request)}")
        return _encode(fitting).decode()
    return f"{MARK} No model was asked (prompt {_digest(request)}): {_echo(request)}"


def _digest(request: ModelRequest) -> str:
    seen = (request.model, request.messages, request.tools, request.schema, request.temperature, request.effort)
    return hashlib.blake2b(_encode(seen), digest_size=4).hexdigest()


def _echo(request: ModelRequest) -> str:
    asked = next((one.text for one in reversed(request.messages) if one.role is Role.USER), "")
    words = " ".join(asked.split())
    return words if len(words) <= _ECHO_CHARS else words[: _ECHO_CHARS - 1] + "…"
