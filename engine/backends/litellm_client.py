"""litellm itself, seen from the asyncio island. Imported on the first live call, together with litellm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import openai
from msgspec import Struct
from msgspec.structs import replace

from ..errors import ProviderError, SetupError, StepFault
from ..model import ModelInfo, ModelReply, ModelRequest, Usage
from .litellm import LitellmSettings
from .litellm_errors import Place, typed_error
from .litellm_setup import litellm, map_finish_reason, masked, openai_base
from .litellm_wire import BROKEN_OFF, ReplyBuilder, reported_usage, request_arguments

_MICRO: Final = 1_000_000
_TAKE_BACK_RAW_ARGUMENTS: Final = frozenset({"openai", "azure"})
_CLOUDS: Final = frozenset({"azure", "azure_ai", "bedrock", "sagemaker", "vertex_ai", "watsonx"})
#: OpenAI-compatible servers of one's own often want no key, but litellm does.
_NO_KEY: Final = "no-key"


class _Target(Struct, frozen=True, kw_only=True):
    """One model name, resolved: where its calls go, and its entry in litellm's price list, if it has one."""

    model: str
    bare: str  # without the provider
    provider: str
    api_base: str | None
    api_key: str | None
    listed: dict[str, Any] | None
    place: Place

    def address(self) -> dict[str, Any]:
        given = {"api_base": self.api_base, "api_key": self.api_key}
        return {"model": self.model, **{name: value for name, value in given.items() if value is not None}}


