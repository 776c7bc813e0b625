"""All that a script can get at, by whatever way, is of a type on a closed list.

The walk runs where scripts run: in a really locked child, inside of a script's own coroutine, in its own globals, with
the audit hook armed, so that a call which does what only an escape needs is found, too. Role `native` carries it there;
everything between the guard and the wire is the child's own.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from tests.support.in_child import with_modules
from tests.support.reachable import EXPECTED_CLASSES, EXPECTED_VALUES, RENAMED
from tests.support.sandbox import RecordingEngine, run_native, running_forker
from vibe_workflows.sandbox.ending import Ended
from vibe_workflows.sandbox.forker import Forker
from vibe_workflows.sandbox.limits import ChildLimits, HostLimits

#: What a script can make by itself, and the samples that everything is called with. Compiled under the policy.
SEEDS = """
captured = []


def catch(*values, **named):
    if len(captured) < 50:
        captured.extend(values)
        captured.extend(named.values())
    return values[0] if values else None

def plain():
    return 1

def numbers():
    got = yield 1
    yield [got]
    return 3

async def waits():
    return await agent("one")

async def streams():
    yield 1
    yield await agent("two")

def caught(function, *values):
    try:
        return function(*values)
    except Exception as error:
        return error

async def failed(kind):
    try:
        await agent("fail " + kind)
    except Exception as error:
        return error

def arguments():
    return {
        "none": None, "catch": catch, "text": "a b", "list": [3, 1, 2], "int": 2,
        "dict": {"a": 1}, "words": ["a", "b"], "zero": 0, "format": "%Y {0} $a", "encoding": "utf-8",
        "type": int, "float": 1.5, "bytes": b"ab", "tuple": (1, "a"), "generator": numbers(),
        "minus": -1, "true": True, "complex": 2j, "empty": "", "set": {1, 2}, "range": range(3), "slice": slice(1, 2),
        "error": ValueError("x"), "error type": KeyError, "pattern": re.compile("(?P<n>a)"),
        "match": re.match("(?P<n>a)", "ab"), "date": datetime.date(2020, 1, 2), "now": now(),
        "delta": datetime.timedelta(1), "zone": datetime.timezone.utc, "path": pathlib.PurePosixPath("a/b.c"),
        "counter": collections.Counter("ab"), "deque": collections.deque([1]), "args": args, "module": json,
        "getattr": getattr, "lambda": lambda value, *more: value, "json": '{"a": [1]}', "iso": "2020-01-02",
        "date name": "__class__", "codec": "rot13",
    }

seeds = arguments()
seeds["plain"] = plain
seeds["streams"] = streams()
seeds["anext"] = anext(streams())
seeds["anext default"] = anext(streams(), 1)
seeds["stepped"] = streams()
seeds["results"] = [await agent("x"), await agent("x", detail=True), await tool("read_file", path="a")]
seeds["several"] = await parallel([agent("a"), agent("fail RateLimited")], on_error="return")
seeds["piped"] = await pipeline([1, 2], lambda item: agent("x"))
seeds["faults"] = [await failed(kind) for kind in (
    "RateLimited", "Timeout", "Refused", "Truncated", "ContextTooLong", "TurnLimit", "SchemaMismatch", "GateFailed",
    "Conflict", "ProviderError", "ToolFailed", "ToolDenied", "BudgetExceeded", "WorkflowFailed", "SetupError",
    "ModelMissing", "AgentError", "NoSuchError",
)]
seeds["errors"] = [
    caught(agent, 1), caught(plain, 1), caught(lambda: nowhere), caught(lambda: 1 / 0), caught(lambda: [][1]),
    caught(lambda: b"\\xff".decode()), caught(lambda: "\\ud800".encode()), caught(next, iter([])),
    caught(lambda: json.loads("{")), caught(re.compile, "("), caught(lambda: "x".nope), caught(lambda: args.nope),
    caught(lambda: getattr(streams, "__code__")), caught(lambda: statistics.mean([])), caught(lambda: 2.0 ** 5000),
    caught(lambda: int("9" * 5000)), caught(lambda: {}["x"]), caught(lambda: late), caught(iter, 1),
]
late = 1
stopped = numbers()
next(stopped)
caught(next, stopped)
seeds["stopped"] = caught(next, stopped)
with phase("one") as seeds["entered"]:
    seeds["phase"] = phase("two")
with budget(tokens=5) as seeds["budget entered"]:
    seeds["block"] = budget(tokens=5)
seeds["aliases"] = [list[int], iter(list[int]), int | None, typing.Any, typing.Optional[int]]
seeds["iterators"] = [iter("é"), iter(range(10 ** 30, 10 ** 30 + 3))]
walk(seeds, arguments, captured)
return 1
"""

_DRIVER = """
from tests.support import script_world, walker
from vibe_workflows.sandbox import attributes, guards, namespace
from vibe_workflows.sandbox.facades import registry
import json

hole = None
def offer(module, **members):
    registry._install(module, {{**registry.members(registry.find(module)), **members}})
def leaks(value):
    return lambda *_, **__: value

{mutation}

script = script_world.make_script({seeds!r}, log)
walks = []

def walk(seeds, arguments, captured):
    scope = script._globals
    names = {{**scope["__builtins__"], **scope}}
    names = {{name: value for name, value in names.items() if not name.startswith("_") and name != "walk"}}
    names |= {{f"import {{name}}": registry.find(name) for name in registry._modules}}
    names |= {{f"seed {{name}}": value for name, value in seeds.items()}}
    walks.append(walker.Walker(arguments, captured, thorough={thorough}))
    walks[0].walk(names)

script._globals["walk"] = walk
script.run()
if not walks:
    log("the script did not get to the walk: " + json.dumps(script._channel.frames[-1]))
