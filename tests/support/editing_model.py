"""A model whose answers, and what it writes into files, are hashes of all that it saw."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import trio

from tests.support.editing_deeds import DEEDS, MEND, filled
from tests.support.reuse_world import USAGE
from vibe_workflows.engine.agents.tools.secrets import is_temporary
from vibe_workflows.engine.backends.scripted import Scripted
from vibe_workflows.engine.errors import ProviderError
from vibe_workflows.engine.model import FinishReason, ModelReply, ModelRequest, Role, ToolRequest

#: Contents of the files of a project, by path; what is not here is not there.
Files: TypeAlias = dict[str, bytes]


def files_in(folder: Path, *, edits_under_way: bool = False) -> Files:
    """`edits_under_way`: without their temporary files, which come and go. Otherwise there are to be none."""
    found: Files = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".vibe"]
        for name in names:
            path = Path(place, name)
            if name != "vibe.yaml" and not (edits_under_way and is_temporary(name)):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """A model call as the model sees it: the prompt, attached files by digest, and what its deeds have shown so far."""

    prompt: str
    files: tuple[tuple[str, str], ...]
    shown: tuple[str, ...]
    back: tuple[str, ...] = ()  # why its answers did not count so far

    @property
    def left(self) -> list[list[int]]:
        """The turns that are still to be made: for each answer that did not count there is one more."""
        turns: list[list[int]] = json.loads(self.prompt)["turns"] + [[MEND]] * len(self.back)
        done = len(self.shown)
        while turns and done:
            done -= len(turns.pop(0))
        return turns


def asked_by(request: ModelRequest) -> Asked:
    user, *back = [message for message in request.messages if message.role is Role.USER]
    files = tuple((part.path, part.digest) for part in user.files)
    prompt = user.text[user.context_chars :]
    shown = tuple(message.text for message in request.messages if message.role is Role.TOOL)
    return Asked(prompt, files, shown, tuple(message.text for message in back))


def answer_to(asked: Asked) -> str:
    return hashlib.blake2b(repr(asked).encode(), digest_size=6).hexdigest()


def arguments_of(asked: Asked, number: int, deed: int) -> dict[str, Any]:
    """What the model asks of a tool, as the `number`-th call of a turn."""
    return filled(deed, f"{answer_to(asked)}.{number}")


def reply_to(asked: Asked) -> ModelReply:
    """The next turn of the step, or its answer. Its text names all that the model saw, in every turn."""
    if not asked.left:
        return ModelReply(text=answer_to(asked), finish=FinishReason.STOP, usage=USAGE)
    calls = tuple(
        ToolRequest(id=f"c{number}", name=DEEDS[deed][0], arguments=json.dumps(arguments_of(asked, number, deed)))
        for number, deed in enumerate(asked.left[0])
    )
    return ModelReply(text=answer_to(asked), finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=calls)


@dataclass(frozen=True, slots=True)
class Began:
    """A step asked the model for the first time: for what, and how the files lay."""

    prompt: str
    attached: tuple[str, ...]  # paths
    files: Files

    def is_asked_by(self, spec: str) -> bool:
        """Whether a step of this spec asks for the same."""
        asked = json.loads(spec)
        return (asked.get("prompt"), tuple(asked.get("files", ()))) == (self.prompt, self.attached)


@dataclass
class Model:
    """Answers; refuses the last turn of some names; interrupts the process at its `kill_at`-th call."""

    folder: Path
    failing: frozenset[str] = frozenset()
    kill_at: int | None = None
    killed: bool = False
    paid: int = 0
    began: list[Began] = field(default_factory=list)

    async def __call__(self, request: ModelRequest) -> Scripted:
        if self.kill_at is not None and self.paid >= self.kill_at:
            if not self.killed:
                self.killed = True
                os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        asked = asked_by(request)
        if not asked.shown and not asked.back:
            attached = tuple(path for path, _ in asked.files)
            self.began.append(Began(asked.prompt, attached, files_in(self.folder, edits_under_way=True)))
        if json.loads(asked.prompt)["name"] in self.failing and not asked.left:
            return ProviderError("the provider is down")
        self.paid += 1
        return reply_to(asked)
