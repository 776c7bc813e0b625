"""Which steps are an agent CLI's, and what they need beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..backends.command import require_enabled
from ..errors import SetupError, ToolDenied
from ..grants import COMMAND_GRANT, require_agent
from ..keys import canonical_json, content_digest
from ..requests import ChosenAgent
from ..routing import ModelChoice
from .description import AGENT_NAMES, MODES, AgentCli, agent_name

_DIGITS: Final = 16


class AgentChoice:
    """Of one run: the agents that are configured, the grants of the run, and the group of each tool by its name."""

    def __init__(self, agents: Mapping[str, AgentCli], granted: Sequence[str], groups: Mapping[str, str]) -> None:
        self._agents = agents
        self._groups = groups
        self._names = frozenset((*agents, *AGENT_NAMES))
        self._granted = tuple(granted)

    def __call__(self, choice: ModelChoice, tools: Sequence[str]) -> tuple[ChosenAgent, ...]:
        """Implements `ChooseAgents`."""
        models = [model for model in (choice.model, *choice.fallbacks) if agent_name(model) in self._names]
        if not models:
            return ()
        found = [require_enabled(self._agents, model) for model in models]
        for agent in found:
            require_agent(agent.name, self._granted)
        self._require_groups(found[0].name, tools)
        return tuple(ChosenAgent(agent.grant, digest_of(agent)) for agent in found)

    def _require_groups(self, name: str, tools: Sequence[str]) -> None:
        """All tools of a group by their names are the group: so profiles have them."""
        named = frozenset(tools)
        whole = {
            mode for mode in MODES if named.issuperset(tool for tool, group in self._groups.items() if group == mode)
        }
        for tool in tools:
            if tool not in MODES and self._groups.get(tool) not in whole:
                raise SetupError(
                    f"tools: {name} is an agent CLI, with tools of its own, and cannot be given `{tool}`; the groups "
                    f"{', '.join(MODES)} say what it may do with them"
                )
        if any(self._groups.get(tool, tool) == COMMAND_GRANT for tool in tools) and COMMAND_GRANT not in self._granted:
            raise ToolDenied(
                f"tools: {name} cannot be held to some commands, so that the group `command` needs the whole grant: "
                "--allow command"
            )


def digest_of(agent: AgentCli) -> str:
    """Of how it is run: part of the key of its steps."""
    return content_digest(canonical_json(agent.identity))[:_DIGITS]
