# ruff: noqa: E501 - tables read better in lines
"""What a script may do, executed: everything of Python that is not refused means what it means in Python."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.policy_scripts import run
from vibe_workflows.sandbox import facades
from vibe_workflows.sandbox.policy import compile_script

ALLOWED = [
    # statements
    ("x: int = 5\ny: list[Undefined]\nx += 1\nreturn x", 6),
    ("def f(a: Undefined, *b: No, c: Nope = 2) -> Nothing:\n    return a + c\nreturn f(1)", 3),
    ("d = {'a': [1]}\nd['a'][0] += 4\ndel d['a'][0]\nd['b'] = 1\nreturn d", {"a": [], "b": 1}),
    ("a, (b, *c) = 1, (2, 3, 4)\nreturn [a, b, c]", [1, 2, [3, 4]]),
    ("a = b = [1]\nreturn a is b", True),
    ("n = 0\nwhile True:\n    n += 1\n    if n > 3: break\nelse:\n    n = 9\nreturn n", 4),
    ("try:\n    1 / 0\nexcept:\n    return 'caught'", "caught"),
    ("try:\n    [][1]\nexcept (KeyError, IndexError) as e:\n    return type(e).__name__", "IndexError"),
    ("try:\n    raise ValueError('no') from None\nexcept ValueError as e:\n    return str(e), e.args", ("no", ("no",))),
    ("out = []\ntry:\n    out.append(1)\nfinally:\n    out.append(2)\nreturn out", [1, 2]),
    ("assert 1 == 1, 'no'\nreturn 1", 1),
    ("try:\n    assert 0, 'no'\nexcept AssertionError as e:\n    return str(e)", "no"),
    ("with block() as x:\n    return x", "entered"),
    ("async with ablock() as x:\n    return x", "entered"),
    # functions
    ("def f(a, /, b, *c, d=4, **e):\n    return [a, b, c, d, e]\nreturn f(1, 2, 3, x=5)", [1, 2, (3,), 4, {"x": 5}]),
    ("def f(*a, **k):\n    return a, k\nreturn f(*[1, 2], **{'x': 3})", ((1, 2), {"x": 3})),
    (
        "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n        return n\n    g()\n    return g()\nreturn f()",
        2,
    ),
    ("n = 0\ndef f():\n    global n\n    n += 1\nf()\nf()\nreturn n", 2),
    ("def f():\n    global fresh\n    fresh = 7\nf()\nreturn fresh", 7),
    ("def twice(f):\n    return lambda x: f(f(x))\n@twice\ndef inc(x):\n    return x + 1\nreturn inc(1)", 3),
    ("def gen():\n    x = yield 1\n    yield from [2, 3]\nreturn list(gen())", [1, 2, 3]),
    ("async def agen():\n    for i in range(3):\n        yield i\nreturn [x async for x in agen()]", [0, 1, 2]),
    ("async def agen():\n    yield 1\nout = []\nasync for x in agen():\n    out.append(x)\nreturn out", [1]),
    ("async def f(x):\n    return await agent(x)\nreturn [await f(x) for x in 'ab']", ["<a>", "<b>"]),
    ("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nreturn fib(10)", 55),
    ("return sorted([{'n': 2}, {'n': 1}], key=lambda d: d['n'])", [{"n": 1}, {"n": 2}]),
    ("return sorted('bAc', key=str.lower)", ["A", "b", "c"]),
    # expressions
    ("return [y for x in [[1, 2], [3]] for y in x if y != 2]", [1, 3]),
    ("return {x: y for x, y in zip('ab', [1, 2])}, {x % 2 for x in range(5)}", ({"a": 1, "b": 2}, {0, 1})),
    ("return sum(x for x in range(4))", 6),
    ("if (n := len('abc')) > 2:\n    return n", 3),
    ("return [last for x in 'ab' if (last := x)] + [last]", ["a", "b", "b"]),
    ("return [*'ab', *range(2)], {**{'a': 1}, 'b': 2}", (["a", "b", 0, 1], {"a": 1, "b": 2})),
    ("x = 'abcd'\nreturn x[1:3], x[::-1], x[-1]", ("bc", "dcba", "d")),
    (
        "return 1 if 2 > 1 else 3, not 0, ~5, -2 ** 2, 7 // 2, 7 % 4, 1 << 3, 6 & 3 | 8 ^ 1",
        (1, True, -6, -4, 3, 3, 8, 11),
    ),
    ("a, b = 3, 4\na @= M\nreturn a", "matmul"),
    ("return 1 < 2 <= 2 != 3, 1 in [1], 'x' not in 'abc', None is None", (True, True, True, True)),
    ("name = 'x'\nreturn f'{name!r:>5}|{name.upper():{2 + 3}}|{3.14159:.2f}|{name=}'", "  'x'|X    |3.14|name='x'"),
    ("return '%s-%05.1f' % ('a', 2), '{:>4}{x}'.format('b', x=1), '{0[0]!r}' if 0 else 'c'", ("a-002.0", "   b1", "c")),
    ("_ = 5\nfor _ in range(2): pass\nreturn _", 1),
    ("return type(1).__name__, type([]) is list, len.__name__", ("int", True, "len")),
    ("return '\\N{BULLET}', b'a'.decode(), 'é'.encode()", ("•", "a", "é".encode())),
    ("return ...", ...),
    # patterns
    ("match 5:\n    case 1 | 2: return 'low'\n    case int(n) if n > 3: return n", 5),
    (
        "match {'kind': 'a', 'x': [1, 2, 3]}:\n    case {'kind': 'a', 'x': [first, *rest], **more}: return first, rest, more",
        (1, [2, 3], {}),
    ),
    ("match None:\n    case True: return 1\n    case None: return 2", 2),
    ("match (1, 'a'):\n    case (int(), str() as s): return s", "a"),
    ("match -1:\n    case -1: return 'minus'", "minus"),
    ("match 1 + 2j:\n    case 1 + 2j: return 'complex'", "complex"),
    ("match 'x':\n    case _: return 'any'", "any"),
    ("str = 5\nmatch 'x':\n    case str(s): return s", "x"),
    # imports
    (
        "import json, math as m\nfrom re import sub as replace\nreturn json.dumps([m.floor(1.5)]), replace('a', 'b', 'a')",
        ("[1]", "b"),
    ),
    (
        "import urllib.parse\nfrom urllib import parse\nimport urllib.parse as p\nreturn urllib.parse.quote('a b'), parse is p",
        ("a%20b", True),
    ),
    (
        "from __future__ import annotations\nfrom typing import Any, Optional\nX = dict[str, Optional[Any]] | None\nreturn 1",
        1,
    ),
    ("from vibe_workflows.script import agent, log\nreturn await agent('x')", "<x>"),
    ("import vibe_workflows.script as v\nreturn await v.agent('x')", "<x>"),
    ("from vibe_workflows.script import agent as ask_model\nreturn await ask_model('x')", "<x>"),
    ("def f():\n    import statistics\n    return statistics.mean([1, 3])\nreturn f()", 2),
    ("return itertools.chain.from_iterable([[1], [2]]) is not None", True),
    # the body
    ("meta = {'phases': ['a']}\nreturn meta['phases']", ["a"]),
    ("'doc'\n'another string'\n'''and one more'''\nreturn 1", 1),
    ("return args", {}),
    ("def f():\n    return args\nreturn f()", {}),
    ("async def main():\n    return args", {}),
    ("async def main(a):\n    return a, args", ({}, {})),
    ("async def main(a, /):\n    return 1", 1),
    ("def helper():\n    return args\nasync def main(args):\n    return helper()", {}),
    ("n = 1\ndef f():\n    global n\n    n += 1\nasync def main(args):\n    f()\n    return n", 2),
    ("x = 1", None),
    ("", None),
    ("\ufeffreturn 1", 1),
    ("x = 1\r\nreturn x", 1),
    ("return '\\d', 1 is 1", ("\\d", True)),  # SyntaxWarning is no problem of a script
]


class _Block:
    def __enter__(self) -> str:
        return "entered"

    def __exit__(self, *_: object) -> None:
        pass

    async def __aenter__(self) -> str:
        return "entered"

    async def __aexit__(self, *_: object) -> None:
        pass


class _Matrix:
    def __rmatmul__(self, other: Any) -> str:
        return "matmul"


@pytest.mark.parametrize(("source", "result"), ALLOWED, ids=[source[:60] for source, _ in ALLOWED])
def test_an_allowed_construct_means_what_it_means_in_python(source: str, result: object) -> None:
    from tests.sandbox.policy_scripts import echo

    facades.register("vibe_workflows.script", {"agent": echo})
    assert run(source, block=_Block, ablock=_Block, M=_Matrix()) == result


def test_a_traceback_names_the_file_and_the_line_of_the_script() -> None:
    with pytest.raises(KeyError) as caught:
        run("d = {}\n\nx = d['a']")
    last = caught.traceback[-1]
    assert str(last.path).endswith("flow.py")
    assert last.lineno + 1 == 3


def test_calls_keep_their_columns() -> None:
    """The line and column of an agent call become part of its step."""
    compiled = compile_script("x = 1\ny = [agent('e'), d.get(1)]\n", "flow.py")
    main = next(constant for constant in compiled.code.co_consts if hasattr(constant, "co_positions"))
    assert {(2, 5), (2, 17)} <= {(line, column) for line, _, column, _ in main.co_positions()}


def test_a_compiled_script_says_how_its_body_is_written() -> None:
    assert compile_script("async def main(args): pass", "f").has_main
    assert not compile_script("return 1", "f").has_main
    assert compile_script('"""One.\n\n    Two.\n    """', "f").docstring == "One.\n\nTwo."
    assert compile_script("x = 1", "f").docstring is None
