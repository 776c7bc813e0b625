"""The guards of wall 1, switched off: a continuation of weaknesses.py, executed in the same zygote."""

from __future__ import annotations

import ast
import builtins
import codecs
import importlib
import json
import sys
from typing import Any

from tests.attacks.weaknesses import _patch, _switch

# ---------------------------------------------------------------- the compiler


@_switch("policy.writes")
def _policy_writes() -> None:
    from vibe_workflows.sandbox.policy_nodes import Policy

    rewritten = Policy.visit_Attribute

    def visit_attribute(self: Any, node: ast.Attribute) -> Any:
        if type(node.ctx) is ast.Load:
            return rewritten(self, node)
        node.value = self.visit(node.value)
        return node

    _patch(Policy, "visit_Attribute", visit_attribute)


@_switch("policy.builtins")
def _policy_builtins() -> None:
    from vibe_workflows.sandbox import problems

    _patch(problems, "NAMES", {})
    _patch(problems, "CALLS", {})


@_switch("policy.nodes")
def _policy_nodes() -> None:
    from vibe_workflows.sandbox.policy_nodes import Policy

    _patch(Policy, "visit_TryStar", Policy.node_contents_visit)


@_switch("policy.except")
def _policy_except() -> None:
    from vibe_workflows.sandbox.policy_nodes import Policy

    _patch(Policy, "visit_ExceptHandler", Policy.node_contents_visit)


@_switch("policy.depth")
def _policy_depth() -> None:
    """What the parser and the walk raise for nesting goes on."""
    from vibe_workflows.sandbox import policy

    make = policy.ScriptProblem

    def problem(*args: Any) -> Any:
        if isinstance(sys.exception(), RecursionError | MemoryError):
            raise
        return make(*args)

    _patch(policy, "ScriptProblem", problem)


@_switch("meta.literal")
def _meta_literal() -> None:
    """`meta` is evaluated, as a workflow engine that imports its workflows would do."""
    from vibe_workflows.sandbox import policy

    def read(node: ast.expr, _report: Any) -> Any:
        expression = ast.fix_missing_locations(ast.Expression(node))
        return eval(compile(expression, "meta", "eval"), {"__builtins__": builtins})

    _patch(policy, "read_meta", read)


@_switch("meta.depth")
def _meta_depth() -> None:
    from vibe_workflows.sandbox import policy_meta

    _patch(policy_meta, "_MAX_DEPTH", 100_000)


@_switch("meta.keys")
def _meta_keys() -> None:
    from vibe_workflows.sandbox import policy_meta

    def read(node: ast.Dict, depth: int) -> dict[str, Any]:
        pairs = zip(node.keys, node.values, strict=True)
        return {policy_meta._value(key, depth): policy_meta._value(value, depth + 1) for key, value in pairs if key}

    _patch(policy_meta, "_dict", read)


@_switch("meta.json")
def _meta_json() -> None:
    """Any constant counts, whether JSON can hold it or not."""
    from vibe_workflows.sandbox import policy_meta

    _patch(policy_meta, "_checked", lambda _node, value: value)


# ---------------------------------------------------------------- the running script


@_switch("getattr")
def _getattr() -> None:
    from vibe_workflows.sandbox import guards

    _patch(guards, "_getattr", lambda value, name, *_default: getattr(value, name))


@_switch("tripwire.pause")
def _tripwire_pause() -> None:
    """Garbage is collected during a pause, and each pause ends with the state that the latest one found."""
    from vibe_workflows.sandbox import tripwire

    found = 0

    def enter(self: Any) -> None:
        nonlocal found
        found, self.depth = self.depth, 1

    def leave(self: Any, *_: object) -> None:
        self.depth = found

    _patch(tripwire._Pause, "__enter__", enter)
    _patch(tripwire._Pause, "__exit__", leave)


@_switch("type")
def _type() -> None:
    from vibe_workflows.sandbox import namespace

    _patch(namespace, "BUILTINS", {**namespace.BUILTINS, "type": type})


@_switch("hash")
def _hash() -> None:
    from vibe_workflows.sandbox import namespace

    _patch(namespace, "BUILTINS", {**namespace.BUILTINS, "hash": hash})


@_switch("unbound")
def _unbound() -> None:
    from vibe_workflows.sandbox.attributes import CLASS_ATTRIBUTES, INSTANCE_ATTRIBUTES

    for cls, names in INSTANCE_ATTRIBUTES.items():
        CLASS_ATTRIBUTES[cls] = CLASS_ATTRIBUTES[cls] | names


@_switch("codecs")
def _codecs() -> None:
    from vibe_workflows.sandbox import attributes, namespace

    _patch(attributes, "_check_codec", lambda *_: None)
    _patch(namespace, "lock_codecs", lambda: None)
    codecs.lookup("unicode_escape")  # its module is loaded: the lock of the process leaves no file


@_switch("args")
def _args() -> None:
    from vibe_workflows.sandbox.values import Args

    for name in ("__setitem__", "__delitem__", "__ior__", "update", "pop", "popitem", "clear", "setdefault"):
        delattr(Args, name)


@_switch("args.names")
def _args_names() -> None:
    from vibe_workflows.sandbox import values

    _patch(values, "read_args", lambda args, name: args.get(name, getattr(args, name, None)))


@_switch("import")
def _import() -> None:
    from vibe_workflows.sandbox import guards, namespace

    _patch(guards, "GUARDS", {**guards.GUARDS, "_import_": lambda name, _member: sys.modules.get(name)})
    _patch(namespace, "import_loaded", builtins.__import__)


