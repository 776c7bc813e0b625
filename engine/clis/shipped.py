"""The agent CLIs that Vibe describes, by the documentation of each. A person enables them by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .description import FLAGS, MODEL, PROMPT, SETTINGS, SYSTEM, AgentCli, AgentMode

_LOOKS: Final = "Read,Glob,Grep"
_EDITS: Final = "Edit,Write,NotebookEdit"
#: Programs built with Bun may read these where they are started; what the latter preloads is code.
_OF_RUNTIMES: Final = (".env*", "bunfig.toml")

#: "CLI reference" and "Run Claude Code programmatically": -p reads the prompt from standard input; what was not
#: allowed beforehand is denied, as nobody can be asked. A result has type, subtype, is_error, result, usage (input
#: without what a cache took and gave) and total_cost_usd. `.claude` holds settings (hooks, helpers, variables), agents,
#: commands, skills and rules, and nested ones are read, too. `--setting-sources user` would leave CLAUDE.md out as
#: well, and `--strict-mcp-config` the person's own servers, so that neither is given.
_CLAUDE_CODE: Final = AgentCli(
    name="claude-code",
    argv=(
        "claude",
        "-p",
        "--output-format",
        "json",
        ("--model", MODEL),
        ("--append-system-prompt", SYSTEM),
        FLAGS,
    ),
    modes={
        "read": AgentMode(
            ("--permission-mode", "default", "--allowedTools", _LOOKS, "--disallowedTools", f"{_EDITS},Bash")
        ),
        "write": AgentMode(
            ("--permission-mode", "acceptEdits", "--allowedTools", f"{_LOOKS},{_EDITS}", "--disallowedTools", "Bash")
        ),
        "command": AgentMode(("--permission-mode", "acceptEdits", "--allowedTools", f"{_LOOKS},{_EDITS},Bash")),
    },
    answer="result",
    usage={
        "input": ("usage.input_tokens", "usage.cache_creation_input_tokens", "usage.cache_read_input_tokens"),
        "output": ("usage.output_tokens",),
        "cached": ("usage.cache_read_input_tokens",),
        "cache_write": ("usage.cache_creation_input_tokens",),
        "cost_usd": ("total_cost_usd",),
    },
    failed=("is_error",),
    errors=("subtype", "result", "errors.*"),
    leaves_out=(".claude", ".mcp.json", *_OF_RUNTIMES),
    login="run `claude` once by hand and log in with /login, or set ANTHROPIC_API_KEY",
    env=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "CLAUDE_CODE_OAUTH_TOKEN"),
)

#: "Non-interactive mode": `-` reads the prompt from standard input. It edits by commands, in a sandbox of its own, so
#: that writing and commands are one. Events: item.completed, turn.completed, turn.failed, error.
#: `.codex` (configuration, hooks, rules, agents) counts in folders that the person trusts, `.agents` (skills) in all.
_CODEX: Final = AgentCli(
    name="codex",
    argv=("codex", "exec", "--json", "--color", "never", "--skip-git-repo-check", ("--model", MODEL), FLAGS, "-"),
    modes={
        "read": AgentMode(("--sandbox", "read-only")),
        "write": AgentMode(("--sandbox", "workspace-write")),
        "command": AgentMode(("--sandbox", "workspace-write")),
    },
    lines=True,
    answer="item.completed(item.type=agent_message) > item.text",
    usage={
        "input": ("turn.completed > usage.input_tokens",),
        "output": ("turn.completed > usage.output_tokens",),
        "cached": ("turn.completed > usage.cached_input_tokens",),
    },
    failed=("turn.failed > error.message",),
    errors=("turn.failed > error.message", "error > message"),
    leaves_out=(".agents", ".codex"),
    login="run `codex login`, or set CODEX_API_KEY",
    env=("CODEX_API_KEY", "CODEX_HOME", "OPENAI_API_KEY"),
)

#: "Headless mode reference": without a terminal it reads the prompt from standard input. The document has response,
#: stats (by model) and error; an error may stand on standard error. Tools that ask are denied in the mode `default`.
#: `.gemini` holds settings (servers, hooks, tool discovery), extensions, policies, commands and a `.env`; it looks for
#: `.env` itself from where it stands upwards.
_GEMINI_CLI: Final = AgentCli(
    name="gemini-cli",
    argv=("gemini", "--output-format", "json", ("--model", MODEL), FLAGS),
    modes={
        "read": AgentMode(("--approval-mode", "default")),
        "write": AgentMode(("--approval-mode", "auto_edit")),
        "command": AgentMode(("--approval-mode", "yolo")),
    },
    answer="response",
    usage={
        "input": ("stats.models.*.tokens.prompt", "stats.models.*.tokens.tool"),
        "output": ("stats.models.*.tokens.candidates", "stats.models.*.tokens.thoughts"),
        "cached": ("stats.models.*.tokens.cached",),
        "reasoning": ("stats.models.*.tokens.thoughts",),
    },
    failed=("error.message",),
    errors=("error.type", "error.message"),
    exits={41: "login", 53: "turns"},
    leaves_out=(".agents", ".gemini", ".env*"),
    login="run `gemini` once by hand and log in, or set GEMINI_API_KEY",
    env=(
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_GENAI_USE_GCA",
        "GOOGLE_GENAI_USE_VERTEXAI",
    ),
)


def _opencode_mode(permission: str, agent: str) -> AgentMode:
    content = f'{{"permission":{permission},"formatter":false,"lsp":false}}'
    return AgentMode(("--agent", agent), (("OPENCODE_CONFIG_CONTENT", content),))


#: "CLI", "Permissions", "Config": a message on standard input; OPENCODE_CONFIG_CONTENT stands above every other
#: configuration. Events: text, tool_use, step_finish (with the tokens and cost of one model call), error. Plugins and
#: tools of `.opencode` are code. Formatters and language servers may be the project's own packages, so they are off.
_OPENCODE: Final = AgentCli(
    name="opencode",
    argv=("opencode", "run", "--format", "json", ("--model", MODEL), FLAGS),
    modes={
        "read": _opencode_mode('{"edit":"deny","bash":"deny"}', "plan"),
        "write": _opencode_mode('{"edit":"allow","bash":"deny"}', "build"),
        "command": _opencode_mode('{"edit":"allow","bash":"allow"}', "build"),
    },
    lines=True,
    answer="text > part.text",
    usage={
        "input": (
            "sum step_finish > part.tokens.input",
            "sum step_finish > part.tokens.cache.read",
            "sum step_finish > part.tokens.cache.write",
        ),
        "output": ("sum step_finish > part.tokens.output", "sum step_finish > part.tokens.reasoning"),
        "cached": ("sum step_finish > part.tokens.cache.read",),
        "cache_write": ("sum step_finish > part.tokens.cache.write",),
        "reasoning": ("sum step_finish > part.tokens.reasoning",),
        "cost_usd": ("sum step_finish > part.cost",),
    },
    failed=("error > error.name",),
    errors=("error > error.name", "error > error.data.message"),
    leaves_out=(".agents", ".claude", ".opencode", "opencode.json", "opencode.jsonc", *_OF_RUNTIMES),
    login="run `opencode auth login`",
)

#: Its `run` prints what became of the agent and no answer, unless a schema is asked for. The prompt is an argument.
#: Modes are those of the provider behind it, so that none is given here; it says nothing of tokens.
#: `paseo.json` holds commands that it runs, and the agents that it starts read settings of their own.
_PASEO: Final = AgentCli(
    name="paseo",
    argv=(
        "paseo",
        "run",
        "--json",
        "--output-schema",
        '{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}',
        ("--provider", MODEL),
        FLAGS,
        "--",
        PROMPT,
    ),
    modes={"read": AgentMode(), "write": AgentMode(), "command": AgentMode()},
    answer="answer",
    failed=("error.message",),
    errors=("error.code", "error.message"),
    leaves_out=SETTINGS,
    login="start its daemon with `paseo`, and log the provider's own CLI in",
)

SHIPPED: Final[Mapping[str, AgentCli]] = MappingProxyType(
    {each.name: each for each in (_CLAUDE_CODE, _CODEX, _GEMINI_CLI, _OPENCODE, _PASEO)}
)
