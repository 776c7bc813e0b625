"""What a script may not do, with the message, the line and the column that its author sees."""

from __future__ import annotations

import sys

import pytest

from tests.sandbox.policy_scripts import refusals
from vibe_workflows.sandbox import problems
from vibe_workflows.sandbox.policy import MAX_SOURCE_CHARS

NA = "is not available in workflow scripts"
FILES = 'files are read by steps: await tool("read_file", path=...), or agent(..., tools=["read"])'
MAIN = "async def main(args):\n    return 1\n"

REFUSED = [
    # constructs
    ("class Finding:\n    pass", f"1:1: `class` {NA}; use a dict, and functions that take it"),
    (
        "class BadReply(Exception):\n    pass",
        f"1:1: `class` {NA}; for an error of your own, raise ValueError(...) or RuntimeError(...)",
    ),
    ("@dataclass\nclass P:\n    x: int", f'2:1: `class` {NA}; use a dict: {{"title": ..., "line": ...}}'),
    ("class P(BaseModel):\n    x: int", f'1:1: `class` {NA}; use a dict: {{"title": ..., "line": ...}}'),
    ("try:\n    pass\nexcept* ValueError:\n    pass", f"1:1: `except*` {NA}; use `except`"),
    ("x.y = 1", "1:1: attributes cannot be set in workflow scripts; keep values in a dict: d['y'] = ..."),
    ("x.y += 1", "1:1: attributes cannot be set in workflow scripts; keep values in a dict: d['y'] = ..."),
    ("x.y: int = 1", "1:1: attributes cannot be set in workflow scripts; keep values in a dict: d['y'] = ..."),
    (
        "for x.y in z:\n    pass",
        "1:5: attributes cannot be set in workflow scripts; keep values in a dict: d['y'] = ...",
    ),
    ("del x.y", "1:5: attributes cannot be deleted in workflow scripts; keep values in a dict: del d['y']"),
    ("print('a', end='')", f"1:12: `print(end=...)` {NA}; every print is a line of the log: join the text"),
    ("print('a', file=f)", f"1:12: `print(file=...)` {NA}; every print is a line of the log: join the text"),
    ("yield 1", "1:1: `yield` outside a function; collect the values in a list and `return` it"),
    # patterns
    ("match x:\n    case str(__class__=k):\n        pass", f"2:10: {problems.CLASS_PATTERN}"),
    ("match x:\n    case Point(a):\n        pass", f"2:10: {problems.CLASS_PATTERN}"),
    ("match x:\n    case dict(a, b):\n        pass", f"2:10: {problems.CLASS_PATTERN}"),
    ("match x:\n    case Color.RED:\n        pass", f"2:10: {problems.DOTTED_PATTERN}"),
    ("match x:\n    case {Color.RED: 1}:\n        pass", f"2:11: {problems.DOTTED_PATTERN}"),
    # imports
    (
        "import os",
        f"1:8: `import os` {NA}; a script has no files, environment or processes; {FILES}",
    ),
    (
        "import asyncio",
        f"1:8: `import asyncio` {NA}; steps are awaited directly, and parallel([...]) runs them at the same time",
    ),
    ("from dataclasses import dataclass", f"1:1: `dataclasses.dataclass` {NA}; use a dict"),
    ("from time import sleep", f"1:1: `time.sleep` {NA}; {problems.MEMBERS['time.sleep']}"),
    ("from collections import namedtuple", f"1:25: `collections.namedtuple` {NA}; use a dict"),
    ("from pathlib import Path", f"1:21: `pathlib.Path` {NA}; use pathlib.PurePosixPath for names; {FILES}"),
    ("from functools import wraps", f"1:23: `functools.wraps` {NA}; leave it out"),
    ("from operator import attrgetter", f"1:22: `operator.attrgetter` {NA}; use a lambda"),
    ("from json import decoder", f"1:18: `json.decoder` {NA}"),
    ("from math import *", f"1:18: name what you import: `*` {NA}"),
    ("from . import review", "1:1: a workflow is one file: relative imports are not available"),
    ("from vibe_workflows.script import spawn", "1:35: `spawn` is not available in this version"),
    ("import vibe_workflows.engine", "1:8: `vibe_workflows.engine` is not available in this version"),
    ("from vibe_workflows import engine", "1:28: `vibe_workflows.engine` is not available in this version"),
    (
        "from vibe_workflows.patterns import dedupe",
        "1:37: vibe_workflows.patterns has no `dedupe`; it has batches, chunks",
    ),
    ("import json as _getattr_", "1:8: `_getattr_`: names that begin with `_` are not available in workflow scripts;"),
    # members of modules
    ("await asyncio.gather(a, b)", f"1:7: `asyncio.gather` {NA}; use await parallel([...])"),
    ("time.sleep(1)", f"1:1: `time.sleep` {NA}; there is nothing to wait for"),
    ("os.environ['HOME']", f"1:1: `os.environ` {NA}; declare an argument in `meta`, and read it as args.NAME"),
    (
        "from datetime import datetime as dt\nx = dt.now()",
        f"2:5: `datetime.datetime.now` {NA}; use now(), which a rerun repeats",
    ),
    (
        "import datetime\nx = datetime.datetime.now()",
        f"2:5: `datetime.datetime.now` {NA}; use now(), which a rerun repeats",
    ),
    ("from datetime import date\nx = date.today()", f"2:5: `datetime.date.today` {NA}; use now()"),
    ("sys.exit(1)", f"1:1: `sys.exit` {NA}; `return` a result, or raise ValueError(...)"),
    ("subprocess.run(['ls'])", f'1:1: `subprocess` {NA}; an agent runs commands: agent(..., tools=["command"])'),
    ("async with asyncio.TaskGroup() as tg:\n    pass", f"1:12: `asyncio.TaskGroup` {NA}; use await parallel([...])"),
    ("async with asyncio.timeout(3):\n    pass", f"1:12: `asyncio.timeout` {NA}; use agent(..., timeout=SECONDS)"),
    ("await asyncio.wait_for(f(), 3)", f"1:7: `asyncio.wait_for` {NA}; use agent(..., timeout=SECONDS)"),
    ("t = asyncio.create_task(f())", f"1:5: `asyncio.create_task` {NA}; use parallel([...])"),
    ("asyncio.run(main())", f"1:1: `asyncio.run` {NA}; the engine calls main itself"),
    ("asyncio.Lock()", f"1:1: `asyncio.Lock` {NA}; only one branch runs between two awaits: leave it out"),
    ("with contextlib.suppress(KeyError):\n    pass", f"1:6: `contextlib.suppress` {NA}; use `try`/`except`"),
    ("from contextlib import asynccontextmanager", f"1:1: `contextlib.asynccontextmanager` {NA}; write a function"),
    ("from types import SimpleNamespace", f"1:1: `import types` {NA}; use a dict"),
    ("dataclasses.asdict(x)", f"1:1: `dataclasses.asdict` {NA}; a dict is one already"),
    ("import argparse", f"1:8: `import argparse` {NA}; declare arguments in `meta`, and read them as args.NAME"),
    ("import numpy as np", f"1:8: `import numpy` {NA}; use math, statistics and lists"),
    ("import queue", f"1:8: `import queue` {NA}; steps are awaited directly"),
    ("from concurrent.futures import ThreadPoolExecutor", f"1:1: `import concurrent.futures` {NA}; steps are awaited"),
    ("import threading", f"1:8: `import threading` {NA}; steps are awaited directly"),
    ("x = uuid.uuid4()", f"1:5: `uuid` {NA}; use random, which a rerun repeats"),
    ("random.seed(1)", f"1:1: `random.seed` {NA}; random is seeded by the engine"),
    ("logging.info('x')", f"1:1: `logging` {NA}; use log(...)"),
    ("json.dump(x, f)", f"1:1: `json.dump` {NA}; {FILES}"),
    ("json.load(f)", f"1:1: `json.load` {NA}; use json.loads(text)"),
    ("os.path.exists('a')", f"1:1: `os.path` {NA}; use pathlib.PurePosixPath"),
    ("from vibe_workflows import agent", "1:28: write `from vibe_workflows.script import agent`, or leave it out"),
    ("import socket", f"1:8: `import socket` {NA}; an agent reaches the network"),
    # names
    ("@property\ndef f(x):\n    pass", f"1:2: `property` {NA}; write a plain function"),
    ("@staticmethod\ndef f(x):\n    pass", f"1:2: `staticmethod` {NA}; write a plain function"),
    ("__import__('os')", "1:1: `__import__`: names that begin with `_` are not available in workflow scripts"),
    ("x = globals()", f"1:5: `globals` {NA}; keep values in a dict"),
    ("self.x = 1", "1:1: attributes cannot be set in workflow scripts; keep values in a dict: d['x'] = ..."),
    ("open('x').read()", f"1:1: `open` {NA}; {FILES}"),
    ("eval('1')", f"1:1: `eval` {NA}; parse data with json.loads(...)"),
    ("f = exec", f"1:5: `exec` {NA}; write the code as a function"),
    ("input('?')", f"1:1: `input` {NA}; declare an argument in `meta`, and read it as args.NAME"),
    ("setattr(x, 'a', 1)", f"1:1: `setattr` {NA}; keep values in a dict: d[name] = value"),
    ("try:\n    pass\nexcept BaseException:\n    pass", f"3:8: `BaseException` {NA}; use `except Exception`"),
    (
        "def _clean(x):\n    pass",
        "1:1: `_clean`: names that begin with `_` are not available in workflow scripts; call it",
    ),
    ("x = __name__", "1:5: `__name__`: names that begin with `_` are not available in workflow scripts;"),
    ("x = ().__class__", "1:8: `.__class__`: attributes that begin with `_` are not available in workflow scripts"),
    ("x = ().__ｃlass__", "1:8: `.__class__`: attributes that begin with `_` are not available in workflow scripts"),
    ("x = g.gi_frame", "1:7: `.gi_frame`: the interpreter's internals are not available in workflow scripts"),
    ("await spawn(x)", "1:7: `spawn` is not available in this version"),
    ("x = ask", "1:5: `ask` is not available in this version"),
    # the body
    (
        "def main(args):\n    return 1",
        "1:1: `main` must be asynchronous: write `async def main(args)`",
    ),
    (
        "async def main(a, b):\n    return 1",
        "1:1: `main` takes the workflow's arguments or nothing: write `async def main(args)`",
    ),
    ("async def main(*, a):\n    return 1", "1:1: `main` takes the workflow's arguments or nothing"),
    ("async def main(args):\n    yield 1", "2:5: `main` may not `yield`; collect the values in a list and `return` it"),
    ("@log\nasync def main(args):\n    return 1", "1:2: `main` may not be decorated"),
    (MAIN + MAIN, "3:1: `main` is defined twice, here and on line 1"),
    (MAIN + "await agent('x')", "3:1: `await` outside a function, in a script that defines `main`: move it into main"),
    (MAIN + "return 2", "3:1: `return` outside a function, in a script that defines `main`: move it into main"),
    (MAIN + "if __name__ == '__main__':\n    asyncio.run(main())", "3:1: the engine calls main itself; remove this"),
    # meta
    ("meta = {'a': f()}", "1:14: `meta` must be a pure literal (it is read without running the script): a call is"),
    ("meta = [1]", "1:8: `meta` must be a dict literal"),
    ("meta = {}\nmeta = {}", "2:1: `meta` is assigned twice, here and on line 1"),
    ("meta = x = {}", "1:1: `meta` is read without running the script; assign it once, at the top level"),
    ("meta |= {}", "1:1: `meta` is read without running the script; assign it once, at the top level"),
    # syntax
    ("x = (1,\ny = 2", "1:5: syntax error: '(' was never closed"),
    ("for x in y:\n    pass\nbreak", "3:1: syntax error: 'break' outside loop"),
    ("é = 1; def f(a, a): pass", "1:8: syntax error: invalid syntax"),
    ("def f():\n    'é'; x = await g()", "2:14: syntax error: 'await' outside async function"),
    ("x = '\x00'", "syntax error: the file holds a NUL character; remove it"),
    ("x = '\ud800'", "1:1: the script cannot be read: "),
    ("x = " + "9" * 5_000, "1:1: syntax error: Exceeds the limit (4300 digits) for integer string conversion"),
    ("x = " + "+".join("1" * 20_000), f"1:1: {problems.TOO_DEEP}"),
    ("x = " + "-" * 100_000 + "1", f"1:1: {problems.TOO_DEEP}"),
    ("x = 1\n" * MAX_SOURCE_CHARS, "1:1: the script has 1,572,864 characters, and may have 262,144"),
]
if sys.version_info >= (3, 12):
    REFUSED += [
        ("type X = int", f"1:1: `type X = ...` {NA}; write `X = ...`"),
        ("def f[T](x):\n    pass", "1:1: type parameters (`def f[T]`) are not available in workflow scripts"),
    ]
