"""Models that are agent CLIs: what is known of them. Their turns are jobs, which engine/clis/turns.py has a step do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from ..clis import AgentCli, agent_name
from ..errors import InternalError, SetupError
from ..model import ModelInfo, ModelReply, ModelRequest, Reserve
from .estimate import request_tokens


class CommandBackend:
    """Serves "claude-code", "claude-code/opus" and so on, for the agents that a person has enabled."""

    def __init__(self, agents: Mapping[str, AgentCli]) -> None:
        self._agents = agents

    @property
    def name(self) -> str:
        return "command"

    async def info(self, model: str) -> ModelInfo:
        agent = require_enabled(self._agents, model)
        usd = agent.reserve_usd
        reserve = Reserve(tokens=agent.reserve_tokens, microusd=None if usd is None else round(usd * 1_000_000))
        return ModelInfo(
            input_price=None, output_price=None, native_schema=True, media_types=frozenset(), reserve=reserve
        )

    async def count_tokens(self, request: ModelRequest) -> int:
        return request_tokens(request)

    async def complete(self, request: ModelRequest, on_text: Callable[[str], None] | None = None) -> ModelReply:
        raise InternalError(f"{request.model}: an agent CLI was asked like a model")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def require_enabled(agents: Mapping[str, AgentCli], model: str) -> AgentCli:
    """Raises SetupError that says what to write into the configuration."""
    name = agent_name(model)
    agent = agents.get(name)
    if agent is None or not agent.enabled:
        raise SetupError(
            f"{model}: {name} is an agent CLI, a program of yours that is off until you enable it: write `agents: "
            f"{{{name}: true}}` into your own config (a project's vibe.yaml cannot), and grant it with --allow "
            f"agent:{name}"
        )
    return agent
