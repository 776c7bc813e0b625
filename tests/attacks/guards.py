"""The guards of the sandbox by name, and how each is switched off, so that an attack can show what it would do.

An attack names the guards that stop it in its header: `# guard: attributes` or, where several stand one behind the
other, `# guard: seccomp, limit.processes`. All that it names are off at once when it has to get through.

A guard inside the zygote and its children is switched off by the function of its name in `weaknesses.py`; a guard of
the host by another limit, or by a patch of this process.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.attacks.trusting import Everything, Newsworthy, TrustingScopes, decode_anything
from vibe_workflows.cli.render import sanitize
from vibe_workflows.sandbox import forker, inbound, launcher, ledger, replies
from vibe_workflows.sandbox.launcher import Zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, MIB, PRIVILEGES, SECCOMP, HostLimits

WEAKNESSES = Path(__file__).with_name("weaknesses.py")
_LAST_LINE = "main(int(control))\n"
_WEAKEN = """\
for name, path in (("tests", {tests!r}), ("tests.attacks", {attacks!r})):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = [path]
import tests.attacks.weaknesses_script
from tests.attacks.weaknesses import switch_off
switch_off({names!r})
"""
#: Facades whose real module has something that is left out.
OPEN_FACADES = (
    *("collections", "copy", "datetime", "difflib", "fnmatch", "functools", "hashlib", "itertools", "json", "math"),
    *("operator", "pathlib", "re", "statistics", "string", "textwrap", "typing", "urllib.parse", "heapq", "bisect"),
    "random",
)


def _same(limits: HostLimits) -> HostLimits:
    return limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """`stops` says what it stands for. `in_zygote`: weaknesses.py switches it off; else `layer`, `limits`, `patch`."""

    stops: str
    in_zygote: bool = False
    layer: str | None = None
    limits: Callable[[HostLimits], HostLimits] = _same
    patch: Callable[[], AbstractContextManager[object]] = nullcontext


def _inside(stops: str) -> Guard:
    return Guard(stops=stops, in_zygote=True)


def _layer(name: str, stops: str) -> Guard:
    return Guard(stops=stops, layer=name)


def _limit(stops: str, **changes: object) -> Guard:
    return Guard(stops=stops, limits=lambda limits: limits._replace(**changes))  # type: ignore[arg-type]


def _child_limit(stops: str, **changes: int) -> Guard:
    return Guard(stops=stops, limits=lambda limits: limits._replace(child=limits.child._replace(**changes)))


@contextmanager
def _patched(owner: object, **values: object) -> Iterator[None]:
    with ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(mock.patch.object(owner, name, value))
        yield


def _started_with(**changes: object) -> AbstractContextManager[object]:
    start: Any = subprocess.Popen
    return mock.patch.object(subprocess, "Popen", lambda argv, **options: start(argv, **options | changes))


@contextmanager
def _without_cleaning() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("clean", "clean_line"):
            stack.enter_context(mock.patch.object(inbound, name, lambda text, _limit: text))
        for module in (inbound, replies):
            stack.enter_context(mock.patch.object(module, "clean_value", lambda value, _limit: value))
        yield


@contextmanager
def _without_killing() -> Iterator[None]:
    """The host does not wait long, either, for the end of what it did not kill."""
    with _patched(forker.Child, kill=lambda self: None), _patched(forker, _REAP_S=1.0):
        yield


def _without_sanitizing() -> AbstractContextManager[object]:
    return mock.patch.object(sanitize, "one_line", lambda text: text)


#: Of wall 1; weaknesses_script.py switches them off.
SCRIPT_GUARDS = {
    name: _inside(stops)
    for name, stops in {
        "policy.writes": "writes to attributes",
        "policy.builtins": "builtins by name that a script is not to have",
        "policy.nodes": "syntax that nobody has thought through",
        "policy.except": "a bare `except`, which catches the end of the run",
        "policy.depth": "nesting that breaks the compiler",
        "meta.literal": "metadata that is computed",
        "meta.depth": "metadata nested without an end",
        "meta.keys": "keys that are no text, or there twice",
        "meta.json": "values that JSON cannot hold",
        "getattr": "getattr with names that are no text, and further arguments",
        "tripwire.pause": "code of the script while the tripwire is off",
        "type": "type() of what is no plain value, and its form that makes classes",
        "hash": "hashes that are addresses",
        "unbound": "methods called on objects of another type",
        "codecs": "codecs that load modules",
        "args": "writes to the arguments",
        "args.names": "attributes of the arguments that are not declared",
        "import": "the importer, given what is no facade",
        "facade.module": "real modules",
        "facade.read_only": "writes to a facade",
        "facade.script": "the real package of the script language",
        "facade.cache": "caches around what is no function of the script",
        **{f"facade.{name}": f"members of {name} that are not chosen" for name in OPEN_FACADES},
        "steps.once": "one step started twice",
        "steps.fresh": "one coroutine used twice",
        "steps.left_behind": "work that was made and never done",
        "steps.options": "options that are no options",
        "fanout.size": "fan-outs without an end",
        "scopes.depth": "scopes nested without an end",
        "result": "results that JSON cannot hold",
        "wire.json": "steps that JSON cannot hold",
        "wire.text": "text that is no Unicode, which an honest script must not die of",
        "errors.text": "messages of any length",
        "errors.kind": "errors that cannot be printed",
        "strands.close": "cancelled branches that go on awaiting",
        "errors.fault": "errors that pass for the engine's",
    }.items()
}

GUARDS: dict[str, Guard] = {
    # wall 1: the compiler
    "policy.names": _inside("names with an underscore, which are the guards' and the interpreter's"),
    "policy.attributes": _inside("attributes with an underscore, and those of frames and code, in the source"),
    "policy.classes": _inside("class definitions"),
    "policy.imports": _inside("imports of what is no facade"),
    "policy.patterns": _inside("class patterns that read attributes, or name a class of the script's"),
    "verifier": _inside("whatever the policy let through into bytecode"),
    # wall 1: the running script
    "attributes": _inside("attribute reads of what is not listed for the exact type"),
    "builtins": _inside("builtins that are not listed"),
    "format": _inside("attributes and items in str.format templates"),
    "tripwire": _inside("whatever raises an audit event"),
    **SCRIPT_GUARDS,
    # wall 2
    "seccomp": _layer(SECCOMP, "system calls that are not listed"),
    "landlock": _layer(LANDLOCK, "files, TCP, signals to others"),
    "privileges": _layer(PRIVILEGES, "root's rights"),
    "limit.memory": _child_limit("memory", memory_bytes=4096 * MIB),
    "limit.cpu": _child_limit("CPU time", cpu_s=600),
    "limit.fds": _inside("new file descriptors"),
    "limit.processes": _inside("new processes"),
    "limit.file_size": _inside("growing files"),
    "limit.queues": _inside("message queues"),
    "seccomp.read_write": _inside("reads and writes on what is not the child's own socket"),
    "seccomp.exec": _inside("executable memory"),
    "seccomp.arch": _inside("system calls by the numbers of another architecture"),
    "seccomp.denied": _inside("looks at files that need no file descriptor"),
    "seccomp.clocks": _inside("the CPU clocks of other processes"),
    "close_fds": _inside("what the zygote has open"),
    "surroundings": _inside("imports of what was not loaded before the lock"),
    "environment": Guard(stops="secrets of the environment", in_zygote=True, patch=lambda: _started_with(env=None)),
    "new_session": Guard(stops="signals to the process group", patch=lambda: _started_with(start_new_session=False)),
    # the host
    "host.stall": _limit("silence while no answer is due", stall_s=10_000.0, wall_s=1.5),
    "host.logs": _limit("lines and bytes of log", logs=10_000_000, log_bytes=1 << 40),
    "host.cleaning": Guard(stops="control characters in what a script says", patch=_without_cleaning),
    "display": Guard(stops="control characters in what a file says of itself", patch=_without_sanitizing),
    "host.calls": _limit("calls", calls=10_000_000),
    "host.open_calls": _limit("calls that are open at once", open_calls=10_000_000),
    "host.open_bytes": _limit("the memory that open calls hold", open_bytes=1 << 40),
    "host.scopes": _limit("scopes", scopes=10_000_000),
    "host.branches": _limit("branches of a scope", branches=10_000_000, scopes=1 << 40),
    "host.scope_depth": _limit("depth of scopes", scope_depth=10_000),
    "host.received": _limit("bytes in all", received_bytes=1 << 40),
    "host.unread": _limit("answers that nobody reads", unread_bytes=1 << 40),
    "host.kill": Guard(stops="a life after the end", patch=_without_killing),
    "wire.frame_size": Guard(stops="huge frames", patch=lambda: _patched(inbound, MAX_FRAME=1 << 40)),
    "wire.depth": Guard(stops="deep JSON", patch=lambda: _patched(inbound, check_nesting=lambda body: None)),
    "wire.containers": Guard(stops="many lists and dicts", patch=lambda: _patched(inbound, MAX_CONTAINERS=1 << 40)),
    "wire.slow_numbers": Guard(
        stops="numbers that take long to read", patch=lambda: _patched(inbound, MAX_SLOW_NUMBERS=1 << 40)
    ),
    "wire.log_size": Guard(stops="huge lines of log", patch=lambda: _patched(inbound, MAX_LOG=1 << 40)),
    "wire.types": Guard(stops="fields of the wrong type", patch=lambda: _patched(inbound, _decode=decode_anything)),
    "wire.names": Guard(
        stops="unknown methods and kinds of scope",
        patch=lambda: _patched(inbound, _METHODS=Everything(), _KINDS=Everything()),
    ),
    "wire.numbers": Guard(
        stops="numbers and text that no JSON has", patch=lambda: _patched(inbound, check_json=lambda raw: None)
    ),
    "wire.limits": Guard(stops="absurd limits", patch=lambda: _patched(inbound, _check_limits=lambda limits: None)),
    "wire.order": Guard(
        stops="frames before the start and after the end",
        patch=lambda: _patched(inbound.Inbound, _check_order=lambda self, frame: None),
    ),
    "wire.taken": Guard(
        stops="lies about what was taken", patch=lambda: _patched(ledger.Ledger, idle=lambda self, taken: None)
    ),
    "wire.scopes": Guard(
        stops="scopes and calls that are not there", patch=lambda: _patched(ledger, Scopes=TrustingScopes)
    ),
    "wire.news": Guard(stops="a life that says nothing", patch=lambda: _patched(inbound.Inbound, news=Newsworthy())),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What a set of guards amounts to when all of them are off."""

    weaknesses: tuple[str, ...]
    layers: frozenset[str]
    guards: tuple[Guard, ...]

    def limits(self, limits: HostLimits) -> HostLimits:
        for guard in self.guards:
            limits = guard.limits(limits)
        return limits

    @contextmanager
    def patched(self) -> Iterator[None]:
        with ExitStack() as stack:
            for guard in self.guards:
                stack.enter_context(guard.patch())
            yield


def switched_off(names: Iterable[str]) -> Switches:
    names = tuple(names)
    guards = tuple(GUARDS[name] for name in names)
    return Switches(
        weaknesses=tuple(name for name, guard in zip(names, guards, strict=True) if guard.in_zygote),
        layers=ALL_LAYERS - {guard.layer for guard in guards},
        guards=guards,
    )


def start_weakened_zygote(weaknesses: Sequence[str]) -> Zygote:
    """As `start_zygote`, with these guards switched off in it and in all of its children."""
    assert launcher._BOOTSTRAP.endswith(_LAST_LINE)
    weaken = _WEAKEN.format(tests=str(WEAKNESSES.parents[1]), attacks=str(WEAKNESSES.parent), names=list(weaknesses))
    bootstrap = launcher._BOOTSTRAP.removesuffix(_LAST_LINE) + (weaken if weaknesses else "") + _LAST_LINE
    with mock.patch.object(launcher, "_BOOTSTRAP", bootstrap):
        return launcher.start_zygote()
