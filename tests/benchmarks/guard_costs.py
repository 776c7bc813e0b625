"""What wall 1 costs: guarded operations and the compilation of a script, beside the same code in plain Python."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import trio

from vibe_workflows.sandbox.host import SandboxHost, open_host
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.policy import compile_script

from .sandbox_costs import run

_TIMES = 200_000
_ROUNDS = 7

#: The loop by what it does; one without a body of interest is the plain loop.
OPERATIONS = {
    "attribute read": "r.start",
    "method call": "text.upper()",
    "call of a function": "f(n)",
    "f-string": 'f"{n:>4} {text}"',
    "plain arithmetic": "total = total * 2 % 1000 + n",
}

_BLOCK = """\
{name} = meta_of({number})
for item in range({number}):
    if item % 3 == 0:
        total = total + len(f"{{item:>4}}") * 2
    found = [str(each).strip() for each in range(item)]
    log("so far", total=total, n=len(found))
"""
_HEAD = "def meta_of(number):\n    return dict(n=number)\nasync def main(args):\n    total = 0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    guarded: float
    plain: float

    @property
    def ratio(self) -> float:
        return self.guarded / self.plain


# ---------------------------------------------------------------- operations


def operations() -> dict[str, Cost]:
    """Microseconds for each operation, the loop around it included; a real locked child and this process in turn."""
    return trio.run(_operations)


async def _operations() -> dict[str, Cost]:
    zygote = start_zygote()
    try:
        async with open_host(zygote) as host:
            return {name: await _operation(host, body) for name, body in OPERATIONS.items()}
    finally:
        zygote.close()


async def _operation(host: SandboxHost, body: str) -> Cost:
    source = (
        "def f(x):\n    return x\n"
        "async def main(args):\n    r, text, total = range(3), 'some text', 0\n"
        f'    await agent("begin")\n    for n in range({_TIMES}):\n        {body}\n    await agent("end")\n'
    )
    guarded, plain = [], []
    for _ in range(_ROUNDS):
        begin, end = (await run(host, source)).called
        guarded.append(end - begin)
        plain.append(_plainly(source))
    return Cost(guarded=statistics.median(guarded) / _TIMES * 1e6, plain=statistics.median(plain) / _TIMES * 1e6)


def _plainly(source: str) -> float:
    called = []

    async def agent(_prompt: str) -> None:
        called.append(time.perf_counter())

    names: dict[str, Any] = {"agent": agent}
    exec(compile(source, "bench.py", "exec"), names)
    main: Coroutine[Any, Any, None] = names["main"]({})
    try:
        main.send(None)
    except StopIteration:
        return called[1] - called[0]
    raise AssertionError("it waits for something")


# ---------------------------------------------------------------- compilation


def compilation() -> dict[int, Cost]:
    """Milliseconds to check, compile and verify a script, by its number of lines."""
    return {lines: _compilation(_script(lines)) for lines in (22, 200, 2_000)}


def _compilation(source: str) -> Cost:
    guarded, plain = [], []
    for _ in range(_ROUNDS):
        guarded.append(_timed(lambda: compile_script(source, "bench.py")))
        plain.append(_timed(lambda: compile(source, "bench.py", "exec")))
    return Cost(guarded=statistics.median(guarded) * 1000, plain=statistics.median(plain) * 1000)


def _script(lines: int) -> str:
    source = _HEAD
    number = 0
    while source.count("\n") + 6 <= lines:
        number += 1
        block = _BLOCK.format(name=f"value_{number}", number=number)
        source += "".join(f"    {line}\n" for line in block.splitlines())
    return source


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
