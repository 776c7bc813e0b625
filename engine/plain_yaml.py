"""Reads YAML that a stranger may have written into plain values that know their lines.

Its cost is bounded: no aliases, little depth, plain scalars only; the caller bounds its size. Imported only where there
is a file to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from .errors import ConfigError

_MAX_DEPTH = 12
_MAX_NUMBER = 40  # characters of a number: int() of a long one is slow
_SCALARS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null"))
_TEXTS = frozenset({"tag:yaml.org,2002:timestamp"})  # `2024-05-01` is a name here, not a date


class Entry(NamedTuple):
    """One top-level key of a file, or one key of a section (`sandbox.memory_mb`)."""

    name: str
    value: object
    line: int


class _Loader(yaml.SafeLoader):
    """Refuses aliases and depth while composing, before anything is built from them."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark  # the stubs know two kinds of marks, and errors only one of them
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(None, None, "aliases (*name) are not available here", mark)
        if self.depth >= _MAX_DEPTH:
            raise yaml.MarkedYAMLError(None, None, "nested too deeply", mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_entries(where: str, text: str, sections: frozenset[str] = frozenset()) -> tuple[Entry, ...]:
    """The entries of a mapping, in order. Keys of `sections` are flattened to dotted names.

    `where` names the file in errors. Raises ConfigError.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            return () if root is None else tuple(_entries(where, loader, root, sections))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{at}: not valid YAML: {_problem(error)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {str(error).splitlines()[0]}") from error


def _entries(where: str, loader: _Loader, root: yaml.Node, sections: frozenset[str]) -> list[Entry]:
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{where}:{_line(root)}: settings are `key: value` lines, not {_kind(root)}")
    found: list[Entry] = []
    for name, (line, node) in _mapping(where, root).items():
        if name not in sections:
            found.append(Entry(name=name, value=_value(where, loader, node), line=line))
        elif isinstance(node, yaml.MappingNode):
            found += [
                Entry(name=f"{name}.{inner}", value=_value(where, loader, below), line=inner_line)
                for inner, (inner_line, below) in _mapping(where, node).items()
            ]
        elif not (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            raise ConfigError(f"{where}:{line}: `{name}` holds `key: value` lines of its own, not {_kind(node)}")
    return _each_once(where, found)


def _each_once(where: str, entries: list[Entry]) -> list[Entry]:
    """A key of a section may stand there, or with a dot on a line of its own, and not both."""
    lines: dict[str, int] = {}
    for entry in entries:
        if first := lines.get(entry.name):
            raise ConfigError(f"{where}:{entry.line}: `{entry.name}` is set twice (first in line {first}); keep one")
        lines[entry.name] = entry.line
    return entries


def _mapping(where: str, node: yaml.MappingNode) -> Mapping[str, tuple[int, yaml.Node]]:
    found: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"{where}:{_line(key)}: a key is a plain word, not {_kind(key)}")
        if key.value in found:
            raise ConfigError(
                f"{where}:{_line(key)}: `{key.value}` is set twice (first in line {found[key.value][0]}); keep one"
            )
        found[key.value] = (_line(key), value)
    return found


def _value(where: str, loader: _Loader, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return {name: _value(where, loader, below) for name, (_, below) in _mapping(where, node).items()}
    if isinstance(node, yaml.SequenceNode):
        return [_value(where, loader, below) for below in node.value]
    text = str(node.value)
    if node.tag in _TEXTS:
        return text
    if node.tag not in _SCALARS:
        raise ConfigError(f"{where}:{_line(node)}: a value is text, a number, true or false; not `{node.tag}`")
    if node.tag.endswith(":str"):
        return text
    if len(text) > _MAX_NUMBER:
        raise ConfigError(f"{where}:{_line(node)}: a number of {len(text)} digits is too long")
    try:
        value: object = loader.construct_object(node)
    except (ValueError, LookupError) as error:  # `!!int x`, `!!bool x`, `!!int ''`
        raise ConfigError(f"{where}:{_line(node)}: `{text}` is not {_kind(node)}") from error
    return value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f"`{str(node.value)[:60]}`"


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if "'\\t'" in problem:
        return "a tab, by which YAML cannot be indented; use spaces"
    return problem
