"""Calls of primitives, held against what the primitives themselves check when they are called."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import Any, Final

from .. import options
from ..names import PRIMITIVE_ATTRIBUTES
from ..script_errors import SetupError
from .findings import Findings
from .literals import Literals, NotLiteral
from .script import Script
from .works import PRIMITIVES_OF_WORK

_OPTIONS: Final = {
    "agent": options.AGENT_OPTIONS,
    "parallel": options.FAN_OUT_OPTIONS,
    "pipeline": options.FAN_OUT_OPTIONS,
    "race": options.RACE_OPTIONS,
    "phase": options.PHASE_OPTIONS,
}
#: Of those that take a first parameter: what it is called in a message.
_FIRST: Final = {
    "agent": "a prompt",
    "tool": "the name of a tool",
    "merge": "a result",
    "parallel": "a list of steps",
    "pipeline": "a list of items",
    "race": "a list of steps",
    "phase": "a title",
}
_NO_STEPS: Final = frozenset({"budget", "has_model", "log", "now", "phase"})
_UNITS: Final = ("tokens", "usd", "steps", "seconds")
#: What providers know, in any spelling that one of them has.
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "default", "disable")
_ADVICE: Final = {
    "agent": "agent takes one prompt, and all else by name: agent(prompt, label=...)",
    "tool": 'tool takes its arguments by name: tool("grep", pattern="TODO")',
    "merge": "merge takes one result and nothing else; call it once for each: await merge(result)",
    "parallel": "parallel takes one list or generator: put the steps into a list, parallel([first, second])",
    "race": "race takes one list or generator: put the steps into a list, race([first, second])",
    "phase": 'phase takes one title, and all else by name: phase("Review", budget=...)',
}


def check_calls(script: Script, literals: Literals, findings: Findings) -> None:
    for call in script.calls:
        name = script.called(call)
        if name in _FIRST:
            _CallCheck(script, literals, findings, call, name).check()
        elif isinstance(call.func, ast.Attribute) and script.primitive(call.func.value) == "budget":
            _check_budget(findings, literals, call, call.func)
    for node in script.of(ast.Await):
        _check_await(script, findings, node)
    for node in script.of(ast.Attribute):
        if script.primitive(node.value) == "budget" and node.attr not in PRIMITIVE_ATTRIBUTES["budget"]:
            known = sorted(PRIMITIVE_ATTRIBUTES["budget"])
            findings.report("bad-call", node, f"budget has no `{node.attr}`; {_meant(node.attr, known)}")


class _CallCheck:
    def __init__(self, script: Script, literals: Literals, findings: Findings, call: ast.Call, name: str) -> None:
        self._script = script
        self._literals = literals
        self._findings = findings
        self._call = call
        self._name = name

    def check(self) -> None:
        self._check_positions()
        if self._name in _OPTIONS:
            self._check_options()
        if self._name in ("parallel", "race") and self._call.args:
            self._check_elements(self._call.args[0])
        if self._name == "pipeline":
            self._check_stages()

    def _bad(self, node: ast.AST, message: str, code: str = "bad-call") -> None:
        self._findings.report(code, node, message)

    # ------------------------------------------------------------ what comes without a name

    def _check_positions(self) -> None:
        call, name = self._call, self._name
        given = {each.arg for each in call.keywords}
        if not call.args:
            # Only `prompt` can be given by its name, too.
            if None not in given and not (name == "agent" and "prompt" in given):
                example = _ADVICE.get(name, "pipeline takes a list of items, then its stages: pipeline(files, read)")
                self._bad(call, f"{name} lacks {_FIRST[name]}; {example}")
            return
        first = call.args[0]
        if isinstance(first, ast.Starred):
            if name in ("parallel", "race"):
                self._bad(first, f"{name} takes the list itself: hand it over without `*`")
            return
        if len(call.args) > 1 and name in _ADVICE:
            self._bad(call.args[1], _ADVICE[name])
        self._check_first(first)

    def _check_first(self, first: ast.expr) -> None:
        value = self._known(first)
        match self._name:
            case "agent" if value is not _UNKNOWN and not isinstance(value, str):
                self._bad(first, f"the prompt of agent is a string, not {_kind(value)}", "bad-value")
            case "tool" | "phase" if value is not _UNKNOWN and not (isinstance(value, str) and value.strip()):
                self._bad(first, f"{self._name} takes {_FIRST[self._name]}, a string that is not empty", "bad-value")
            case "merge" if self._script.called(first) in PRIMITIVES_OF_WORK:
                self._bad(first, "merge takes a result, not a step: await the step first, merge(await agent(...))")

    # ------------------------------------------------------------ options

    def _check_options(self) -> None:
        checks = _OPTIONS[self._name]
        given: dict[str, Any] = {}
        whole = True
        for keyword in self._call.keywords:
            if keyword.arg is None:
                whole = False
            elif keyword.arg in checks:
                given[keyword.arg] = value = self._known(keyword.value)
                self._check_value(keyword.arg, keyword.value, value)
            elif not (self._name == "agent" and keyword.arg == "prompt"):
                hint = _meant(keyword.arg, [*checks, "prompt"] if self._name == "agent" else checks)
                self._bad(keyword, f"{self._name} has no option `{keyword.arg}`; {hint}")
        if self._name == "agent" and whole:
            self._check_together({name: value for name, value in given.items() if value is not None})

    def _check_value(self, option: str, node: ast.expr, value: Any) -> None:
        if value is _UNKNOWN or value is None:
            return
        try:
            _OPTIONS[self._name][option](value)
        except ValueError as error:
            self._bad(node, f"{option}= of {self._name} takes {error}, not {options.shown(value)}", "bad-value")
            return
        if option == "effort" and value not in _EFFORTS and (near := get_close_matches(value, _EFFORTS, 1)):
            self._bad(
                node, f"no provider is known to have the effort {value!r}; did you mean {near[0]!r}?", "odd-effort"
            )

    def _check_together(self, given: dict[str, Any]) -> None:
        """How options go together does not depend on the values that are not known here."""
        sound = {name: _SOUND[name] for name in given if name in _SOUND}
        try:
            options.checked_agent(sound)
        except SetupError as error:
            self._bad(self._call, str(error).removeprefix("agent: "))

    # ------------------------------------------------------------ what fans out

    def _check_elements(self, first: ast.expr) -> None:
        name = self._script.called(first)
        if name in ("agent", "tool", "merge", "race") and len(self._call.args) == 1:
            self._bad(first, f"{self._name} takes a list of steps, and this is one step; write [{name}(...)]")
        for element in first.elts if isinstance(first, ast.List | ast.Tuple) else ():
            self._check_element(element)

    def _check_element(self, element: ast.expr) -> None:
        value = self._known(element)
        if isinstance(element, _VALUES) or value is not _UNKNOWN:
            self._bad(
                element, f"an element of {self._name} is a step, or a function without parameters: no plain value"
            )
            return
        function = self._script.function(element)
        if function is not None and _required(function.args):
            self._bad(
                element,
                f"{self._name} calls a function without arguments, and this one needs some; call it: f(x), or "
                "lambda x=x: f(x)",
            )

    def _check_stages(self) -> None:
        stages = self._call.args[1:]
        if any(isinstance(each, ast.Starred) for each in self._call.args):
            return
        if self._call.args and not stages:
            self._bad(self._call, "pipeline lacks its stages; give one or more after the items: pipeline(files, read)")
        for stage in stages:
            self._check_stage(stage)

    def _check_stage(self, stage: ast.expr) -> None:
        made = self._script.called(stage) in PRIMITIVES_OF_WORK
        if isinstance(stage, ast.Call) and not made:
            made = isinstance(self._script.function(stage.func), ast.AsyncFunctionDef)
        if made:
            self._bad(stage, "a stage is a function that pipeline calls for each item, not a step: lambda value: ...")
            return
        if isinstance(stage, _VALUES):
            self._bad(stage, "a stage of pipeline is a function of (value), (value, item) or (value, item, index)")
            return
        function = self._script.function(stage)
        if function is None or function.args.vararg:
            return
        count = len(_required(function.args))
        possible = len(function.args.posonlyargs) + len(function.args.args)
        if count > 3 or possible == 0:
            self._bad(stage, "a stage is called with (value), (value, item) or (value, item, index)")

    def _known(self, node: ast.AST | None) -> Any:
        try:
            return self._literals.value(node)
        except NotLiteral:
            return _UNKNOWN


#: Expressions that give plain values.
_VALUES: Final = (ast.Constant, ast.JoinedStr, ast.Dict, ast.List, ast.ListComp, ast.Tuple, ast.Set)
#: Values that pass each check, for looking at how options go together.
_SOUND: Final = {
    "merge": "auto",
    "isolation": "worktree",
    "profile": "p",
    "gate": ["true"],
    "gate_retries": 1,
}
_UNKNOWN: Final = object()


def _check_await(script: Script, findings: Findings, node: ast.Await) -> None:
    value = node.value
    if isinstance(value, (*_VALUES, ast.GeneratorExp)):
        advice = "; several steps run by `await parallel([...])`" if isinstance(value, ast.List | ast.ListComp) else ""
        findings.report("bad-await", node, f"this is no step, and cannot be awaited{advice}")
        return
    function = value.func if isinstance(value, ast.Call) else value
    name = script.primitive(function)
    if isinstance(function, ast.Attribute) and script.primitive(function.value) in ("budget", "random"):
        findings.report("bad-await", node, "this gives its value at once; leave `await` out")
    elif name in _NO_STEPS:
        findings.report("bad-await", node, f"`{name}` does its work at once; leave `await` out")
    elif name in PRIMITIVES_OF_WORK and not isinstance(value, ast.Call):
        findings.report("bad-await", node, f"`{name}` is not called here; write `await {name}(...)`")


def _check_budget(findings: Findings, literals: Literals, call: ast.Call, function: ast.Attribute) -> None:
    if function.attr in PRIMITIVE_ATTRIBUTES["budget"] and call.args:
        unit = literals.text(call.args[0])
        if unit is not None and unit not in _UNITS:
            message = f"budget.{function.attr} takes a unit, and {unit!r} is none; {_meant(unit, _UNITS)}"
            findings.report("bad-value", call.args[0], message)


def _required(arguments: ast.arguments) -> list[ast.arg]:
    """The parameters that a call by position must fill."""
    several = arguments.posonlyargs + arguments.args
    needed = several[: len(several) - len(arguments.defaults)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [*needed, *(parameter for parameter, default in named if default is None)]


def _meant(name: str, known: Any) -> str:
    names: list[str] = list(known)
    near = get_close_matches(name[:200], names, 1)
    return f"did you mean `{near[0]}`?" if near else f"it has {', '.join(names)}"


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"
