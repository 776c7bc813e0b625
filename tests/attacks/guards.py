"""The guards of the sandbox by name, and how each is switched off, so that an attack can show what it would do.

An attack names the guards that stop it in its header: `# guard: attributes` or, where several stand one behind the
other, `# guard: seccomp, limit.processes`. All that it names are off at once when it has to get through.

A guard inside the zygote and its children is switched off by the function of its name in `weaknesses.py`; a guard of
the host by another limit, or by a patch of this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from vibe_workflows.cli.render import sanitize
from vibe_workflows.sandbox import checker, inbound, launcher
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
def _without_cleaning() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("clean", "clean_line"):
            stack.enter_context(mock.patch.object(inbound, name, lambda text, _limit: text))
        for module in (inbound, checker):
            stack.enter_context(mock.patch.object(module, "clean_value", lambda value, _limit: value))
        yield


def _without_sanitizing() -> AbstractContextManager[object]:
    return mock.patch.object(sanitize, "one_line", lambda text: text)


def _without_check_of_nesting() -> AbstractContextManager[object]:
    return mock.patch.object(inbound, "check_nesting", return_value=None)


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
    # the host
    "host.stall": _limit("silence while no answer is due", stall_s=10_000.0),
    "host.logs": _limit("lines and bytes of log", logs=10_000_000, log_bytes=1 << 40),
    "host.cleaning": Guard(stops="control characters in what a script says", patch=_without_cleaning),
    "display": Guard(stops="control characters in what a file says of itself", patch=_without_sanitizing),
    "host.depth": Guard(stops="JSON nested too deeply", patch=_without_check_of_nesting),
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
