"""Switches guards off, inside of a zygote before it serves. Executed there by its path: nothing of tests is importable.

Each function has the name of a guard in guards.py, with `_` for `.`.
"""

from __future__ import annotations

import builtins
import os
import resource
from collections.abc import Callable, Iterable
from typing import Any

_SWITCHES: dict[str, Callable[[], None]] = {}


def switch_off(names: Iterable[str]) -> None:
    for name in names:
        _SWITCHES[name]()


def _switch(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(function: Callable[[], None]) -> Callable[[], None]:
        _SWITCHES[name] = function
        return function

    return register


def _patch(owner: object, name: str, value: object) -> None:
    getattr(owner, name)  # a guard that was renamed must not pass for one that is off
    setattr(owner, name, value)


# ---------------------------------------------------------------- wall 1: the compiler


@_switch("policy.names")
def _policy_names() -> None:
    from vibe_workflows.sandbox.policy_base import PolicyBase

    _patch(PolicyBase, "check_name", lambda *_: None)


@_switch("policy.attributes")
def _policy_attributes() -> None:
    from vibe_workflows.sandbox import policy_nodes, problems

    error = policy_nodes.Policy.error
    about = [text.partition("{name}")[2] for text in (problems.UNDERSCORE_ATTRIBUTE, problems.INTERNAL_ATTRIBUTE)]

    def without_attributes(self: Any, node: Any, info: str) -> None:
        if not info.endswith(tuple(about)):
            error(self, node, info)

    _patch(policy_nodes.Policy, "error", without_attributes)


@_switch("policy.classes")
def _policy_classes() -> None:
    from vibe_workflows.sandbox.policy_nodes import Policy

    _patch(Policy, "visit_ClassDef", Policy.node_contents_visit)


@_switch("policy.imports")
def _policy_imports() -> None:
    from vibe_workflows.sandbox import namespace, policy_imports, problems

    _patch(problems, "MEMBERS", {})
    _patch(problems, "MODULES", {})
    _patch(policy_imports.ImportPolicy, "visit_Import", lambda self, node: node)
    _patch(policy_imports.ImportPolicy, "visit_ImportFrom", lambda self, node: node)
    _patch(namespace, "import_loaded", builtins.__import__)


@_switch("policy.patterns")
def _policy_patterns() -> None:
    from vibe_workflows.sandbox.policy_match import MatchPolicy

    _patch(MatchPolicy, "visit_MatchClass", lambda self, node: node)


@_switch("verifier")
def _verifier() -> None:
    from vibe_workflows.sandbox import policy

    _patch(policy, "verify", lambda code: None)


# ---------------------------------------------------------------- wall 1: the running script


@_switch("attributes")
def _attributes() -> None:
    from vibe_workflows.sandbox import guards
    from vibe_workflows.sandbox.facades.module import Module, members

    def read(value: Any, name: str) -> Any:
        found = members(value).get(name) if type(value) is Module else None
        return found or getattr(value, name)

    _patch(guards, "guarded_getattr", read)
    _patch(guards, "GUARDS", {**guards.GUARDS, "_getattr_": read})


@_switch("builtins")
def _builtins() -> None:
    from vibe_workflows.sandbox import namespace

    _patch(namespace, "BUILTINS", {**vars(builtins), **namespace.BUILTINS})


@_switch("format")
def _format() -> None:
    from vibe_workflows.sandbox import attributes

    attributes.METHODS[str, "format"] = str.format
    attributes.CLASS_ATTRIBUTES[str] |= {"format", "format_map"}


@_switch("tripwire")
def _tripwire() -> None:
    from vibe_workflows.sandbox.tripwire import Tripwire

    _patch(Tripwire, "install", lambda self: None)


# ---------------------------------------------------------------- wall 2


_unlimited: set[int] = set()


class _Resource:
    """The module `resource`, without the limits that are switched off."""

    def __getattr__(self, name: str) -> Any:
        return getattr(resource, name)

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        if which not in _unlimited:
            resource.setrlimit(which, limits)


def _unlimit(which: int) -> None:
    from vibe_workflows.sandbox import lockdown

    _unlimited.add(which)
    _patch(lockdown, "resource", _Resource())


@_switch("limit.fds")
def _limit_fds() -> None:
    _unlimit(resource.RLIMIT_NOFILE)


@_switch("limit.processes")
def _limit_processes() -> None:
    _unlimit(resource.RLIMIT_NPROC)


@_switch("limit.file_size")
def _limit_file_size() -> None:
    _unlimit(resource.RLIMIT_FSIZE)


@_switch("limit.queues")
def _limit_queues() -> None:
    _unlimit(resource.RLIMIT_MSGQUEUE)


def _rebuild_filter(**changes: tuple[str, ...]) -> None:
    """Another filter: `changes` are lists of names in seccomp.py."""
    from vibe_workflows.sandbox import lockdown, seccomp

    for name, value in changes.items():
        _patch(seccomp, name, value)
    assert lockdown._arch is not None
    _patch(lockdown, "_filter", seccomp.build_filter(lockdown._arch, lockdown.SOCKET_FD))


def _let_through(group: str) -> None:
    from vibe_workflows.sandbox import lockdown, seccomp

    assert lockdown._arch is not None
    names = tuple(name for name in getattr(seccomp, group) if name in lockdown._arch.numbers)
    _rebuild_filter(**{group: (), "_FREE": (*seccomp._FREE, *names)})


@_switch("seccomp.read_write")
def _seccomp_read_write() -> None:
    _let_through("_SOCKET_ONLY")


@_switch("seccomp.exec")
def _seccomp_exec() -> None:
    _let_through("_NEVER_EXECUTABLE")


@_switch("seccomp.denied")
def _seccomp_denied() -> None:
    _let_through("_DENIED")


@_switch("seccomp.clocks")
def _seccomp_clocks() -> None:
    _let_through("_CLOCKS")


@_switch("seccomp.arch")
def _seccomp_arch() -> None:
    from vibe_workflows.sandbox import lockdown

    check = 3 * 8  # load the architecture, compare it, kill
    _patch(lockdown, "_filter", lockdown._filter[check:])


@_switch("close_fds")
def _close_fds() -> None:
    from vibe_workflows.sandbox import boot, lockdown

    def keep_all(socket_fd: int) -> None:
        control = os.dup(lockdown.SOCKET_FD)
        assert control < 100
        os.dup2(socket_fd, lockdown.SOCKET_FD)
        os.close(socket_fd)

    _patch(boot, "_keep_only", keep_all)


@_switch("surroundings")
def _surroundings() -> None:
    from vibe_workflows.sandbox import boot

    _patch(boot, "_forget_surroundings", lambda: None)


@_switch("environment")
def _environment() -> None:
    _surroundings()


# ---------------------------------------------------------------- the locked worker


@_switch("worker.references")
def _worker_references() -> None:
    from jsonschema.validators import Draft202012Validator, validator_for

    from vibe_workflows.sandbox import schemas

    _patch(schemas, "_bad_parts", lambda schema: iter(()))
    _patch(schemas, "_validator", lambda schema: validator_for(schema, default=Draft202012Validator)(schema))


@_switch("worker.depth")
def _worker_depth() -> None:
    from vibe_workflows.sandbox import schemas

    _patch(schemas, "MAX_DEPTH", 1_000_000)


@_switch("worker.parts")
def _worker_parts() -> None:
    from vibe_workflows.sandbox import schemas

    _patch(schemas, "MAX_PARTS", 1_000_000_000)


@_switch("worker.dialects")
def _worker_dialects() -> None:
    from vibe_workflows.sandbox import schemas

    class Any_(tuple[str, ...]):
        __slots__ = ()

        def __iter__(self) -> Any:
            return iter((*schemas_dialects, "urn:strange"))

    schemas_dialects = schemas._DIALECTS
    _patch(schemas, "_DIALECTS", Any_(schemas_dialects))


@_switch("worker.result")
def _worker_result() -> None:
    from vibe_workflows.sandbox import worker

    _patch(worker, "_size", lambda value: 0)


@_switch("worker.purge")
def _worker_purge() -> None:
    import re

    _patch(re, "purge", lambda: None)


# ---------------------------------------------------------------- what a worker that was taken over may do


def _with_operation(operation: Callable[..., Any]) -> None:
    from vibe_workflows.sandbox import patterns

    _patch(patterns, "match_paths", operation)


@_switch("lie.number")
def _lie_number() -> None:
    _with_operation(lambda pattern, paths: [len(paths) + 5])


@_switch("lie.negative")
def _lie_negative() -> None:
    _with_operation(lambda pattern, paths: [-1])


@_switch("lie.repeat")
def _lie_repeat() -> None:
    _with_operation(lambda pattern, paths: [0] * 50_000)


@_switch("lie.type")
def _lie_type() -> None:
    _with_operation(lambda pattern, paths: {"ok": True})


@_switch("lie.deep")
def _lie_deep() -> None:
    def deep(pattern: str, paths: list[str]) -> Any:
        value: list[Any] = []
        for _ in range(500):
            value = [value]
        return value

    _with_operation(deep)


@_switch("lie.line")
def _lie_line() -> None:
    from vibe_workflows.sandbox import patterns

    _patch(patterns, "search", lambda **_: [(0, 1 << 40, "x")])


def _say_before(words: bytes) -> None:
    """Before each reply, these words."""

    def speak(pattern: str, paths: list[str]) -> list[int]:
        os.write(3, words)
        return [0]

    _with_operation(speak)


@_switch("lie.garbage")
def _lie_garbage() -> None:
    _say_before(b"\x03\0\0\0\xff\xfe{")


@_switch("lie.huge")
def _lie_huge() -> None:
    _say_before(b"\xff\xff\xff\x7f")


@_switch("lie.twice")
def _lie_twice() -> None:
    _say_before(b'\x0a\0\0\0{"ok":[0]}' * 2)


@_switch("lie.exit")
def _lie_exit() -> None:
    _with_operation(lambda pattern, paths: os._exit(0))


@_switch("lie.hang")
def _lie_hang() -> None:
    import _thread

    def hang(pattern: str, paths: list[str]) -> list[int]:
        lock = _thread.allocate_lock()
        lock.acquire()
        lock.acquire(True, 900)
        return []

    _with_operation(hang)
