# ruff: noqa: E501 - tables read better in lines
"""The modules of a script: each works, each is a choice, and none leads anywhere."""

from __future__ import annotations

import ast
import enum
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.policy_scripts import run
from vibe_workflows.sandbox import attributes, namespace
from vibe_workflows.sandbox.facades import Module, register, registry
from vibe_workflows.sandbox.facades.module import members
from vibe_workflows.sandbox.guards import guarded_getattr, make_globals

#: What each function does, for a value that shows that it is the one of its name.
WORKS = [
    (
        "json.loads('[1]'), json.loads(b'{}'), json.dumps({'b': 1, 'a': 2}, sort_keys=True, indent=None)",
        '([1], {}, \'{"a": 2, "b": 1}\')',
    ),
    ("json.dumps({1, 2}, default=sorted), json.dumps('é', ensure_ascii=False)", "('[1, 2]', '\"é\"')"),
    ("math.sqrt(4), math.pi > 3, math.inf, math.prod([2, 3])", "(2.0, True, inf, 6)"),
    (
        "statistics.mean([1, 3]), statistics.median([1, 2, 9]), statistics.stdev([1, 3]), statistics.mode('aab')",
        "(2, 2, 1.4142135623730951, 'a')",
    ),
    ("statistics.linear_regression([1, 2], [2, 4]).slope, statistics.quantiles([1, 2, 3], n=2)", "(2.0, [2.0])"),
    (
        "[*itertools.chain([1], [2])], [*itertools.islice(itertools.count(), 2)], [*itertools.batched('abc', 2)]",
        "([1, 2], [0, 1], [('a', 'b'), ('c',)])",
    ),
    (
        "[(k, [*g]) for k, g in itertools.groupby('aab')], [*itertools.pairwise('abc')]",
        "([('a', ['a', 'a']), ('b', ['b'])], [('a', 'b'), ('b', 'c')])",
    ),
    ("functools.reduce(lambda a, b: a + b, [1, 2]), functools.partial(max, 3)(1)", "(3, 3)"),
    (
        "functools.cache(lambda x: [x])(1), functools.lru_cache(lambda x: x)(2), functools.lru_cache(maxsize=1)(lambda: 3)()",
        "([1], 2, 3)",
    ),
    ("sorted([3, 1], key=functools.cmp_to_key(lambda a, b: a - b))", "[1, 3]"),
    (
        "collections.Counter('aab').most_common(1), collections.defaultdict(list), collections.deque([1], 2).maxlen",
        "([('a', 2)], defaultdict(<class 'list'>, {}), 2)",
    ),
    ("[*collections.OrderedDict(a=1)], collections.OrderedDict.fromkeys('ab').popitem()", "(['a'], ('b', None))"),
    (
        "operator.itemgetter('a')({'a': 1}), operator.add(1, 2), sorted([[2], [1]], key=operator.itemgetter(0))",
        "(1, 3, [[1], [2]])",
    ),
    ("heapq.nlargest(2, [1, 3, 2]), [*heapq.merge([1], [2])], bisect.bisect([1, 2], 1)", "([3, 2], [1, 2], 1)"),
    (
        "textwrap.dedent('  a'), textwrap.shorten('a b c', 3, placeholder='…'), textwrap.wrap('a b', 1)",
        "('a', 'a…', ['a', 'b'])",
    ),
    (
        "string.ascii_lowercase[:3], string.capwords('a b'), string.Template('$x y').substitute(x=1)",
        "('abc', 'A B', '1 y')",
    ),
    (
        "re.match('(?P<n>a+)', 'aab')['n'], re.sub('(a)', r'<\\1>', 'a', flags=re.I | re.M), re.compile('a').pattern",
        "('aa', '<a>', 'a')",
    ),
    (
        "[m.span() for m in re.finditer('a', 'aba')], re.split(',', 'a,b'), re.escape('.')",
        "([(0, 1), (2, 3)], ['a', 'b'], '\\\\.')",
    ),
    ("difflib.SequenceMatcher(None, 'ab', 'ac').ratio(), difflib.get_close_matches('ab', ['abc'])", "(0.5, ['abc'])"),
    (
        "[*difflib.unified_diff(['a'], ['b'], lineterm='')][-1], [op[0] for op in difflib.SequenceMatcher(None, 'a', 'b').get_opcodes()]",
        "('+b', ['replace'])",
    ),
    (
        "difflib.SequenceMatcher(None, 'a', 'a').get_matching_blocks()[0].size, [*difflib.ndiff(['a'], ['a'])]",
        "(1, ['  a'])",
    ),
    ("fnmatch.fnmatch('a.py', '*.py'), fnmatch.filter(['a', 'b'], 'a')", "(True, ['a'])"),
    (
        "datetime.datetime(2020, 1, 2).isoformat(), datetime.datetime.strptime('2020', '%Y').year",
        "('2020-01-02T00:00:00', 2020)",
    ),
    (
        "datetime.date.fromisoformat('2020-01-02').strftime('%d'), datetime.timedelta(days=1).total_seconds()",
        "('02', 86400.0)",
    ),
    (
        "datetime.datetime.fromtimestamp(0, datetime.UTC).isocalendar().week, datetime.timezone.utc",
        "(1, datetime.timezone.utc)",
    ),
    (
        "pathlib.PurePosixPath('a/b.py').stem, str(pathlib.PurePosixPath('a') / 'b'), pathlib.PurePosixPath('a/b').parent.name",
        "('b', 'a/b', 'a')",
    ),
    (
        "urllib.parse.urlparse('http://h:1/p?q=1').port, urllib.parse.quote('é'), urllib.parse.parse_qs('a=1')",
        "(1, '%C3%A9', {'a': ['1']})",
    ),
    (
        "hashlib.sha256('a').hexdigest()[:8], hashlib.md5(b'a').hexdigest()[:4], hashlib.blake2b('a', digest_size=2).hexdigest()",
        "('ca978112', '0cc1', '1e1b')",
    ),
    (
        "copy.copy([1]), copy.deepcopy({'a': [collections.Counter('a')]}), copy.deepcopy((1, [2]))",
        "([1], {'a': [Counter({'a': 1})]}, (1, [2]))",
    ),
    (
        "typing.cast(typing.List[int], 5), typing.TYPE_CHECKING, typing.Optional[str] | None, None | typing.TypeVar('T')",
        "(5, False, Optional, T)",
    ),
    (
        "vibe_workflows.patterns.majority([1, 2, None], lambda n: n > 1, 1), vibe_workflows.patterns.majority([5], bool)",
        "('unverified', 'yes')",
    ),
]


