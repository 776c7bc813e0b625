"""Workflows of random shape whose steps look at files, edit them, run commands, and work in worktrees."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.support.editing_deeds import (
    COMMANDS,
    DEEDS,
    EDITS,
    GATE_RETRIES,
    GATES,
    IGNORED,
    MEND,
    PROGRAM,
    READ_IGNORED,
    argv_of,
)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent step. `takes`: its prompt holds what came before it."""

    name: str
    turns: tuple[tuple[int, ...], ...]  # into DEEDS
    takes: bool = False
    files: tuple[str, ...] = ()  # attached
    worktree: str = ""  # how what it does there is merged; "": it works on the project itself
    gate: int = 0  # into GATES

    @property
    def deeds(self) -> tuple[int, ...]:
        return tuple(deed for turn in self.turns for deed in turn)


@dataclass(frozen=True, slots=True)
class Direct:
    """A tool step of the script itself."""

    name: str
    deed: int
    takes: bool = False


@dataclass(frozen=True, slots=True)
class Merge:
    """The script's own merge of what an agent did."""

    agent: Agent
    takes: bool = False


@dataclass(frozen=True, slots=True)
class Several:
    """Steps one after another, or at the same time."""

    together: bool
    parts: tuple[Tree, ...]


Leaf: TypeAlias = Agent | Direct
Work: TypeAlias = Leaf | Merge
Tree: TypeAlias = Leaf | Several
Place: TypeAlias = tuple[int, ...]


def parts_of(tree: Tree) -> tuple[Tree, ...]:
    return tree.parts if isinstance(tree, Several) else ()


def leaves_of(tree: Tree, place: Place = ()) -> Iterator[tuple[Place, Leaf]]:
    """Without merges."""
    if not isinstance(tree, Several):
        yield place, tree
        return
    for number, part in enumerate(tree.parts):
        yield from leaves_of(part, (*place, number))


def works_of(tree: Tree) -> Iterator[tuple[Place, Work]]:
    """All that steps do, with merges, which come right behind their agents."""
    for place, leaf in leaves_of(tree):
        yield place, leaf
        if isinstance(leaf, Agent) and leaf.worktree == "manual":
            yield merge_of(place), Merge(leaf)


def merge_of(place: Place) -> Place:
    return (*place, -1)


def comes_before(tree: Tree, one: Place, other: Place) -> bool:
    """Whether the script awaits the step at `one` before it asks for the step at `other`."""
    for here, there in zip(one, other, strict=False):
        if here != there:
            return here < there and isinstance(tree, Several) and not tree.together
        tree = parts_of(tree)[here]
    return other == merge_of(one)


def in_one_way(tree: Tree) -> bool:
    """Whether it comes to the same in whatever order steps that stand side by side do their work."""
    leaves = list(leaves_of(tree))
    return not any(
        _meet(leaf, other)
        for number, (place, leaf) in enumerate(leaves)
        for there, other in leaves[number + 1 :]
        if not comes_before(tree, place, there)
    )


def _meet(one: Leaf, other: Leaf) -> bool:
    """Whether one of them may edit what the other one looks at or edits. What is looked for anywhere is everywhere."""
    edited = [edited_by(leaf) for leaf in (one, other)]
    seen = [_seen_by(leaf) for leaf in (one, other)]
    return any(
        edits & (seen[there] | edited[there]) or (edits and "" in seen[there])
        for edits, there in ((edited[0], 1), (edited[1], 0))
    )


def edited_by(leaf: Leaf) -> set[str]:
    """Paths, also of what git ignores."""
    found: set[str] = set()
    for deed in deeds_of(leaf):
        if deed in EDITS:
            found.add(DEEDS[deed][1]["path"])
        elif deed in COMMANDS:
            found.update(DEEDS[deed][1]["does"][3::2])
    if isinstance(leaf, Agent) and leaf.gate:
        found.update(GATES[leaf.gate][4::2], [DEEDS[MEND][1]["path"]])
    return found


def _seen_by(leaf: Leaf) -> set[str]:
    found: set[str] = set(leaf.files) if isinstance(leaf, Agent) else set()
    if isinstance(leaf, Agent) and leaf.gate:
        found.add("")
    for deed in deeds_of(leaf):
        if deed not in EDITS:
            found.add(DEEDS[deed][1]["path"] if DEEDS[deed][0] == "read_file" else "")
    return found


def settles(tree: Tree) -> bool:
    """Whether a rerun has nothing to do: what git ignores is no edit, and who read it too early runs again."""
    leaves = list(leaves_of(tree))
    writers = [place for place, leaf in leaves if IGNORED in edited_by(leaf)]
    readers = [place for place, leaf in leaves if READ_IGNORED in deeds_of(leaf)]
    return all(comes_before(tree, one, other) for one in writers for other in readers)


