"""Which model a step gets: aliases, routing rules, and who has the last word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigError

if TYPE_CHECKING:
    from .config import Settings

OFFLINE = "offline"


class RoutingRule(NamedTuple):
    """Steps that match all of it go to `model`. A pattern is literal but for `*`; what is absent matches all."""

    model: str
    phase: str | None = None
    label: str | None = None
    profile: str | None = None
    prompt_tokens_over: int | None = None

    def matches(self, phase: str, label: str, profile: str, prompt_tokens: Callable[[], int]) -> bool:
        return (
            (self.phase is None or star_match(self.phase, phase))
            and (self.label is None or star_match(self.label, label))
            and (self.profile is None or star_match(self.profile, profile))
            and (self.prompt_tokens_over is None or prompt_tokens() > self.prompt_tokens_over)
        )


class ModelChoice(NamedTuple):
    """`model` is empty where nobody named one; `reason` goes into the trace.

    `fallbacks` are models that may answer where it fails, in order: no aliases, not itself, none twice.
    """

    model: str
    reason: str
    fallbacks: tuple[str, ...] = ()


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
    return _names_of(aliases, name)[-1]


def _names_of(aliases: Mapping[str, str], name: str) -> list[str]:
    """What stands for one model: the name, the aliases that it leads over, and the model itself."""
    seen = [name]
    while (target := aliases.get(seen[-1])) is not None:
        if target in seen:
            raise ConfigError(
                f"the alias `{name}` goes in a circle: {' -> '.join([*seen, target])}; name a model in it"
            )
        seen.append(target)
    return seen


def resolve_fallbacks(
    aliases: Mapping[str, str], fallbacks: Mapping[str, tuple[str, ...]], name: str
) -> tuple[str, ...]:
    """The models that answer where the one behind `name` fails: of the name that was asked for, else of its model.

    Only this one list counts: a fallback's own fallbacks are not asked, so that no two models can go in a circle.
    """
    names = _names_of(aliases, name)
    listed = next((fallbacks[each] for each in names if each in fallbacks), ())
    resolved = dict.fromkeys(resolve_alias(aliases, each) for each in listed)
    resolved.pop(names[-1], None)  # an alias may come to stand for the very model that failed
    return tuple(resolved)


def resolve_model(
    settings: Settings,
    *,
    requested: str = "",
    profile_model: str = "",
    phase_model: str = "",
    meta_model: str = "",
    phase: str = "",
    label: str = "",
    profile: str = "",
    prompt_tokens: Callable[[], int] = lambda: 0,
) -> ModelChoice:
    """The model of one step, by precedence: agent(model=), profile, phase, routing rule, --model, meta.model, config.

    `prompt_tokens` is asked at most once, and only where a rule depends on it. The first three names and `meta_model`
    come from a script or a profile: one that holds an address raises ConfigError.
    """
    named_by_steps = (
        (requested, "agent(model=)"),
        (profile_model, f"profile {profile}"),
        (phase_model, "phase(model=)"),
    )
    for named, where in (*named_by_steps, (meta_model, 'meta["model"]')):
        refuse_address(named, where)
    name, reason = next((each for each in named_by_steps if each[0]), ("", ""))
    if not name:
        name, reason = _configured(settings, meta_model, phase, label, profile, prompt_tokens)
    if not name:
        return ModelChoice(model="", reason="no model is configured")
    model = resolve_alias(settings.aliases, name)
    fallbacks: tuple[str, ...] = ()
    if settings.fallbacks and model.partition("/")[0] != OFFLINE:
        fallbacks = resolve_fallbacks(settings.aliases, settings.fallbacks, name)
    return ModelChoice(model=model, reason=reason if model == name else f"{reason}, alias {name}", fallbacks=fallbacks)


def _configured(
    settings: Settings,
    meta_model: str,
    phase: str,
    label: str,
    profile: str,
    prompt_tokens: Callable[[], int],
) -> tuple[str, str]:
    """The first name by precedence where neither the step nor its phase names one, and who gave it."""
    prompt_tokens = cache(prompt_tokens) if settings.routing else prompt_tokens
    for number, rule in enumerate(settings.routing, start=1):
        if rule.matches(phase, label, profile, prompt_tokens):
            return rule.model, f"routing rule {number}"
    if settings.model_by_flag and settings.model:
        return settings.model, "--model"
    if meta_model:
        return meta_model, 'meta["model"]'
    return settings.model, "config"