if sys.version_info >= (3, 14):
    REFUSED += [("x = t'{y}'", f'1:5: `t"..."` {NA}; use an f-string: f"..."')]


@pytest.mark.parametrize(("source", "message"), REFUSED, ids=[message[:70] for _, message in REFUSED])
def test_a_refused_construct_is_named_with_its_place_and_what_to_write_instead(source: str, message: str) -> None:
    found = refusals(source)
    assert any(message in problem for problem in found), found


# Everything that binds a name, and so could replace a guard.
@pytest.mark.parametrize(
    "source",
    [
        "_getattr_ = 1",
        "_getattr_: int = 1",
        "_getattr_: int",
        "_getattr_ += 1",
        "(_getattr_ := 1)",
        "[(_getattr_ := 1) for x in y]",
        "a, (*_getattr_, b) = c",
        "for _getattr_ in x: pass",
        "async def f():\n    async for _getattr_ in x: pass",
        "[0 for _getattr_ in x]",
        "{0: 0 for _getattr_ in x}",
        "with x as _getattr_: pass",
        "async def f():\n    async with x as (_getattr_, b): pass",
        "try: pass\nexcept ValueError as _getattr_: pass",
        "def _getattr_(): pass",
        "async def _getattr_(): pass",
        "class _getattr_: pass",
        "def f(_getattr_): pass",
        "def f(_getattr_, /): pass",
        "def f(*, _getattr_): pass",
        "def f(*_getattr_): pass",
        "def f(**_getattr_): pass",
        "lambda _getattr_: 1",
        "lambda *_getattr_: 1",
        "import json as _getattr_",
        "import json._getattr_",
        "from json import dumps as _getattr_",
        "from json import _getattr_",
        "def f():\n    global _getattr_",
        "def f():\n    def g():\n        nonlocal _getattr_",
        "del _getattr_",
        "match x:\n    case _getattr_: pass",
        "match x:\n    case str() as _getattr_: pass",
        "match x:\n    case [*_getattr_]: pass",
        "match x:\n    case {**_getattr_}: pass",
        "match x:\n    case {'a': _getattr_}: pass",
        "match x:\n    case str(_getattr_): pass",
        "match x:\n    case 1 | _getattr_: pass",
        "_match_str_ = 1",
        "_import_ = 1",
        "_getattr_",
        "_getattr_(x, '__class__')",
        "f'{_getattr_}'",
        "f'{1:{_getattr_}}'",
        "@_getattr_\ndef f(): pass",
        "def f(a=_getattr_): pass",
        "x[_getattr_]",
        "f(*_getattr_, **_import_)",
    ],
)
def test_no_construct_can_bind_or_name_a_guard(source: str) -> None:
    found = refusals(source)
    assert found
    # The policy itself finds it, at its place; the verifier is the second wall.
    assert not any("in the bytecode of" in problem for problem in found)