class LitellmClient:
    """All that the backend asks of litellm. `complete` and `close` are for the island, the rest for any thread."""

    def __init__(self, settings: LitellmSettings, *, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._targets: dict[str, _Target] = {}
        # Constant, because litellm keeps one client with its connections per value; `complete` has the real limit.
        self._timeout = httpx.Timeout(settings.silence_s, connect=settings.connect_s)

    # ------------------------------------------------------------ what is known of a model

    def info(self, model: str) -> ModelInfo:
        target = self._target(model)
        listed = target.listed
        if listed is None:
            return ModelInfo(input_price=None, output_price=None)
        return ModelInfo(
            input_price=_price(listed.get("input_cost_per_token")),
            output_price=_price(listed.get("output_cost_per_token")),
            max_output_tokens=_limit(listed.get("max_output_tokens") or listed.get("max_tokens")),
            native_schema=bool(litellm.supports_response_schema(target.bare, target.provider)),
        )

    def _target(self, model: str) -> _Target:
        target = self._targets.get(model)
        if target is None:
            target = self._targets[model] = self._resolve(model)
        return target

    def _resolve(self, model: str) -> _Target:
        if "://" in model:
            raise SetupError(
                f"{masked(model)}: a model name may not carry an address; name it PROVIDER/MODEL, and set api_base in "
                "your own config"
            )
        try:
            bare, provider, _, _ = litellm.get_llm_provider(model=model)
        except litellm.BadRequestError as error:
            raise SetupError(
                f"{model or 'a model without a name'}: no provider is known for this model; name it PROVIDER/MODEL, "
                "as in openai/gpt-5 and anthropic/claude-sonnet-4-5, or openai/NAME for an OpenAI-compatible server"
            ) from error
        api_base = self._settings.base_of(provider) or (openai_base() if provider == "openai" else None)
        missing = _missing_keys(model)
        if missing and not (provider == "openai" and api_base):
            names = " or ".join(missing)
            raise SetupError(
                f"{model}: {provider} needs a key; set {names} in the environment, or choose another model"
            )
        return _Target(
            model=model,
            bare=bare,
            provider=provider,
            api_base=api_base,
            api_key=_NO_KEY if missing else None,
            listed=_listed(bare, provider),
            place=Place(model=model, provider=provider, host=_host(api_base), key=_key_name(provider)),
        )

    # ------------------------------------------------------------ on the island

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None]) -> ModelReply:
        """One streamed call. However it ends, its connection is closed or back in the pool when this returns."""
        target = self._target(request.model)
        arguments = {**self._arguments(request, target), **target.address()}
        try:
            async with asyncio.timeout(request.timeout_s):
                stream = await litellm.acompletion(**arguments)
                try:
                    return await self._collect(request, target, stream, on_text)
                finally:
                    await stream.aclose()
        except StepFault:
            raise
        except Exception as error:
            raise typed_error(error, target.place, timeout_s=request.timeout_s, now=self._now()) from error

    def _arguments(self, request: ModelRequest, target: _Target) -> dict[str, Any]:
        arguments = request_arguments(request, raw_arguments=target.provider in _TAKE_BACK_RAW_ARGUMENTS)
        # One call is one request: retries are the engine's, which counts and records each.
        arguments |= {"timeout": self._timeout, "max_retries": 0, "num_retries": 0}
        if request.effort is not None:
            supported = litellm.get_supported_openai_params(target.bare, target.provider) or ()
            if "reasoning_effort" in supported:
                arguments["reasoning_effort"] = request.effort
            elif target.listed is None:
                # Nobody knows this model, so its server decides. A known model that cannot think goes without.
                arguments |= {"reasoning_effort": request.effort, "allowed_openai_params": ["reasoning_effort"]}
        return arguments

    async def _collect(
        self, request: ModelRequest, target: _Target, stream: Any, on_text: Callable[[str], None]
    ) -> ModelReply:
        # litellm's wrapper costs three times the CPU of the OpenAI stream inside it, so that one is read where it is.
        direct = isinstance(stream.completion_stream, openai.AsyncStream)
        building = ReplyBuilder()
        async for chunk in stream.completion_stream if direct else stream:
            try:
                text = building.add(chunk)
            except (AttributeError, TypeError) as error:
                raise ProviderError(f"{target.place}: sent what is no chunk of an answer", retryable=True) from error
            if text:
                on_text(text)
        finish = building.finish if direct else stream.received_finish_reason or stream.intermittent_finish_reason
        if finish is None or finish in BROKEN_OFF:
            # litellm would call it "stop", and half an answer would pass for a whole one.
            raise ProviderError(f"{target.place}: the answer ended before it was finished", retryable=True)
        usage = building.usage
        if direct and usage is not None:
            usage = litellm.Usage(**usage.model_dump())  # which knows every provider's names for cached tokens
        elif not any(reported_usage(getattr(chunk, "usage", None)) for chunk in stream.chunks):
            usage = None  # what the wrapper counted by itself is no usage of the provider
        return building.reply(
            finish=map_finish_reason(finish),
            usage=self._priced(usage, target),
            model=request.model,
            turn=len(request.messages),
        )

    def _priced(self, usage: Any, target: _Target) -> Usage | None:
        counted = reported_usage(usage)
        if counted is None or target.listed is None:
            return counted
        try:
            prompt, completion = litellm.cost_per_token(
                model=target.bare, custom_llm_provider=target.provider, usage_object=usage
            )
        except Exception:  # noqa: BLE001 - it raises bare Exceptions; a paid answer must not be lost for its price
            return counted
        return replace(counted, cost_microusd=round((prompt + completion) * _MICRO))

    async def close(self) -> None:
        """Close all connections. litellm makes new ones when it is called again."""
        await litellm.close_litellm_async_clients()
        litellm.in_memory_llm_clients_cache.flush_cache()


def _missing_keys(model: str) -> list[str]:
    """Environment variables of which one is missing. Empty where credentials may come from elsewhere (clouds)."""
    missing: list[str] = litellm.validate_environment(model=model)["missing_keys"]
    return missing if all(name.endswith("_API_KEY") for name in missing) else []


def _listed(bare: str, provider: str) -> dict[str, Any] | None:
    """The model's entry in litellm's price list; never asks a server, as litellm's own look-up does for some."""
    prices: dict[str, dict[str, Any]] = litellm.model_cost
    for name in (f"{provider}/{bare}", bare):
        entry = prices.get(name)
        if entry is not None and str(entry.get("litellm_provider", "")).startswith(provider):
            return entry
    return None


def _price(dollars: Any) -> float | None:
    return dollars * _MICRO if isinstance(dollars, int | float) else None


def _limit(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _host(api_base: str | None) -> str:
    parts = urlsplit(api_base or "")
    return f"{parts.hostname}:{parts.port}" if parts.hostname and parts.port else parts.hostname or ""


def _key_name(provider: str) -> str:
    return "its credentials" if provider in _CLOUDS else f"{provider.upper()}_API_KEY"
