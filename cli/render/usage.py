"""What model calls used, as text: tokens, how much of them a provider's cache gave, and what the prompts held."""

from __future__ import annotations

from vibe_workflows.engine.model import PromptMakeup, Usage

from . import figures
from .paint import Style, paint

#: Providers cache no prompt that is shorter, so that a low rate says nothing there. Most begin at 1,024 tokens.
SHORTEST_CACHED = 1_024

_GOOD = 60
_FAIR = 30


def hit_rate(usage: Usage) -> float | None:
    """Cached tokens by tokens of the prompt. None without a prompt, and where the provider counted nothing."""
    if usage.input_tokens <= 0 or (usage.estimated and not usage.cached_tokens):
        return None
    return min(usage.cached_tokens / usage.input_tokens, 1.0)


def rate_text(rate: float) -> str:
    """Rounded down, so that a number never claims more than its colour."""
    return f"{_percent(rate)}%"


def rate_style(rate: float, prompt_tokens: float) -> Style:
    """Green from 60%, yellow from 30%, red below; none where the prompts are too short to be cached."""
    percent = _percent(rate)
    if percent >= _GOOD:
        return Style.GOOD
    if prompt_tokens < SHORTEST_CACHED:
        return Style.PLAIN
    return Style.WARN if percent >= _FAIR else Style.BAD


def usage_line(usage: Usage, *, calls: int, colour: bool, cost: str = "") -> str:
    """Tokens in and out, the hit rate, cache writes, reasoning and cost. `calls` is how many prompts they were in."""
    if not usage.tokens:
        return "no tokens used"
    cache = _cache_facts(usage, calls, colour=colour)
    reasoning = f" ({figures.tokens(usage.reasoning_tokens)} reasoning)" if usage.reasoning_tokens else ""
    facts = [
        f"{figures.tokens(usage.input_tokens)} tokens in" + (f" ({', '.join(cache)})" if cache else ""),
        f"{figures.tokens(usage.output_tokens)} out{reasoning}",
        "price unknown" if usage.cost_microusd is None else f"{cost}{figures.money(usage.cost_microusd)}",
        *(["estimated"] if usage.estimated else []),
    ]
    return ", ".join(facts)


def makeup_line(makeup: PromptMakeup, what: str = "prompt") -> str:
    """What a prompt held, in shares; empty where nobody noted it."""
    parts = (
        ("system", makeup.system),
        ("tools", makeup.tools),
        ("context", makeup.context),
        ("conversation", makeup.conversation),
    )
    total = sum(tokens for _, tokens in parts)
    if total <= 0:
        return ""
    return f"{what}: " + ", ".join(f"{_share(tokens / total)} {name}" for name, tokens in parts)


def makeup_sum(makeups: list[PromptMakeup]) -> PromptMakeup:
    return PromptMakeup(
        system=sum(each.system for each in makeups),
        tools=sum(each.tools for each in makeups),
        context=sum(each.context for each in makeups),
        conversation=sum(each.conversation for each in makeups),
    )


def _cache_facts(usage: Usage, calls: int, *, colour: bool) -> list[str]:
    facts = []
    rate = hit_rate(usage)
    if rate is not None:
        style = rate_style(rate, usage.input_tokens / max(calls, 1))
        facts.append(paint(f"{rate_text(rate)} from cache", style, colour=colour))
    if usage.cache_write_tokens:
        facts.append(f"{figures.tokens(usage.cache_write_tokens)} to cache")
    return facts


def _share(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _percent(rate: float) -> int:
    return int(rate * 100 + 1e-9)
