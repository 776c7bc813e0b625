"""Every key of the configuration: its type, its default, and who may set it. A new key is one line of `KEYS`."""

from __future__ import annotations

from collections.abc import Mapping

from .config_agents import agents
from .config_amounts import budget, max_usd
from .config_key import Key, Reach
from .config_mcp import mcp
from .config_models import aliases, api_bases, fallbacks, model, prices, routing
from .config_values import (
    address,
    choice,
    folders,
    grants,
    hidden,
    path,
    seconds,
    switch,
    variables,
    whole_number,
)
from .config_web import allow_hosts, proxy, search
from .config_worktree import commands, inner_folders

__all__ = ["KEYS", "SECTIONS", "Key", "Reach"]

_FREE, _LOWER, _PERSON = Reach.FREE, Reach.LOWER, Reach.PERSON

KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key(
            name="model",
            parse=model,
            default="",
            reach=_FREE,
            about="the model of steps that name none",
            sample="openai/gpt-5-mini",
        ),
        Key(
            name="aliases",
            parse=aliases,
            default={},
            reach=_FREE,
            about="short names of models",
            merged=True,
            sample="{fast: openai/gpt-5-mini, smart: anthropic/claude-sonnet-4-5}",
        ),
        Key(
            name="routing",
            parse=routing,
            default=(),
            reach=_FREE,
            about="models by phase, label, profile and size of the prompt, first match",
            sample="[{phase: Verify, model: fast}]",
        ),
        Key(
            name="fallbacks",
            parse=fallbacks,
            default={},
            reach=_FREE,
            about="models that answer where an alias or a model fails",
            merged=True,
            sample="{smart: [openai/gpt-5]}",
        ),
        Key(
            name="concurrency",
            parse=whole_number(1, 1_000),
            default=16,
            reach=_FREE,
            about="steps at work at the same time",
        ),
        Key(
            name="max_tokens",
            parse=whole_number(1, 10_000_000),
            default=16_384,
            reach=_PERSON,
            about="output of one call",
        ),
        Key(
            name="max_turns", parse=whole_number(1, 10_000), default=30, reach=_PERSON, about="turns of one agent step"
        ),
        Key(
            name="timeout",
            parse=seconds,
            default=600.0,
            reach=_PERSON,
            about="seconds of one step with all its attempts, waits for a place left out",
        ),
        Key(name="retries", parse=whole_number(0, 20), default=2, reach=_PERSON, about="further attempts at a step"),
        Key(
            name="budget",
            parse=budget,
            default={},
            reach=_LOWER,
            about="hard limit of a run",
            merged=True,
            sample="{tokens: 2M, usd: 5}",
        ),
        Key(name="max_usd", parse=max_usd, default=10.0, reach=_LOWER, about="dollars that one invocation may pay"),
        Key(name="db", parse=path, default=".vibe/vibe.db", reach=_PERSON, about="the database"),
        Key(
            name="prefix_warmup",
            parse=switch,
            default=True,
            reach=_FREE,
            about="send one call of a fan-out ahead where a long context is shared",
        ),
        Key(
            name="prices",
            parse=prices,
            default={},
            reach=_PERSON,
            about="dollars per million tokens, by model",
            merged=True,
            sample="{openai/my-model: {input: 0.5, output: 1.5}}",
        ),
        Key(
            name="api_base",
            parse=address,
            default=None,
            reach=_PERSON,
            about="address of an OpenAI-like server",
            sample="http://localhost:8000/v1",
        ),
        Key(
            name="api_bases",
            parse=api_bases,
            default={},
            reach=_PERSON,
            about="address of a server by provider",
            merged=True,
            sample="{openai: http://localhost:8000/v1}",
        ),
        Key(
            name="workflows",
            parse=folders,
            default={},
            reach=_FREE,
            about="further folders of workflows",
            merged=True,
            sample="[more/workflows]",
        ),
        Key(
            name="allow",
            parse=grants,
            default={},
            reach=_PERSON,
            about="what agents may do unasked",
            merged=True,
            sample="[write, command:pytest]",
        ),
        Key(
            name="agents",
            parse=agents,
            default={},
            reach=_PERSON,
            about="agent CLIs, by name",
            merged=True,
            sample="{claude-code: true}",
        ),
        Key(
            name="mcp",
            parse=mcp,
            default={},
            reach=_PERSON,
            about="MCP servers, by name",
            merged=True,
            sample="{github: {command: [github-mcp-server, stdio], env: [GITHUB_TOKEN]}}",
        ),
        Key(
            name="sandbox.accept",
            parse=choice("strong", "good", "weak"),
            default="strong",
            reach=_PERSON,
            about="the weakest sandbox that a run may use",
        ),
        Key(
            name="sandbox.memory_mb",
            parse=whole_number(64, 65_536),
            default=256,
            reach=_PERSON,
            about="memory of a script",
        ),
        Key(
            name="sandbox.cpu_s",
            parse=whole_number(1, 86_400),
            default=30,
            reach=_PERSON,
            about="a script's own CPU seconds",
        ),
        Key(
            name="sandbox.calls",
            parse=whole_number(1, 10_000_000),
            default=100_000,
            reach=_PERSON,
            about="calls of one script",
        ),
        Key(
            name="sandbox.log_lines",
            parse=whole_number(1, 10_000_000),
            default=20_000,
            reach=_PERSON,
            about="lines that one script may log",
        ),
        Key(
            name="sandbox.stall_s",
            parse=seconds,
            default=60.0,
            reach=_PERSON,
            about="seconds of a script's silence while no answer is due",
        ),
        Key(
            name="web.allow_hosts",
            parse=allow_hosts,
            default={},
            reach=_PERSON,
            about="hosts of one's own network that pages may be fetched from",
            merged=True,
            sample="[wiki.corp.example]",
        ),
        Key(
            name="web.proxy",
            parse=proxy,
            default=None,
            reach=_PERSON,
            about="a proxy that leads to the web",
            sample="http://proxy.corp.example:3128",
        ),
        Key(
            name="web.search",
            parse=search,
            default=None,
            reach=_PERSON,
            about="who answers web_search",
            sample="{provider: searxng, url: http://localhost:8888}",
        ),
        Key(
            name="confine.read",
            parse=folders,
            default=(),
            reach=_PERSON,
            about="folders beside the project and the system that commands of agents may read",
            sample="[~/.pyenv]",
        ),
        Key(
            name="confine.env",
            parse=variables,
            default=(),
            reach=_PERSON,
            about="variables of your environment that commands of agents get",
            sample="[PYTHONPATH]",
        ),
        Key(
            name="worktree.link",
            parse=inner_folders,
            default=(".venv", "venv", "node_modules"),
            reach=_FREE,
            about="ignored folders that worktrees and copies of the project share with it, to read",
        ),
        Key(
            name="worktree.setup",
            parse=commands,
            default=(),
            reach=_PERSON,
            about="commands to run in each new worktree",
            sample="[[npm, ci, --offline]]",
        ),
        Key(name="catalog.builtin", parse=switch, default=True, reach=_FREE, about="offer the built-in workflows"),
        Key(
            name="catalog.hide",
            parse=hidden,
            default=frozenset(),
            reach=_FREE,
            about="built-in workflows not to offer",
            sample="[multi-review]",
        ),
        Key(name="offline", parse=switch, default=False, reach=_PERSON, about="answer without any model"),
        Key(name="require_model", parse=switch, default=False, reach=_PERSON, about="a missing model is an error"),
    )
}

SECTIONS = frozenset(name.partition(".")[0] for name in KEYS if "." in name)
