"""A project in a dict: three files, the tools that look at them and edit them. A thousand runs take seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

import trio

from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FILE_STATE, JSON, ToolSpec
from vibe_workflows.engine.observe import outcome_digest
from vibe_workflows.engine.ports import Footprint, PlannedEdit, Tool, ToolResult

PATHS = ("a.py", "b.py", "n.md")

#: What lies where; a path that is missing is no file.
Files: TypeAlias = dict[str, bytes]

#: What a step does in one turn: a tool and its arguments, without what an edit writes.
Op: TypeAlias = tuple[str, ...]


def arguments_of(op: Op) -> dict[str, JSON]:
    match op:
        case ("line", path, number):
            return {"path": path, "number": int(number)}
        case ("glob", suffix):
            return {"suffix": suffix}
        case (_, path):
            return {"path": path}
    return {}


def paths_of(op: Op) -> frozenset[str]:
    """What an op may depend on, exactly."""
    match op:
        case ("tree",):
            return frozenset(PATHS)
        case ("glob", suffix):
            return frozenset(path for path in PATHS if path.endswith(suffix))
        case _:
            return frozenset([op[1]])


def edits(op: Op) -> bool:
    return op[0] in ("edit", "write")


# ---------------------------------------------------------------- looks


def _text(files: Mapping[str, bytes], path: object) -> str:
    if path not in files:
        raise ToolFailed(f"{path}: no such file")
    return files[str(path)].decode()


def _read(files: Mapping[str, bytes], arguments: Mapping[str, JSON]) -> JSON:
    return _text(files, arguments["path"])


def _line(files: Mapping[str, bytes], arguments: Mapping[str, JSON]) -> JSON:
    number = arguments["number"]
    assert isinstance(number, int)
    return _text(files, arguments["path"]).split("\n")[number]


def _glob(files: Mapping[str, bytes], arguments: Mapping[str, JSON]) -> JSON:
    return [path for path in sorted(files) if path.endswith(str(arguments["suffix"]))]


def _tree(files: Mapping[str, bytes], arguments: Mapping[str, JSON]) -> JSON:
    return {path: files[path].decode() for path in sorted(files)}


def _state(files: Mapping[str, bytes], arguments: Mapping[str, JSON]) -> JSON:
    path = str(arguments["path"])
    return {"digest": content_digest(files[path]) if path in files else None}


_LOOKS: dict[str, Callable[[Mapping[str, bytes], Mapping[str, JSON]], JSON]] = {
    "read": _read,
    "line": _line,
    "glob": _glob,
    "tree": _tree,
    FILE_STATE: _state,
}


def seen(tool: str, arguments: str, files: Mapping[str, bytes]) -> str:
    """The digest of what a look shows."""
    try:
        return outcome_digest(ToolResult(text="", data=_LOOKS[tool](files, json.loads(arguments))))
    except ToolFailed as error:
        return outcome_digest(error)


def _footprint(arguments: Mapping[str, JSON]) -> Footprint:
    if "path" in arguments:
        return Footprint(path=str(arguments["path"]))
    return Footprint(path="", deep=True)


class LookTool:
    group = "read"
    observes = True

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self.spec = ToolSpec(name=name, description="", parameters={})
        self._look = _LOOKS[name]
        self._files = files

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return _footprint(arguments)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        await trio.lowlevel.checkpoint()
        data = self._look(self._files, arguments)
        return ToolResult(text=json.dumps(data), data=data)


def look_tools(files: Mapping[str, bytes]) -> tuple[Tool, ...]:
    return tuple(LookTool(name, files) for name in _LOOKS)


def looks_over(files: Mapping[str, bytes], others: Mapping[str, bytes | None]) -> Iterable[Tool]:
    """The tools for a project in which some files are otherwise."""
    there = {path: data for path, data in {**files, **others}.items() if data is not None}
    return look_tools(there)


# ---------------------------------------------------------------- edits


class EditTool:
    """`write` makes two lines of a file, `edit` replaces its first one."""

    group = "write"
    observes = False

    def __init__(self, name: str, files: Mapping[str, bytes]) -> None:
        self.spec = ToolSpec(name=name, description="", parameters={})
        self._files = files

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint | None:
        return _footprint(arguments)

    def file(self, arguments: Mapping[str, JSON]) -> str | None:
        return str(arguments["path"])

    async def plan(self, arguments: Mapping[str, JSON]) -> PlannedEdit:
        await trio.lowlevel.checkpoint()
        path = str(arguments["path"])
        before = self._files.get(path)
        last = "w" if self.spec.name == "write" else "-" if before is None else before.decode().split("\n")[1]
        after = f"{arguments['first']}\n{last}".encode()
        return PlannedEdit(path=path, before=before, after=after, result=ToolResult(text="done", data=None))

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        raise AssertionError("an edit is planned, and made by the timeline")


def all_tools(files: Mapping[str, bytes]) -> tuple[Tool, ...]:
    return (*(tool for tool in look_tools(files) if tool.spec.name != FILE_STATE), *edit_tools(files))


def edit_tools(files: Mapping[str, bytes]) -> tuple[EditTool, ...]:
    return EditTool("write", files), EditTool("edit", files)


class DictFiles:
    """Implements `ports.ProjectFiles`. `on_write` is called before and after each write, and may raise."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.state: Tool = LookTool(FILE_STATE, files)
        self.on_write: Callable[[str], None] = lambda moment: None

    async def digest(self, path: str) -> str | None:
        await trio.lowlevel.checkpoint()
        return content_digest(self._files[path]) if path in self._files else None

    async def read(self, path: str) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return self._files.get(path)

    def require_writable(self, path: str) -> None:
        return None

    async def write(self, path: str, before: bytes | None, after: bytes | None) -> None:
        self.on_write("before")
        await trio.lowlevel.checkpoint()
        if self._files.get(path) != before:
            raise ToolDenied(f"{path}: it is not as it was")
        put(self._files, path, after)
        self.on_write("after")

    def clear_leftovers(self, paths: Collection[str]) -> None:
        return None


def put(files: Files, path: str, data: bytes | None) -> None:
    if data is None:
        files.pop(path, None)
    else:
        files[path] = data
