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

from vibe_workflows.sandbox import launcher
from vibe_workflows.sandbox.launcher import Zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, MIB, PRIVILEGES, SECCOMP, HostLimits

WEAKNESSES = Path(__file__).with_name("weaknesses.py")
_LAST_LINE = "main(int(control))\n"


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
    # wall 2
    "seccomp": _layer(SECCOMP, "system calls that are not listed"),
    "landlock": _layer(LANDLOCK, "files, TCP, signals to others"),
    "privileges": _layer(PRIVILEGES, "root's rights"),
    "limit.memory": _child_limit("memory", memory_bytes=1024 * MIB),
    "limit.cpu": _child_limit("CPU time", cpu_s=600),
    "limit.fds": _inside("new file descriptors"),
    "limit.processes": _inside("new processes"),
    # the host
    "host.stall": _limit("silence while no answer is due", stall_s=10_000.0),
    "host.logs": _limit("lines and bytes of log", logs=10_000_000, log_bytes=1 << 40),
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
    weaken = f"weaken = {{}}\nexec(compile(open({str(WEAKNESSES)!r}).read(), 'weaknesses.py', 'exec'), weaken)\n"
    weaken += f"weaken['switch_off']({list(weaknesses)!r})\n" if weaknesses else ""
    bootstrap = launcher._BOOTSTRAP.removesuffix(_LAST_LINE) + weaken + _LAST_LINE
    with mock.patch.object(launcher, "_BOOTSTRAP", bootstrap):
        return launcher.start_zygote()