@pytest.mark.parametrize(("expression", "result"), WORKS)
def test_the_functions_of_the_modules_work(expression: str, result: str) -> None:
    assert str(run("\n".join((*IMPORTS, f"return {expression}")))) == result


IMPORTS = (
    "import bisect, collections, copy, datetime, difflib, fnmatch, functools, hashlib, heapq, itertools, json, math",
    "import operator, pathlib, re, statistics, string, textwrap, typing, urllib.parse, vibe_workflows.patterns",
)


def test_the_modules_are_those_of_the_language_and_no_others() -> None:
    built_in = {name for name in registry._modules if name not in registry.FROM_OUTSIDE}
    assert built_in == {
        *(
            "bisect",
            "collections",
            "copy",
            "datetime",
            "difflib",
            "fnmatch",
            "functools",
            "hashlib",
            "heapq",
            "itertools",
        ),
        *("json", "math", "operator", "pathlib", "re", "statistics", "string", "textwrap", "typing"),
        *("urllib", "urllib.parse", "vibe_workflows.patterns"),
    }


NEVER = [
    ("operator", "attrgetter methodcaller call"),
    ("string", "Formatter"),
    (
        "functools",
        "update_wrapper wraps singledispatch singledispatchmethod cached_property total_ordering partialmethod",
    ),
    ("collections", "namedtuple UserDict UserList UserString ChainMap abc"),
    ("json", "JSONEncoder JSONDecoder load dump decoder encoder codecs"),
    ("re", "Scanner enum functools copyreg template DEBUG"),
    ("typing", "get_type_hints NamedTuple TypedDict NewType ForwardRef sys"),
    ("pathlib", "Path PosixPath PurePath os"),
    ("hashlib", "file_digest new pbkdf2_hmac"),
    ("statistics", "NormalDist sys random"),
    ("datetime", "datetime_CAPI sys"),
    ("difflib", "HtmlDiff Differ"),
    ("copy", "copyreg replace"),
    ("urllib", "request"),
]


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NEVER for name in names.split()])
def test_what_must_never_be_offered_is_not(module: str, name: str) -> None:
    facade = registry.find(module)
    assert facade is not None
    assert name not in members(facade)