def test_every_problem_of_a_script_is_reported_in_order_and_once() -> None:
    found = refusals("import os\nimport sys\nclass A: pass\nx = a.__b__.__c__\nx = eval(y)\nimport os\n")
    assert [problem.split(": ")[0] for problem in found] == ["1:8", "2:8", "3:1", "4:7", "4:13", "5:5", "6:8"]


def test_no_more_than_twenty_problems_are_reported() -> None:
    assert len(refusals("import os\n" * 100)) == problems.MAX_PROBLEMS


def test_columns_count_characters_and_not_bytes() -> None:
    assert refusals("'日本語'.__class__")[0].startswith("1:7: ")


def test_a_chain_over_several_lines_is_reported_where_each_name_stands() -> None:
    found = refusals("x = (\n    a\n    .__b__\n    .c.__d__\n)")
    assert [problem.split(": ")[0] for problem in found] == ["3:6", "4:8"]


def test_a_node_that_nobody_has_thought_about_is_refused() -> None:
    import ast

    from vibe_workflows.sandbox.policy_nodes import Policy

    class Novelty(ast.expr):
        _fields = ()

    node = Novelty(lineno=1, col_offset=0)
    policy = Policy(["..."], has_main=False)
    policy.visit(ast.Module([ast.Expr(node, lineno=1, col_offset=0)], []))
    assert [problem.message for problem in policy.problems] == [f"`Novelty` {NA}"]


def test_a_primitive_imported_from_elsewhere_is_refused_once() -> None:
    for module in ("vibe", "vibe_workflows"):
        assert len(refusals(f"from {module} import agent\nawait agent('x')")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations\nx: list[Missing] | None = None",
        "def f(x: int | None, *y: Missing) -> dict[str, Missing]: return [lambda i=i: i for i in x]",
        "print('a', sep='-', flush=True)",
        "try:\n    pass\nexcept:\n    pass",
        "async def f(x):\n    async for y in x: yield y",
        "from typing import Any, Awaitable, Callable, Literal, Optional, TypeAlias",
    ],
)
def test_what_many_scripts_begin_with_is_accepted(source: str) -> None:
    assert refusals(source) == []