def deeds_of(leaf: Leaf) -> tuple[int, ...]:
    return leaf.deeds if isinstance(leaf, Agent) else (leaf.deed,)


def prompt_of(step: Agent, before: str) -> str:
    said = before if step.takes else ""
    return json.dumps({"name": step.name, "turns": step.turns, "before": said})


def gate_of(step: Agent) -> list[str]:
    """Its argv; empty for none."""
    if not step.gate:
        return []
    ending, kind, text, *deeds = GATES[step.gate]
    return argv_of((ending, kind, *deeds), text)


def _taken(step: Leaf) -> str:
    return "before" if step.takes else '""'


def _written(name: str, value: Any) -> str:
    """An argument of a script's own tool call, as the script says it; `filled` with `text`."""
    if name == "does":
        return _argv_written(value)
    if value != "":
        return repr(value)
    return '"one " + text' if name == "new" else '"one\\n" + text + "\\nthree\\n"'


def _argv_written(does: Sequence[str]) -> str:
    ending, kind, *deeds = does
    return f'[PYTHON, "-c", PROGRAM, {ending!r}, {kind!r}, text, *{deeds!r}]'


def _options(step: Agent, dressing: str) -> str:
    """Of a call of `agent`, as the script says them."""
    deeds = [*step.deeds, *([MEND] if step.gate else [])]
    tools = ["read"]
    tools += ["write"] if any(deed in EDITS for deed in deeds) else []
    tools += ["command"] if any(deed in COMMANDS for deed in deeds) else []
    options = [f"tools={tools!r}", "retries=0", f"label={dressing!r}"]
    if step.files:
        options.append(f"files={list(step.files)!r}")
    if step.worktree:
        options.append(f'isolation="worktree", merge={step.worktree!r}')
    if step.worktree == "manual":
        options.append("detail=True")
    if step.gate:
        ending, kind, text, *does = GATES[step.gate]
        gate = f'[PYTHON, "-c", PROGRAM, {ending!r}, {kind!r}, {text!r}, *{does!r}]'
        options.append(f"gate={gate}, gate_retries={GATE_RETRIES}")
    return ", ".join(options)


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    places: Mapping[int, Place]  # by the line of the call


def script_of(tree: Tree, dressing: str) -> Script:
    """The workflow of a tree. `dressing` changes labels, phases and comments, and nothing that counts."""
    lines = [f"# {dressing}"]
    if any(deed in COMMANDS for _, leaf in leaves_of(tree) for deed in deeds_of(leaf)) or any(
        isinstance(leaf, Agent) and leaf.gate for _, leaf in leaves_of(tree)
    ):
        lines.append(f"PYTHON, PROGRAM = {sys.executable!r}, {PROGRAM!r}")
    places: dict[int, Place] = {}

    def emit(node: Tree, place: Place) -> str:
        inner = [emit(part, (*place, number)) for number, part in enumerate(parts_of(node))]
        name = "_".join(["part", *map(str, place)])
        lines.append(f"async def {name}(before):")
        match node:
            case Agent():
                prompt = f'{{"name": {node.name!r}, "turns": {node.turns!r}, "before": {_taken(node)}}}'
                places[len(lines) + 1] = place
                lines.append(f"    came = await agent(json.dumps({prompt}), {_options(node, dressing)})")
                if node.worktree == "manual":
                    places[len(lines) + 1] = merge_of(place)
                    lines.append("    await merge(came)")
                    lines.append("    return came.value")
                else:
                    lines.append("    return came")
            case Direct():
                lines.append(f"    text = {node.name!r} + {_taken(node)}")
                given = ", ".join(
                    f"{'argv' if name == 'does' else name}={_written(name, value)}"
                    for name, value in DEEDS[node.deed][1].items()
                )
                places[len(lines) + 1] = place
                lines.append(f'    came = await tool("{DEEDS[node.deed][0]}", {given})')
                lines.append("    return json.dumps(came, sort_keys=True)")
            case Several(together=True):
                lines.append(f"    came = await parallel(part(before) for part in [{', '.join(inner)}])")
                lines.append('    return "|".join(str(each) for each in came)')
            case Several():
                lines.append(f"    for part in [{', '.join(inner)}]:")
                lines.append("        before = await part(before)")
                lines.append("    return before")
        return name

    root = emit(tree, ())
    lines += ["async def main(args):", f'    phase("{dressing}")', f'    return await {root}("")']
    return Script("\n".join(lines) + "\n", places)