def test_json_takes_no_class_and_decodes_nothing_but_utf8() -> None:
    with pytest.raises(TypeError):
        run("return json.dumps(1, cls=len)")
    with pytest.raises(TypeError):
        run("return json.loads('1', object_hook=len)")
    with pytest.raises(UnicodeDecodeError):
        run("return json.loads(b'\\xff\\xfe1\\x00')")


@pytest.mark.parametrize("value", ["agent", "json", "(i for i in [])", "typing.Any", "hashlib.sha256('a')"])
def test_copy_takes_plain_data_only(value: str) -> None:
    for function in ("copy.copy", "copy.deepcopy"):
        if value == "agent" and function == "copy.deepcopy":
            continue  # a function inside of data is left as it is
        with pytest.raises(TypeError, match="plain data"):
            run(f"return {function}({value})")


def test_a_deep_copy_keeps_what_is_shared_and_what_is_endless() -> None:
    assert run("""
        shared = [1]
        ring = {"a": shared, "b": shared, "t": {1}, "d": collections.deque([shared], 3)}
        ring["self"] = ring
        twin = copy.deepcopy(ring)
        twin["a"].append(2)
        return twin["a"] is twin["b"], twin["self"] is twin, twin["d"][0] is twin["a"], shared, twin["d"].maxlen
    """) == (True, True, True, [1], 3)


@pytest.mark.parametrize("function", ["async def f(): pass", "def f(): yield 1"])
def test_a_cache_refuses_what_can_be_used_only_once(function: str) -> None:
    with pytest.raises(TypeError, match="used only once"):
        run(f"{function}\nreturn functools.cache(f)()")


@pytest.mark.parametrize("thing", ["len", "functools.partial(len)", "str", "json"])
def test_a_cache_wraps_functions_of_the_script_only(thing: str) -> None:
    with pytest.raises(TypeError, match="only functions can be cached"):
        run(f"return functools.cache({thing})")


# ---------------------------------------------------------------- modules from outside


def test_a_registered_module_can_be_imported_in_every_way() -> None:
    register("random", {"random": lambda: 0.5})
    register("vibe_workflows.script", {"agent": "agent", "AgentError": ValueError})
    assert run("""
        import random
        from random import random as roll
        import random as rnd
        import vibe_workflows.script
        import vibe_workflows.script as v
        from vibe_workflows import script
        from vibe_workflows.script import AgentError
        return roll(), rnd.random(), v is script, vibe_workflows.script is v, AgentError is ValueError, v.agent
    """) == (0.5, 0.5, True, True, True, "agent")


def test_a_module_from_outside_that_lacks_a_name_says_so() -> None:
    register("random", {"random": lambda: 0.5})
    with pytest.raises(ImportError, match="cannot import 'choice' from 'random'"):
        run("from random import choice")


def test_a_built_in_module_cannot_be_replaced() -> None:
    with pytest.raises(ValueError, match="built in"):
        register("json", {})


def test_a_module_is_read_only() -> None:
    module = registry.find("json")
    with pytest.raises(TypeError):
        module.dumps = 1  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        del module._members  # type: ignore[union-attr]
    with pytest.raises(TypeError):
        members(module)["dumps"] = 1  # type: ignore[arg-type,index]


# ---------------------------------------------------------------- where it all leads

_FORBIDDEN = (
    enum.Enum,
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    types.CellType,
    types.MappingProxyType,
    type(sys.stdout),
)


