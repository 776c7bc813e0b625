"""Writes docs/reference.md, the reference of the primitives, from the typed module that scripts import.

`python -m tests.documentation.reference` writes it; a test compares. What the page says is what an editor shows.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from tests.documentation.pages import ROOT
from vibe_workflows.sandbox import script_errors
from vibe_workflows.sandbox.facades.registry import importable
from vibe_workflows.script import errors

PAGE = ROOT / "docs/reference.md"
_SCRIPT = ROOT / "sandbox/script"

HEAD = """\
# The script language: reference

Every name that a workflow has in scope, with its signature. The same text is shown by an editor, since scripts may
import these names: `from vibe_workflows.script import agent, parallel`. The language on one page, with its rules, is
`vibe guide`.

A budget, where one is taken, is a dict of `tokens`, `usd`, `steps` and `seconds`, or a text: `"200k"`, `"1.5M"`
(tokens), `"$1.50"`. An option that is None counts as not given.
"""

#: Of the functions and objects of the module, in the order of a first reading.
_PRIMITIVES = (
    *("agent", "tool", "parallel", "pipeline", "race", "phase", "budget", "log"),
    *("merge", "args", "now", "random", "has_model"),
)
#: How an object of the module is used: its class.
_OBJECTS = {"budget": "Budget", "args": "Args", "random": "Random"}
_OPTIONS = {"agent": "AgentOptions", "parallel": "FanOutOptions", "pipeline": "FanOutOptions"}


def reference() -> str:
    """The page, ending in a newline."""
    functions = _definitions(_SCRIPT / "__init__.py")
    classes = _definitions(_SCRIPT / "types.py")
    lines = [HEAD, "## Primitives", ""]
    for name in _PRIMITIVES:
        lines += _primitive(name, functions, classes)
    lines += ["## What steps give", "", *_class("Step", classes), *_class("StepResult", classes)]
    lines += ["## Errors", "", *_errors()]
    lines += ["## Imports", "", f"Besides `vibe_workflows.script` and `vibe_workflows.patterns`: {importable()}.", ""]
    return "\n".join(lines)


Definitions = dict[str, ast.FunctionDef | ast.ClassDef | ast.AnnAssign]


def _definitions(path: Path) -> Definitions:
    """The last definition of each name: of an overloaded function, that which is documented."""
    found: Definitions = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


class _Spelled(ast.NodeTransformer):
    """Spells out the short names of types: a reader has no module to look them up in."""

    def __init__(self, aliases: dict[str, ast.expr]) -> None:
        self._aliases = aliases

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._aliases.get(node.id, node)


def _aliases() -> dict[str, ast.expr]:
    found = {"BudgetSpec": ast.parse("dict | str", mode="eval").body}
    for name, node in _definitions(_SCRIPT / "types.py").items():
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Subscript):
            choices = node.value.slice
            assert isinstance(choices, ast.Tuple | ast.Constant)
            words = [ast.unparse(each) for each in (choices.elts if isinstance(choices, ast.Tuple) else [choices])]
            if ast.unparse(node.value.value) == "Literal":
                found[name] = ast.parse(" | ".join(words), mode="eval").body
    return found


_SPELLED = _Spelled(_aliases())


def _unparsed(node: ast.AST) -> str:
    """As a person writes it: names spelled out, spaces around a default, double quotes."""
    return re.sub(r"(?<=[\w\]'])=(?=[\w'\[-])", " = ", ast.unparse(_SPELLED.visit(node))).replace("'", '"')


def _primitive(name: str, functions: Definitions, classes: Definitions) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    node = functions[name]
    if isinstance(node, ast.FunctionDef):
        yield from _code(_signature(node))
        yield from _text(ast.get_docstring(node) or "")
    else:
        yield from _class(_OBJECTS[name], classes, heading=False)
    if name in _OPTIONS:
        yield from _options(classes[_OPTIONS[name]])


def _signature(node: ast.FunctionDef, *, method_of: str = "") -> str:
    arguments = _unparsed(node.args)
    if method_of:
        arguments = re.sub(r"^self(, /)?(, )?", "", arguments)
    arguments = re.sub(r"\*\*options: Unpack\[\w+\]", "**options", arguments)
    result = f" -> {_unparsed(node.returns)}" if node.returns else ""
    name = {"__call__": method_of, "__init__": method_of}.get(node.name) or f"{method_of}.{node.name}".lstrip(".")
    return f"{name}({arguments}){result}"


def _class(name: str, classes: Definitions, *, heading: bool = True) -> Iterator[str]:
    node = classes[name]
    assert isinstance(node, ast.ClassDef)
    if heading:
        yield f"### {name}"
        yield ""
    yield from _text(ast.get_docstring(node) or "")
    shown = name if heading else name.lower()
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef) and _is_public(each.name)]
    if not methods:
        return
    yield "| | |"
    yield "|---|---|"
    for each in methods:
        is_property = any(isinstance(mark, ast.Name) and mark.id == "property" for mark in each.decorator_list)
        text = f".{each.name}" if is_property else _signature(each, method_of=shown)
        about = " ".join((ast.get_docstring(each) or "").split())
        yield f"| `{_cell(text)}` | {_cell(about)} |"
    yield ""


def _is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__call__"


def _options(node: ast.FunctionDef | ast.ClassDef | ast.AnnAssign) -> Iterator[str]:
    assert isinstance(node, ast.ClassDef)
    yield "| option | type | |"
    yield "|---|---|---|"
    for at, each in enumerate(node.body):
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        about = node.body[at + 1] if at + 1 < len(node.body) else None
        text = ""
        if isinstance(about, ast.Expr) and isinstance(about.value, ast.Constant):
            text = " ".join(str(about.value.value).split())
        yield f"| `{each.target.id}` | `{_cell(_unparsed(each.annotation).removesuffix(' | None'))}` | {_cell(text)} |"
    yield ""


def _errors() -> Iterator[str]:
    yield "| error | is a | when |"
    yield "|---|---|---|"
    for name in script_error_names():
        kind = getattr(script_errors, name)
        base = next(each.__name__ for each in kind.__mro__[1:] if not each.__name__.startswith("_"))
        yield f"| `{name}` | `{base}` | {_cell(' '.join((inspect.getdoc(kind) or '').split()))} |"
    yield ""


def script_error_names() -> list[str]:
    """Of the errors that a script may name, in the order in which they are defined."""
    return [name for name in vars(script_errors) if name in errors.__all__]


def _code(text: str) -> Iterator[str]:
    yield "```text"
    yield text
    yield "```"
    yield ""


def _text(text: str) -> Iterator[str]:
    if text:
        yield text
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