# ---------------------------------------------------------------- the modules of a script


def _modules() -> dict[str, Any]:
    from vibe_workflows.sandbox.facades import registry

    return registry._modules


@_switch("facade.module")
def _facade_module() -> None:
    """Scripts hold the real modules, of those that there are in the child."""
    for name in _modules():
        if not name.startswith("vibe_workflows"):
            _modules()[name] = importlib.import_module(name)


@_switch("facade.read_only")
def _facade_read_only() -> None:
    from vibe_workflows.sandbox.facades.module import Module

    def write(self: Module, name: str, value: object) -> None:
        object.__setattr__(self, "_members", {**self._members, name: value})

    _patch(Module, "__setattr__", write)


def _open_facade(name: str) -> None:
    from vibe_workflows.sandbox.facades.module import Module

    members = dict(vars(importlib.import_module(name)))
    if "." not in name:
        _modules()[name] = Module(name, members)
        return
    package, _, leaf = name.rpartition(".")
    _modules()[name] = Module(name, members)
    _modules()[package] = Module(package, {leaf: _modules()[name]})


#: Those whose real module has something that the facade leaves out.
for _name in (
    *("collections", "copy", "datetime", "difflib", "fnmatch", "functools", "hashlib", "itertools", "json", "math"),
    *("operator", "pathlib", "re", "statistics", "string", "textwrap", "typing", "urllib.parse", "heapq", "bisect"),
):
    _switch(f"facade.{_name}")(lambda name=_name: _open_facade(name))  # type: ignore[misc]


@_switch("facade.random")
def _facade_random() -> None:
    import random

    from vibe_workflows.sandbox import branch_random

    _patch(branch_random, "random_functions", lambda *_: dict(vars(random)))


@_switch("facade.script")
def _facade_script() -> None:
    """Scripts import the real package of the script language."""
    from vibe_workflows.sandbox import primitives

    _patch(primitives, "ANNOTATIONS", dict(vars(importlib.import_module("vibe_workflows.script"))))


@_switch("facade.cache")
def _facade_cache() -> None:
    """functools.lru_cache as it is, around whatever it is given."""
    import functools

    from vibe_workflows.sandbox.facades.module import Module, members

    plain = {"cache": functools.cache, "lru_cache": functools.lru_cache}
    _modules()["functools"] = Module("functools", {**members(_modules()["functools"]), **plain})


# ---------------------------------------------------------------- steps, results and errors


@_switch("steps.once")
def _steps_once() -> None:
    from vibe_workflows.sandbox.steps import Work

    _patch(Work, "claim", lambda self, _site: self.maker.unstarted.pop(self, None))


@_switch("steps.fresh")
def _steps_fresh() -> None:
    from vibe_workflows.sandbox.sites import Sites

    _patch(Sites, "is_fresh", lambda *_: True)


@_switch("steps.left_behind")
def _steps_left_behind() -> None:
    from vibe_workflows.sandbox import child

    _patch(child._Script, "_check_nothing_left_behind", lambda _: None)


@_switch("steps.options")
def _steps_options() -> None:
    """Whatever a script gives goes onto the wire."""
    from vibe_workflows.sandbox import primitives

    _patch(primitives, "checked", lambda _primitive, _checks, given: dict(given))
    _patch(primitives, "checked_agent", dict)


@_switch("fanout.size")
def _fanout_size() -> None:
    from vibe_workflows.sandbox import fanout

    _patch(fanout, "MAX_BRANCHES", 1 << 40)


@_switch("scopes.depth")
def _scopes_depth() -> None:
    from vibe_workflows.sandbox import spending

    _patch(spending, "MAX_DEPTH", 1 << 40)


@_switch("result")
def _result() -> None:
    """A result is written as it comes, with what JSON has no form for as its repr."""
    from vibe_workflows.sandbox import child

    _patch(child, "encode", lambda value, _name: json.dumps(value, default=repr))


@_switch("wire.json")
def _wire_json() -> None:
    """What goes into a step is written as it comes."""
    from vibe_workflows.sandbox import primitives

    _patch(primitives, "encode", lambda value, _name: json.dumps(value, default=repr))


@_switch("wire.text")
def _wire_text() -> None:
    """Text that is no Unicode raises where it is written."""
    from vibe_workflows.sandbox.channel import Channel

    lenient = Channel.send_text

    def send_text(self: Channel, frame: str) -> None:
        frame.encode("utf-8")
        lenient(self, frame)

    _patch(Channel, "send_text", send_text)


@_switch("errors.text")
def _errors_text() -> None:
    from vibe_workflows.sandbox import child

    _patch(child, "error_text", lambda error, _limit: str(error))


@_switch("errors.fault")
def _errors_fault() -> None:
    """An error of the language that a script makes itself counts as the engine's."""
    from vibe_workflows.sandbox.script_errors import ScriptFault

    plain = ScriptFault.__init__

    def init(self: ScriptFault, message: str = "", *, kind: str = "") -> None:
        plain(self, message, kind=kind)
        self.fault = {"type": type(self).__name__, "message": str(message), "kind": self.kind, "fields": {}}

    _patch(ScriptFault, "__init__", init)


@_switch("errors.kind")
def _errors_kind() -> None:
    from vibe_workflows.sandbox import fanout

    _patch(fanout, "describe", lambda error: f"{getattr(error, 'kind', '')}: {error}")


@_switch("strands.close")
def _strands_close() -> None:
    """A cancelled branch may go on awaiting for as long as it likes."""
    from vibe_workflows.sandbox import trampoline

    _patch(trampoline, "_CLEANUPS", 1 << 60)