def _reachable(start: list[Any]) -> Iterator[Any]:
    """Everything that attributes and containers lead to."""
    seen: set[object] = set()
    stack = list(start)
    keep = []  # keeps ids from being used again
    while stack:
        value = stack.pop()
        key = type(value) if isinstance(value, bool | int | float | complex | str | bytes) else id(value)
        if key in seen:
            continue
        seen.add(key)
        keep.append(value)
        yield value
        if isinstance(value, Module):
            stack.extend(members(value).values())
        elif isinstance(value, list | tuple | set | frozenset):
            stack.extend(value)
        elif isinstance(value, dict):
            stack.extend([*value.keys(), *value.values()])
        names = {*attributes.INSTANCE_ATTRIBUTES.get(type(value), ()), "args", "__name__", "__class__", "__globals__"}
        if isinstance(value, type):
            names |= attributes.CLASS_ATTRIBUTES.get(value, frozenset())
        for name in names:
            try:
                stack.append(guarded_getattr(value, name))
            except (AttributeError, ValueError):
                continue


def test_nothing_that_a_script_can_name_leads_to_the_outside() -> None:
    scope: dict[str, Any] = make_globals({}, filename="flow.py")
    builtins = {name: value for name, value in scope["__builtins__"].items() if name != "__import__"}
    samples: list[Any] = ["", b"", [], {}, (), 1, 1.0, None, range(1), ValueError("x"), StopIteration(1)]
    samples += [run("\n".join((*IMPORTS, f"return {expression}"))) for expression, _ in WORKS]
    visible = [value for name, value in scope.items() if not name.startswith("__")]
    found = list(_reachable([*visible, *builtins.values(), *samples]))
    assert len(found) > 500
    assert [value for value in found if isinstance(value, _FORBIDDEN)] == []
    assert not any(value is type or value is object or value is BaseException for value in found)


def test_every_allowed_attribute_exists() -> None:
    for cls, names in attributes.INSTANCE_ATTRIBUTES.items():
        missing = {name for name in names if not hasattr(cls, name)}
        # Set by __init__ and not by the class.
        assert missing <= {"args", "msg", "doc", "pos", "lineno", "colno", "pattern", "template"}, cls


# ---------------------------------------------------------------- in a process that cannot load anything

_SEALED = """
import ast, sys
from vibe_workflows.sandbox import guards, namespace, policy
source = sys.stdin.read()
asked, events = [], []
real = namespace.import_loaded
def recorded(name, *rest):
    asked.append(name)
    return real(name, *rest)
namespace.import_loaded = recorded
code = policy.compile_script(source, "flow.py").code
scope = guards.make_globals({}, filename="flow.py")
namespace.lock_codecs()
sys.addaudithook(lambda event, args: events.append((event, str(args[:2])[:80])))
body = scope["__builtins__"]
namespace_ok = {"exec", "sys.unraisablehook", "builtins.id"}
exec(code, scope)
coroutine = scope["main"]({})
try:
    coroutine.send(None)
except StopIteration:
    pass
print([event for event in events if event[0] not in namespace_ok], sorted(set(asked)))
"""


def _sealed(source: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", _SEALED], input=source, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_no_function_imports_or_opens_anything_when_it_is_called() -> None:
    """What the standard library loads at the first call must be there already: the child has no files."""
    lines = [*IMPORTS, *(f"x = {expression}" for expression, _ in WORKS)]
    lines += [
        "x = divmod(10 ** 20000, 3 ** 9000)",
        "x = str(b'a', 'utf-8') + str(b'a', 'latin-1')",
        "x = bytes('a', 'ascii')",
    ]
    lines += ["urllib.parse.urlsplit('http://é/')", "x = str(10 ** 4000)"]
    output = _sealed("\n".join(lines))
    events, _, asked = output.partition("] [")
    assert events == "[", output
    assert set(ast.literal_eval(f"[{asked}")) <= namespace._FOR_C_CODE


def test_no_codec_is_left_but_the_plain_ones() -> None:
    assert (
        _sealed("""
for name in ("idna", "zlib", "unicode_escape", "../x", "cp437", "rot13"):
    try:
        text = str(b"x", name)
    except LookupError:
        continue
    raise ValueError(name)
return [urllib.parse.quote("é", encoding="latin-1"), str(b"x", "US-ASCII"), str(b"x", "UTF8"), "é".encode("Latin1")]
""")
        == "[] []"
    )
