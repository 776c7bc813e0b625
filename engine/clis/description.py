"""What a person's configuration says of one agent CLI. Light: every start of the command imports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

#: Those that Vibe describes. `gemini` alone is a provider of models.
AGENT_NAMES: Final = ("claude-code", "codex", "gemini-cli", "opencode", "paseo")
#: What a program may do, weakest first: each is a group of tools that a step asks for.
MODES: Final = ("read", "write", "command")

PROMPT: Final = "{prompt}"
SYSTEM: Final = "{system}"
MODEL: Final = "{model}"
#: An argument that stands for those of the mode.
FLAGS: Final = "{flags}"
PLACES: Final = (PROMPT, SYSTEM, MODEL)

#: Of every sentence that prompting.py says, and of how it puts a prompt together.
PROMPTING_VERSION: Final = 1

#: All that a project may hold and programs of this kind run unasked, or are configured by: names in any folder, of
#: which those that end in `*` begin so. What is only text for a model (CLAUDE.md, AGENTS.md, GEMINI.md) is none of it.
SETTINGS: Final = (
    ".agents",
    ".claude",
    ".codex",
    ".copilot",
    ".cursor",
    ".env*",
    ".gemini",
    ".github",
    ".mcp.json",
    ".opencode",
    ".pi",
    ".vscode",
    "bunfig.toml",
    "opencode.json",
    "opencode.jsonc",
    "paseo.json",
)

#: One argument, or several that are left out together where a placeholder in them stands for nothing.
Word: TypeAlias = "str | tuple[str, ...]"


class AgentMode(NamedTuple):
    flags: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()  # fixed ones of its environment; no secrets


class AgentCli(NamedTuple):
    """How a program is started, and where its answer stands. What texts like `answer` mean, readings.py says."""

    name: str
    argv: tuple[Word, ...]
    answer: str
    modes: Mapping[str, AgentMode] = {}
    lines: bool = False  # it prints a JSON document a line, and not one
    usage: Mapping[str, tuple[str, ...]] = {}
    failed: tuple[str, ...] = ()  # it failed where one of them finds something
    errors: tuple[str, ...] = ()  # what it says of that
    exits: Mapping[int, str] = {}  # what an exit code means: a kind of failures.py
    login: str = ""  # what a person does who is not logged in
    leaves_out: tuple[str, ...] = SETTINGS  # of the project: what it does not find in its copy
    project_settings: bool = False  # True: it finds them all the same
    env: tuple[str, ...] = ()  # variables that it gets beside the few that every program gets
    timeout_s: float = 3_600.0
    reserve_tokens: int | None = None  # what one turn may use at most
    reserve_usd: float | None = None
    enabled: bool = True

    @property
    def grant(self) -> str:
        return f"agent:{self.name}"

    @property
    def program(self) -> str:
        word = self.argv[0]
        return word if isinstance(word, str) else word[0]

    @property
    def left_out(self) -> tuple[str, ...]:
        return () if self.project_settings else self.leaves_out

    @property
    def identity(self) -> dict[str, object]:
        """What shapes its answers; of whose version nothing is known."""
        return {
            "prompting": PROMPTING_VERSION,
            "argv": self.argv,
            "modes": {name: [mode.flags, mode.variables] for name, mode in self.modes.items()},
            "lines": self.lines,
            "answer": self.answer,
            "left_out": sorted(self.left_out),
        }


def agent_name(model: str) -> str:
    """Of `claude-code` and `claude-code/opus`, the first part."""
    return model.partition("/")[0]
