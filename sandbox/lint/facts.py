"""What a script names that lies outside of it: models, profiles, tools, files and programs, for the engine to judge."""

from __future__ import annotations

import ast
from typing import Any

from .described import Description
from .findings import Findings
from .literals import Literals, NotLiteral
from .script import Script


def gather_facts(script: Script, literals: Literals, about: Description, findings: Findings) -> None:
    """Kinds: model, profile, tool, file and program with a name each, and `call` of a tool with what it is given."""
    gathered = _Facts(script, literals, findings)
    for call in script.calls:
        match script.called(call):
            case "agent":
                gathered.of_agent(call)
            case "phase":
                for keyword in call.keywords:
                    if keyword.arg == "model":
                        gathered.name("model", keyword.value)
            case "tool":
                gathered.of_tool(call)
    if (node := about.part("model")) is not None:
        gathered.name("model", node)


class _Facts:
    def __init__(self, script: Script, literals: Literals, findings: Findings) -> None:
        self._script = script
        self._literals = literals
        self._findings = findings

    def name(self, kind: str, node: ast.expr) -> None:
        text = self._literals.text(node)
        if text is not None and text.strip():
            self._findings.fact(kind, node, text[:300])

    def of_agent(self, call: ast.Call) -> None:
        for keyword in call.keywords:
            match keyword.arg:
                case "model" | "profile":
                    self.name(keyword.arg, keyword.value)
                case "tools":
                    self._items("tool", keyword.value)
                case "files":
                    self._items("file", keyword.value)
                case "gate":
                    self._program(keyword.value)

    def of_tool(self, call: ast.Call) -> None:
        name = self._literals.text(call.args[0]) if call.args else None
        if not name:
            return
        given = [each.arg for each in call.keywords]
        value: dict[str, Any] = {
            "name": name[:300],
            "given": [each[:100] for each in given if each is not None][:100],
            "whole": None not in given,
        }
        self._findings.fact("call", call.args[0], value)

    def _items(self, kind: str, node: ast.expr) -> None:
        """Each name at its own place where the list stands in the call, else at the name of the list."""
        source = self._literals.source(node)
        for item in source.elts if isinstance(source, ast.List | ast.Tuple) else ():
            text = self._literals.text(item)
            if text:
                self._findings.fact(kind, item if source is node else node, text[:300])

    def _program(self, node: ast.expr) -> None:
        source = self._literals.source(node)
        if isinstance(source, ast.List | ast.Tuple) and source.elts:
            self.name("program", source.elts[0])
            return
        try:
            words = self._literals.value(node)
        except NotLiteral:
            return
        if isinstance(words, list) and words and isinstance(words[0], str):
            self._findings.fact("program", node, words[0][:300])
