"""Parsers of the config keys about models: names, aliases, routing, fallbacks, prices, addresses by provider."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .config_amounts import tokens
from .config_values import address, from_json, mapping, number, shown
from .nearest import did_you_mean
from .prices import ModelPrice
from .routing import OFFLINE, RoutingRule, model_name

_MAX_FALLBACKS = 10
_MAX_PATTERN = 200
_RULE_KEYS = ("model", "phase", "label", "profile", "prompt_tokens_over")
_PRICE_KEYS = ModelPrice._fields
_MAX_PRICE = 1e6  # dollars per million tokens: a dollar a token


def model(value: object, text: bool) -> str:
    return model_name(value)


def aliases(value: object, text: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for alias, target in mapping(value, text, {"fast": "openai/gpt-5-mini"}).items():
        try:
            found[model_name(alias)] = model_name(target)
        except ValueError as error:
            raise ValueError(f"alias `{alias}`: {error}") from error
    return found


# ---------------------------------------------------------------- fallbacks


def fallbacks(value: object, text: bool) -> dict[str, tuple[str, ...]]:
    """By alias or model, the aliases or models that answer where it fails: one name, or several in their order."""
    found: dict[str, tuple[str, ...]] = {}
    for name, listed in mapping(value, text, {"smart": ["openai/gpt-5", "gemini/gemini-2.5-pro"]}).items():
        try:
            found[model_name(name)] = _fallbacks_of(str(name), listed)
        except ValueError as error:
            raise ValueError(f"fallbacks of `{name}`: {error}") from error
    return found


def _fallbacks_of(name: str, value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, Sequence):
        raise ValueError(f"a model's name, or a list of names, is needed, not {shown(value)}")
    if len(listed) > _MAX_FALLBACKS:
        raise ValueError(f"{len(listed)} are too many; name {_MAX_FALLBACKS} at most")
    names = [model_name(each) for each in listed]
    for position, each in enumerate(names):
        if each == name:
            raise ValueError("it names itself, which would ask the model that has just failed; remove it")
        if each in names[:position]:
            raise ValueError(f"`{each}` is there twice; keep one")
        if each.partition("/")[0] == OFFLINE:
            raise ValueError(f"`{each}` makes answers up, and a failure must not look like an answer; remove it")
    return tuple(names)


# ---------------------------------------------------------------- prices and addresses


def prices(value: object, text: bool) -> dict[str, ModelPrice]:
    """By model, dollars per million tokens."""
    found: dict[str, ModelPrice] = {}
    for name, price in mapping(value, text, {"openai/my-model": {"input": 0.5, "output": 1.5}}).items():
        try:
            found[model_name(name)] = _price(price)
        except ValueError as error:
            raise ValueError(f"price of `{name}`: {error}") from error
    return found


def _price(value: object) -> ModelPrice:
    if not isinstance(value, Mapping):
        raise ValueError(
            f"dollars per million tokens are needed, such as `{{input: 0.5, output: 1.5}}`, not {shown(value)}"
        )
    for name in value:
        if name not in _PRICE_KEYS:
            raise ValueError(f"unknown key `{name}`; {did_you_mean(str(name), _PRICE_KEYS)}")
    for name in ("input", "output"):
        if value.get(name) is None:
            raise ValueError(f"`{name}` is missing; both `input` and `output` are needed")
    amounts = {name: _dollars(name, amount) for name, amount in value.items() if amount is not None}
    plain = amounts["input"]
    return ModelPrice(
        input=plain,
        output=amounts["output"],
        cached=amounts.get("cached", plain),
        cache_write=amounts.get("cache_write", plain),
    )


def _dollars(name: str, value: object) -> float:
    amount = None if isinstance(value, str) else number(value)
    if amount is None or not 0 <= amount <= _MAX_PRICE:
        raise ValueError(f"`{name}` is dollars per million tokens, from 0 to {_MAX_PRICE:,.0f}, not {shown(value)}")
    return amount


def api_bases(value: object, text: bool) -> dict[str, str]:
    """By provider, the address of its server."""
    found: dict[str, str] = {}
    for provider, base in mapping(value, text, {"openai": "http://localhost:8000/v1"}).items():
        if not isinstance(provider, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", provider):
            raise ValueError(
                f"{shown(provider)} is no provider, such as `openai`: it is what stands before the `/` in a model's "
                "name, in small letters"
            )
        try:
            found[provider] = address(base, text)
        except ValueError as error:
            raise ValueError(f"address of `{provider}`: {error}") from error
    return found


# ---------------------------------------------------------------- routing


def routing(value: object, text: bool) -> tuple[RoutingRule, ...]:
    value = from_json(value) if text else value
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("a list of rules is needed, such as `[{phase: Review, model: smart}]`")
    return tuple(_rule(position, rule) for position, rule in enumerate(value, start=1))


def _rule(position: int, value: object) -> RoutingRule:
    if not isinstance(value, Mapping):
        raise ValueError(f"rule {position} is no mapping; write `{{phase: Review, model: smart}}`")
    for name in value:
        if name not in _RULE_KEYS:
            raise ValueError(f"rule {position} has the unknown key `{name}`; {did_you_mean(str(name), _RULE_KEYS)}")
    if "model" not in value:
        raise ValueError(f"rule {position} names no `model`")
    if all(value.get(name) is None for name in _RULE_KEYS if name != "model"):
        raise ValueError(
            f"rule {position} matches every step; name a `phase`, a `label`, a `profile` or `prompt_tokens_over`, or "
            "set `model` instead"
        )
    return RoutingRule(
        model=model_name(value["model"]),
        phase=_pattern(position, "phase", value),
        label=_pattern(position, "label", value),
        profile=_pattern(position, "profile", value),
        prompt_tokens_over=_size(position, value.get("prompt_tokens_over")),
    )


def _pattern(position: int, name: str, rule: Mapping[object, object]) -> str | None:
    pattern = rule.get(name)
    if pattern is None:
        return None
    if not isinstance(pattern, str) or not 0 < len(pattern) <= _MAX_PATTERN:
        raise ValueError(f"`{name}` of rule {position} is not a text of 1 to {_MAX_PATTERN} characters")
    return pattern


def _size(position: int, value: object) -> int | None:
    if value is None:
        return None
    size = tokens(value)
    if size is None or size < 0:
        raise ValueError(
            f"`prompt_tokens_over` of rule {position} is a number of tokens, such as `50k`, not {shown(value)}"
        )
    return size
