"""Workflows of random shape whose steps look at files and edit them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.support.reuse_world import OPS

#: What steps do, by number: looks as in `reuse_world`, then edits; of these, a text "" is to be filled in.
DEEDS: tuple[tuple[str, dict[str, Any]], ...] = (
    *OPS,
    *(("edit_file", {"path": path, "old": "one", "new": ""}) for path in ("a.py", "b.py", "n.md", "sub/c.py")),
    ("edit_file", {"path": "a.py", "old": "three", "new": ""}),
    *(("write_file", {"path": path, "content": ""}) for path in ("a.py", "b.py", "n.md", "sub/new.py", "new.md")),
    *(("write_file", {"path": path, "content": "one\ntwo\nthree\n"}) for path in ("a.py", "b.py", "new.md")),
)
LOOKS = range(len(OPS))
EDITS = range(len(OPS), len(DEEDS))


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent step. `takes`: its prompt holds what came before it."""

    name: str
    turns: tuple[tuple[int, ...], ...]  # into DEEDS
    takes: bool = False
    files: tuple[str, ...] = ()  # attached

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
class Several:
    """Steps one after another, or at the same time."""

    together: bool
    parts: tuple[Tree, ...]


Leaf: TypeAlias = Agent | Direct
Tree: TypeAlias = Leaf | Several
Place: TypeAlias = tuple[int, ...]


def parts_of(tree: Tree) -> tuple[Tree, ...]:
    return tree.parts if isinstance(tree, Several) else ()


def leaves_of(tree: Tree, place: Place = ()) -> Iterator[tuple[Place, Leaf]]:
    if not isinstance(tree, Several):
        yield place, tree
        return
    for number, part in enumerate(tree.parts):
        yield from leaves_of(part, (*place, number))


def comes_before(tree: Tree, one: Place, other: Place) -> bool:
    """Whether the script awaits the step at `one` before it asks for the step at `other`."""
    for here, there in zip(one, other, strict=False):
        if here != there:
            return here < there and isinstance(tree, Several) and not tree.together
        tree = parts_of(tree)[here]
    return False


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
    edited = [{DEEDS[deed][1]["path"] for deed in deeds_of(leaf) if deed in EDITS} for leaf in (one, other)]
    seen = [
        {
            DEEDS[deed][1].get("path", "") if DEEDS[deed][0] == "read_file" else ""
            for deed in deeds_of(leaf)
            if deed in LOOKS
        }
        for leaf in (one, other)
    ]
    attached = [set(leaf.files) if isinstance(leaf, Agent) else set() for leaf in (one, other)]
    return any(
        edits & (seen[there] | attached[there] | edited[there]) or (edits and "" in seen[there])
        for edits, there in ((edited[0], 1), (edited[1], 0))
    )


def _looked_at(deed: int) -> str:
    tool, arguments = DEEDS[deed]
    return str(arguments["path"]) if tool == "read_file" else ""


def deeds_of(leaf: Leaf) -> tuple[int, ...]:
    return leaf.deeds if isinstance(leaf, Agent) else (leaf.deed,)


def prompt_of(step: Agent, before: str) -> str:
    said = before if step.takes else ""
    return json.dumps({"name": step.name, "turns": step.turns, "before": said})


def filled(deed: int, text: str) -> dict[str, Any]:
    """The arguments of a deed in which `text` is written."""
    arguments = dict(DEEDS[deed][1])
    if arguments.get("new") == "":
        arguments["new"] = f"one {text}"
    if arguments.get("content") == "":
        arguments["content"] = f"one\n{text}\nthree\n"
    return arguments


def _taken(step: Leaf) -> str:
    return "before" if step.takes else '""'


def _written(name: str, value: Any) -> str:
    """An argument of a script's own tool call, as the script says it; `filled` with `text`."""
    if value != "":
        return repr(value)
    return '"one " + text' if name == "new" else '"one\\n" + text + "\\nthree\\n"'


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    places: Mapping[int, Place]  # by the line of the call


def script_of(tree: Tree, dressing: str) -> Script:
    """The workflow of a tree. `dressing` changes labels, phases and comments, and nothing that counts."""
    lines = [f"# {dressing}"]
    places: dict[int, Place] = {}

    def emit(node: Tree, place: Place) -> str:
        inner = [emit(part, (*place, number)) for number, part in enumerate(parts_of(node))]
        name = "_".join(["part", *map(str, place)])
        lines.append(f"async def {name}(before):")
        match node:
            case Agent():
                prompt = f'{{"name": {node.name!r}, "turns": {node.turns!r}, "before": {_taken(node)}}}'
                tools = ["read", "write"] if any(deed in EDITS for deed in node.deeds) else ["read"]
                options = f'tools={tools!r}, retries=0, label="{dressing}"'
                places[len(lines) + 1] = place
                files = f", files={list(node.files)!r}" if node.files else ""
                lines.append(f"    return await agent(json.dumps({prompt}), {options}{files})")
            case Direct():
                lines.append(f"    text = {node.name!r} + {_taken(node)}")
                given = ", ".join(f"{name}={_written(name, value)}" for name, value in DEEDS[node.deed][1].items())
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
