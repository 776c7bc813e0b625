"""A model that does what its prompts say: tool calls turn by turn, then an answer."""

from __future__ import annotations

import json
from typing import Any

from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest, Usage

_USAGE = Usage(input_tokens=10, output_tokens=2, cost_microusd=1)


def deeds(*turns: list[list[Any]], answer: str = "done", **more: Any) -> str:
    """A prompt: each turn is a list of [tool, arguments]."""
    return json.dumps({"turns": turns, "answer": answer, **more})


def do(request: ModelRequest) -> ModelReply:
    """The next turn of the step, or its answer."""
    prompt = json.loads(next(message.text for message in request.messages if message.role is Role.USER))
    made = sum(message.role is Role.ASSISTANT for message in request.messages)
    if made >= len(prompt["turns"]):
        return ModelReply(text=prompt["answer"], finish=FinishReason.STOP, usage=_USAGE)
    calls = tuple(
        ToolRequest(id=f"c{made}.{number}", name=name, arguments=json.dumps(arguments))
        for number, (name, arguments) in enumerate(prompt["turns"][made])
    )
    return ModelReply(text="", finish=FinishReason.TOOL_CALLS, usage=_USAGE, tool_requests=calls)


def isolated(*turns: list[list[Any]], answer: str = "done", name: str = "", **options: Any) -> str:
    """The expression of a script that calls an agent in a worktree which does these turns."""
    options = {"tools": ["read", "write"], "isolation": "worktree", **options}
    given = ", ".join(f"{option}={value!r}" for option, value in options.items())
    return f"agent({deeds(*turns, answer=answer, name=name)!r}, {given})"


def read(path: str) -> list[Any]:
    return ["read_file", {"path": path}]


def write(path: str, content: str) -> list[Any]:
    return ["write_file", {"path": path, "content": content}]


def edit(path: str, old: str, new: str) -> list[Any]:
    return ["edit_file", {"path": path, "old": old, "new": new}]
