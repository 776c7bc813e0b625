"""What is known of a model by its name: where its calls go, and its entry in litellm's price list."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from ..errors import SetupError
from ..model import ModelInfo
from .litellm import LitellmSettings
from .litellm_errors import Place
from .litellm_setup import litellm, masked, openai_base
from .litellm_wire import Dialect

MICRO: Final = 1_000_000
_RAW_ARGUMENTS: Final = frozenset({"openai", "azure"})
_CLOUDS: Final = frozenset({"azure", "azure_ai", "bedrock", "sagemaker", "vertex_ai", "watsonx"})
#: Where Claude is served in a format that carries its cache marks, and of these, where it carries signed thinking.
_CLAUDE_HOSTS: Final = frozenset({"anthropic", "azure_ai", "bedrock", "databricks", "openrouter", "vertex_ai"})
_SIGNING_HOSTS: Final = frozenset({"anthropic", "azure_ai", "bedrock", "vertex_ai"})
_ANTHROPIC_HOSTS: Final = frozenset({"anthropic", "azure_ai", "vertex_ai"})
#: Where litellm sends the text of a message alone, and drops the rest without a word; the last does so for models
#: of which it does not know that they see.
_TEXT_ALONE: Final = frozenset({"docker_model_runner", "heroku", "sambanova", "deepseek"})
_WANT_REASONING_BACK: Final = frozenset({"deepseek", "moonshot"})
_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"
#: OpenAI-compatible servers of one's own often want no key, but litellm does.
_NO_KEY: Final = "no-key"


class Target(Struct, frozen=True, kw_only=True):
    """One model name, resolved."""

    model: str
    bare: str  # without the provider
    provider: str
    api_base: str | None
    api_key: str | None
    listed: dict[str, Any] | None  # in litellm's price list
    place: Place
    dialect: Dialect
    takes_effort: bool
    info: ModelInfo

    def address(self) -> dict[str, Any]:
        given = {"api_base": self.api_base, "api_key": self.api_key}
        return {"model": self.model, **{name: value for name, value in given.items() if value is not None}}


def resolve(model: str, settings: LitellmSettings) -> Target:
    """Raises SetupError where no call of this model can be made."""
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
    api_base = settings.base_of(provider) or (openai_base() if provider == "openai" else None)
    if api_base is not None and provider == "anthropic":
        api_base = api_base.removesuffix("/").removesuffix("/v1")  # litellm adds it
    missing = _missing_keys(model)
    if missing and not (provider == "openai" and api_base):
        names = " or ".join(missing)
        raise SetupError(f"{model}: {provider} needs a key; set {names} in the environment, or choose another model")
    listed = _listed(bare, provider)
    anthropic = provider in _ANTHROPIC_HOSTS and _is_claude(bare, provider)
    takes_effort = "reasoning_effort" in (litellm.get_supported_openai_params(bare, provider) or ())
    return Target(
        model=model,
        bare=bare,
        provider=provider,
        api_base=api_base,
        api_key=_NO_KEY if missing else None,
        listed=listed,
        place=Place(model=model, provider=provider, host=_host(api_base), key=_key_name(provider), anthropic=anthropic),
        dialect=_dialect(bare, provider, listed, thinks=takes_effort),
        takes_effort=takes_effort,
        info=_info(bare, provider, listed),
    )


def _dialect(bare: str, provider: str, listed: dict[str, Any] | None, *, thinks: bool) -> Dialect:
    claude = _is_claude(bare, provider)
    nova = provider == "bedrock" and "nova" in bare
    caches = (listed is None and provider == "anthropic") or bool((listed or {}).get("supports_prompt_caching"))
    return Dialect(
        raw_arguments=provider in _RAW_ARGUMENTS,
        cache_marks=caches and (claude or nova),
        thinking_blocks=claude and provider in _SIGNING_HOSTS and (thinks or listed is None),
        reasoning_content=provider in _WANT_REASONING_BACK,
    )


def _is_claude(bare: str, provider: str) -> bool:
    return provider == "anthropic" or (provider in _CLAUDE_HOSTS and "claude" in bare)


def _info(bare: str, provider: str, listed: dict[str, Any] | None) -> ModelInfo:
    if listed is None:
        media_types = frozenset[str]() if provider in _TEXT_ALONE else None
        return ModelInfo(input_price=None, output_price=None, media_types=media_types)
    native = bool(litellm.supports_response_schema(bare, provider))
    if _is_claude(bare, provider) or provider == "bedrock":
        # Without it litellm forces the model to call a tool for its answer, and then it calls no other one.
        native = native and bool(listed.get("supports_native_structured_output"))
    return ModelInfo(
        input_price=_price(listed.get("input_cost_per_token")),
        output_price=_price(listed.get("output_cost_per_token")),
        max_input_tokens=_limit(listed.get("max_input_tokens")),
        max_output_tokens=_limit(listed.get("max_output_tokens") or listed.get("max_tokens")),
        native_schema=native,
        schema_beside_tools=not _is_old_gemini(bare),
        media_types=_media_types(listed, provider),
    )


def _is_old_gemini(bare: str) -> bool:
    """Before the third generation, its servers refuse a request with both tools and a schema for the answer."""
    return "gemini" in bare and not any(f"gemini-{generation}" in bare for generation in range(3, 10))


def _media_types(listed: dict[str, Any], provider: str) -> frozenset[str]:
    """By the list. Where it says nothing of PDFs, a model that sees images is left to refuse them itself."""
    if provider in _TEXT_ALONE and provider != "deepseek":
        return frozenset()
    if not listed.get("supports_vision"):
        return frozenset({_PDF}) if listed.get("supports_pdf_input") else frozenset()
    return _IMAGES | {_PDF} if listed.get("supports_pdf_input", True) else _IMAGES


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
    return dollars * MICRO if isinstance(dollars, int | float) else None


def _limit(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _host(api_base: str | None) -> str:
    parts = urlsplit(api_base or "")
    return f"{parts.hostname}:{parts.port}" if parts.hostname and parts.port else parts.hostname or ""


def _key_name(provider: str) -> str:
    return "its credentials" if provider in _CLOUDS else f"{provider.upper()}_API_KEY"