for found in walks[0].holes:
    log(f"HOLE {{found.path}}: {{found.what}}")
log(json.dumps({{"calls": walks[0].calls, "reads": walks[0].reads, "types": [], "classes": []}}))
for kind in ("types", "classes"):
    names = sorted(getattr(walks[0], kind))
    for start in range(0, len(names), 50):
        log(kind + " " + " ".join(names[start : start + 50]))
"""
_MODULES = ("tests.support.reachable", "tests.support.walker", "tests.support.script_world")
_LIMITS = HostLimits(child=ChildLimits(cpu_s=60))


@dataclass(frozen=True, slots=True)
class Walked:
    ended: Ended
    logs: list[str]

    @property
    def holes(self) -> list[str]:
        return [line for line in self.logs if line.startswith(("HOLE", "INTROSPECT"))]

    @property
    def counts(self) -> dict[str, Any]:
        (line,) = (line for line in self.logs if line.startswith("{"))
        counts: dict[str, Any] = json.loads(line)
        return counts

    def names(self, kind: str) -> set[str]:
        return {name for line in self.logs if line.startswith(f"{kind} ") for name in line.split()[1:]}


async def walk(forker: Forker, mutation: str = "", *, thorough: bool = True) -> Walked:
    source = _DRIVER.format(seeds=SEEDS, mutation=mutation, thorough=thorough)
    ended, engine = await run_native(forker, with_modules(_MODULES, source), engine=RecordingEngine(), limits=_LIMITS)
    return Walked(ended, engine.logs)


def test_nothing_but_what_is_on_the_list_can_be_reached_from_a_script() -> None:
    async def main() -> Walked:
        async with running_forker() as forker:
            return await walk(forker)

    walked = trio.run(main)
    assert walked.holes == []
    assert walked.ended.outcome == "returned", (walked.ended, walked.logs[-1:])
    # A walk that got nowhere would find nothing, too.
    assert walked.counts["calls"] > 500_000
    assert walked.counts["reads"] > 50_000
    # The list says no more than what is there.
    assert EXPECTED_VALUES - walked.names("types") <= RENAMED
    assert EXPECTED_CLASSES - walked.names("classes") <= RENAMED


#: A hole, and what of it the walk must name.
MUTATIONS = {
    "the real module instead of its facade": (
        "import statistics; registry._modules['statistics'] = statistics", "builtins.module"
    ),
    "a member that is a module": ("import sys; offer('json', codecs=sys)", "builtins.module"),
    "re.Scanner": ("import re; offer('re', Scanner=re.Scanner)", "re.Scanner"),
    "operator.attrgetter": ("import operator; offer('operator', attrgetter=operator.attrgetter)", "attrgetter"),
    "the real type": ("namespace.BUILTINS = {**namespace.BUILTINS, 'type': type}", "builtins.type"),
    "the owner of a builtin function": (
        "attributes.INSTANCE_ATTRIBUTES[type(len)] = frozenset({'__self__'})", "__self__"
    ),
    "the owner of a method": (
        "import types; attributes.INSTANCE_ATTRIBUTES[types.MethodType] = frozenset({'__self__'})", "__self__"
    ),
    "the globals of a function": (
        "attributes.INSTANCE_ATTRIBUTES[type(offer)] = frozenset({'__globals__'})", "__globals__"
    ),
    "the code of a function": (
        "attributes.INSTANCE_ATTRIBUTES[type(offer)] = frozenset({'__code__'})", "object.__getattr__"
    ),
    "the traceback of an error": (
        "attributes.INSTANCE_ATTRIBUTES[ZeroDivisionError] = frozenset({'__traceback__'})", "__traceback__"
    ),
    "the frame of a generator": (
        "attributes.INSTANCE_ATTRIBUTES[type(x for x in ())] = frozenset({'gi_frame'})",
        "builtins.frame|object.__getattr__"
    ),
    "the scheduler behind a step": (
        "from vibe_workflows.sandbox.steps import Step; guards.allow_attributes(Step, ['maker'])", "trampoline.Task"
    ),
    "a function that returns a frame": ("import sys; offer('copy', copy=leaks(sys._getframe()))", "builtins.frame"),
    "a function that returns a file in a list in a dict": (
        "import sys; offer('copy', copy=leaks({'a': [sys.__stdout__]}))", "_io."
    ),
    "an error that carries a module": (
        "import sys\ndef fail(*_): raise ValueError(sys)\noffer('copy', copy=fail)", "builtins.module"
    ),
    "a callback that is handed a module": (
        "import sys\ndef pass_on(function, *_): return function(sys)\noffer('copy', copy=pass_on)", "builtins.module"
    ),
    "an operator that gives a module": (
        "import sys; from vibe_workflows.sandbox.facades.hints import Hint; Hint.__or__ = leaks(sys)", "builtins.module"
    ),
    "a call that opens a process": (
        "import os, sys\ndef spawn(*_): sys.audit('os.system', 'ls')\noffer('copy', copy=spawn)", "os.system"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def walks_of_mutants() -> dict[str, Walked]:
    found: dict[str, Walked] = {}

    async def main() -> None:
        async with running_forker() as forker, trio.open_nursery() as nursery:
            slots = trio.CapacityLimiter(2)

            async def one(name: str) -> None:
                async with slots:
                    found[name] = await walk(forker, MUTATIONS[name][0], thorough=False)

            for name in MUTATIONS:
                nursery.start_soon(one, name)

    trio.run(main)
    return found


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_hole_that_somebody_makes_is_found(name: str, walks_of_mutants: dict[str, Walked]) -> None:
    walked = walks_of_mutants[name]
    assert any(re.search(MUTATIONS[name][1], hole) for hole in walked.holes), (walked.ended, walked.logs[-2:])
