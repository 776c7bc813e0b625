"""Agent CLIs: programs of the person's own that do a whole step's work, as Claude Code and Codex do."""

from .description import AGENT_NAMES, MODES, AgentCli, AgentMode, agent_name

__all__ = ["AGENT_NAMES", "MODES", "AgentCli", "AgentMode", "agent_name"]
