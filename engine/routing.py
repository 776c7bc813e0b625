"""Which model a step gets: aliases, routing rules, and who has the last word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigError
from .nearest import did_you_mean

if TYPE_CHECKING:
    from .config import Settings

_RULE_KEYS = ("model", "phase", "label")
_MAX_PATTERN = 200


class RoutingRule(NamedTuple):
    """Steps whose phase and label match go to `model`. A pattern is literal but for `*`; an absent one matches all."""

    model: str
    phase: str | None = None
    label: str | None = None

    def matches(self, phase: str, label: str) -> bool:
        return (self.phase is None or star_match(self.phase, phase)) and (
            self.label is None or star_match(self.label, label)
        )


class ModelChoice(NamedTuple):
    """`model` is empty where nobody named one; `reason` goes into the trace."""

    model: str
    reason: str


def model_name(value: object) -> str:
    """A model's name, an alias or a litellm name. Raises ValueError."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a model's name is text, such as `openai/gpt-5-mini`")
    if len(value) > 200 or not value.isprintable() or " " in value:
        raise ValueError(f"`{value[:60]}` is no model's name: it has spaces or control characters, or is too long")
    return value


def refuse_address(name: str, where: str) -> None:
    """A name that a project or a script gives may not be an address: it would send prompts and keys to a stranger."""
    if "://" in name:
        raise ConfigError(
            f"{where}: the model `{name}` holds an address, which only your own config may name; "
            "define an alias for it there, and use the alias here"
        )


def parse_routing(value: object) -> tuple[RoutingRule, ...]:
    """The `routing` list of a config file. Raises ValueError."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("a list of rules is needed, such as `[{phase: Review, model: smart}]`")
    return tuple(_rule(number, rule) for number, rule in enumerate(value, start=1))


def _rule(number: int, value: object) -> RoutingRule:
    if not isinstance(value, Mapping):
        raise ValueError(f"rule {number} is no mapping; write `{{phase: Review, model: smart}}`")
    for name in value:
        if name not in _RULE_KEYS:
            raise ValueError(f"rule {number} has the unknown key `{name}`; {did_you_mean(str(name), _RULE_KEYS)}")
    if "model" not in value:
        raise ValueError(f"rule {number} names no `model`")
    if len(value) == 1:
        raise ValueError(f"rule {number} matches every step; name a `phase` or a `label`, or set `model` instead")
    return RoutingRule(
        model=model_name(value["model"]),
        phase=_pattern(number, "phase", value),
        label=_pattern(number, "label", value),
    )


def _pattern(number: int, name: str, rule: Mapping[str, object]) -> str | None:
    pattern = rule.get(name)
    if pattern is None:
        return None
    if not isinstance(pattern, str) or not 0 < len(pattern) <= _MAX_PATTERN:
        raise ValueError(f"`{name}` of rule {number} is not a text of 1 to {_MAX_PATTERN} characters")
    return pattern


def star_match(pattern: str, text: str) -> bool:
    """Whether `text` is `pattern`, where `*` stands for any characters. Linear: a stranger may write the pattern."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def resolve_alias(aliases: Mapping[str, str], name: str) -> str:
    """The model behind a name; the name itself where it is no alias. Raises ConfigError on a circle."""
    seen = [name]
    while (target := aliases.get(seen[-1])) is not None:
        if target in seen:
            raise ConfigError(
                f"the alias `{name}` goes in a circle: {' -> '.join([*seen, target])}; name a model in it"
            )
        seen.append(target)
    return seen[-1]


def resolve_model(
    settings: Settings,
    *,
    requested: str = "",
    phase_model: str = "",
    meta_model: str = "",
    phase: str = "",
    label: str = "",
) -> ModelChoice:
    """The model of one step, by precedence: agent(model=), phase, routing rule, --model, meta.model, config.

    The first three names and `meta_model` come from a script: one that holds an address raises ConfigError.
    """
    for name, where in ((requested, "agent(model=)"), (phase_model, "phase(model=)"), (meta_model, 'meta["model"]')):
        refuse_address(name, where)
    name, reason = requested, "agent(model=)"
    if not name:
        name, reason = phase_model, f"phase {phase}"
    if not name:
        for number, rule in enumerate(settings.routing, start=1):
            if rule.matches(phase, label):
                name, reason = rule.model, f"routing rule {number}"
                break
    if not name and settings.model_by_flag:
        name, reason = settings.model, "--model"
    if not name:
        name, reason = meta_model, 'meta["model"]'
    if not name:
        name, reason = settings.model, "config"
    if not name:
        return ModelChoice(model="", reason="no model is configured")
    model = resolve_alias(settings.aliases, name)
    return ModelChoice(model=model, reason=reason if model == name else f"{reason}, alias {name}")
