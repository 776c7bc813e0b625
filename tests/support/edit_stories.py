"""Workflows of steps that edit, to be killed; a model that does what its prompts order; and what the files come to.

No two steps that may be at work at a time look at a file that one of them edits: so an undisturbed run has one result,
whatever its order. Every edit adds a line of its own, so that one that was made twice shows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.support.reuse_world import USAGE, Asked, answer_to
from vibe_workflows.engine.model import FinishReason, ModelReply, ToolRequest

#: A call of a tool: its name and arguments.
Order: TypeAlias = tuple[str, dict[str, Any]]
#: The calls of a step, by turn.
Orders: TypeAlias = list[list[Order]]

BEGINNING = "begin\nend\n"
STATIC = "static.txt"


def ordered_by(prompt: str) -> Orders | None:
    """What a prompt orders; None for the prompt of another kind of workflow."""
    orders: Orders | None = json.loads(prompt).get("orders")
    return orders


def ordered_reply(asked: Asked, orders: Orders) -> ModelReply:
    """The next turn of a step, or its answer. Its text names all that the model saw, in every turn."""
    name, turn = answer_to(asked), turn_of(asked, orders)
    if turn == len(orders):
        return ModelReply(text=name, finish=FinishReason.STOP, usage=USAGE)
    requests = tuple(
        ToolRequest(id=f"c{turn}-{number}", name=tool, arguments=json.dumps(arguments))
        for number, (tool, arguments) in enumerate(orders[turn])
    )
    return ModelReply(text=name, finish=FinishReason.TOOL_CALLS, usage=USAGE, tool_requests=requests)


def turn_of(asked: Asked, orders: Orders) -> int:
    """How many turns are finished, their tools too."""
    shown, turn = len(asked.shown), 0
    while shown:
        shown -= len(orders[turn])
        turn += 1
    return turn


def name_of_turn_before(asked: Asked, orders: Orders) -> str | None:
    turn = turn_of(asked, orders)
    if not turn:
        return None
    return answer_to(Asked(asked.prompt, asked.shown[: -len(orders[turn - 1])]))


# ---------------------------------------------------------------- stories


@dataclass
class EditStory:
    """A workflow, the files that it begins with, and all that each of them holds at some time, in order."""

    lines: list[str] = field(default_factory=list)
    histories: dict[str, list[str | None]] = field(default_factory=dict)
    edits: int = 0
    steps: int = 0

    @property
    def files(self) -> dict[str, str]:
        """At the beginning."""
        return {path: history[0] for path, history in self.histories.items() if history[0] is not None}

    @property
    def source(self) -> str:
        return "\n".join(["async def main(args):", '    before = ""', *self.lines, "    return before"]) + "\n"

    def has(self, path: str, content: str | None = BEGINNING) -> None:
        self.histories.setdefault(path, [content])

    # ------------------------------------------------------------ orders

    def read(self, path: str) -> Order:
        return "read_file", {"path": path}

    def edit(self, path: str) -> Order:
        """Add a line."""
        line = f"line {self._next_edit()}"
        self._holds(path, str(self.histories[path][-1]).replace("end\n", f"{line}\nend\n"))
        return "edit_file", {"path": path, "old": "end", "new": f"{line}\nend"}

    def write(self, path: str) -> Order:
        """All of it, anew."""
        content = f"written {self._next_edit()}\nend\n"
        self.has(path, None)
        self._holds(path, content)
        return "write_file", {"path": path, "content": content}

    def command(self, *paths: str) -> Order:
        """Add a line to each of these files, by one program."""
        line = f"line {self._next_edit()}"
        for path in paths:
            self._holds(path, str(self.histories[path][-1]).replace("end\n", f"{line}\nend\n"))
        return "run_command", {"argv": ["sed", "-i", f"s/^end$/{line}\\nend/", *paths]}

    def _next_edit(self) -> int:
        self.edits += 1
        return self.edits

    def _holds(self, path: str, content: str) -> None:
        self.histories[path].append(content)

    # ------------------------------------------------------------ steps

    def agent(
        self, orders: Orders, *, takes: str = "before", name: str = "", tools: Sequence[str] = ("read", "write")
    ) -> str:
        """An expression that makes the step; its prompt holds what `takes` names."""
        self.steps += 1
        head = {"orders": orders, "name": name}
        return f'agent(json.dumps({head!r} | {{"before": {takes}}}), tools={list(tools)!r}, retries=0)'

    def tool(self, order: Order) -> str:
        self.steps += 1
        name, arguments = order
        return f"tool({name!r}, **{arguments!r})"

    def alone(self, step: str) -> None:
        self.lines.append(f"    before = str(await {step})")

    def together(self, branches: Sequence[Sequence[str]]) -> None:
        """Branches of steps, at the same time; the steps of one take what came before them there."""
        names = []
        for number, steps in enumerate(branches):
            names.append(f"branch_{len(self.lines)}_{number}")
            self.lines.append(f"    async def {names[-1]}(before):")
            self.lines += [f"        before = str(await {step})" for step in steps]
            self.lines.append("        return before")
        calls = ", ".join(f"{name}(before)" for name in names)
        self.lines.append(f'    before = "|".join(str(each) for each in await parallel([{calls}]))')


#: All files, which a step may look at only when no other one is at work.
EVERYTHING: Sequence[Order] = (
    ("grep", {"pattern": "line|written"}),
    ("glob", {"pattern": "**/*.txt"}),
    ("list_files", {"path": "."}),
)


def editing_story(dice: random.Random, stages: int) -> EditStory:
    """Ten steps a stage: four branches of two, each with files of its own; then a step alone, and a look at all."""
    story = EditStory()
    story.has(STATIC)
    for branch in range(4):
        for name in ("one", "two"):
            story.has(f"{name}-{branch}.txt")
    for stage in range(stages):
        story.together([_branch(story, dice, stage, branch) for branch in range(4)])
        story.alone(_step(story, dice, stage, dice.randrange(4)))
        story.alone(story.agent([[story.read(STATIC)], [dice.choice(EVERYTHING)]]))
    return story


def _branch(story: EditStory, dice: random.Random, stage: int, branch: int) -> list[str]:
    return [_step(story, dice, stage, branch), _step(story, dice, stage, branch)]


def _step(story: EditStory, dice: random.Random, stage: int, branch: int) -> str:
    one, two = f"one-{branch}.txt", f"two-{branch}.txt"
    new = f"new-{branch}/at-{stage}.txt"
    kind = dice.randrange(7)
    if kind == 0:
        return story.tool(story.edit(one))
    if kind == 1:
        return story.tool(story.write(new))
    if kind == 2:  # two files, by two turns
        return story.agent([[story.read(one)], [story.edit(one)], [story.edit(two), story.read(two)]])
    if kind == 3:  # several edits a turn, looks before, between and behind them
        turn = [story.read(two), story.read(one), story.edit(one), story.read(one), story.edit(one), story.read(STATIC)]
        return story.agent([turn, [story.read(one)]])
    if kind == 4:  # two files, by one turn
        return story.agent([[story.edit(one), story.edit(two), story.write(new)]])
    if kind == 5:  # an edit that fails
        missing: Order = ("edit_file", {"path": two, "old": "not there", "new": "x"})
        return story.agent([[missing, story.read(two)], [story.edit(two)]])
    return story.agent([[story.read(one), story.read(two)]])
