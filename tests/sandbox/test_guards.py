"""The guard over attribute reads: what it lets through, what it keeps back, and that keeping it back matters."""

from __future__ import annotations

import builtins
import types
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.policy_scripts import run
from vibe_workflows.sandbox import attributes, guards, namespace
from vibe_workflows.sandbox.guards import allow_attributes, allow_dynamic, guarded_getattr, make_globals
from vibe_workflows.sandbox.values import Args


class Box:
    """Stands for a type of the primitives."""

    def __init__(self) -> None:
        self.open = 1
        self.hidden = 2

    def __getattr__(self, name: str) -> str:
        return "fired"


class SubBox(Box):
    pass


@pytest.fixture(autouse=True)
def _forget_registrations() -> Iterator[None]:
    before, dynamic = dict(attributes.INSTANCE_ATTRIBUTES), dict(guards._dynamic)
    yield
    attributes.INSTANCE_ATTRIBUTES.clear()
    attributes.INSTANCE_ATTRIBUTES.update(before)
    guards._dynamic.clear()
    guards._dynamic.update(dynamic)


# ---------------------------------------------------------------- what is kept back

DENIED = [
    "().__class__",
    "'x'.format_map",
    "str.format",
    "str.format_map",
    "[].__len__",
    "(i for i in []).send",
    "(i for i in []).close",
    "e.with_traceback",
    "e.add_note",
    "e.obj",
    "e.__traceback__",
    "e.name",
    "f.__globals__",
    "f.__code__",
    "f.__closure__",
    "f.__defaults__",
    "len.__self__",
    "[].append.__self__",
    "co.send",
    "co.throw",
    "co.close",
    "co.cr_frame",
    "co.cr_origin",
    "ag.asend",
    "ag.aclose",
    "int.mro",
    "int.__subclasses__",
    "int.__base__",
    "dict.update",
    "dict.pop",
    "collections.defaultdict.update",
    "collections.Counter.update",
    "difflib.SequenceMatcher.set_seq1",
    "string.Template.pattern",
    "functools.partial(f).func",
    "functools.partial(f).args",
    "functools.lru_cache(f).__wrapped__",
    "functools.lru_cache(f).cache_info",
    "json.codecs",
    "json.decoder",
    "datetime.sys",
    "datetime.datetime.now",
    "datetime.date.today",
    "datetime.date.replace",
    "re.enum",
    "re.compile('a').scanner",
    "random",
    "list[int].__origin__",
    "(int | str).__args__",
    "pathlib.PurePosixPath('a').parser",
    "pathlib.PurePosixPath('a').open",
    "pathlib.PurePosixPath('a').as_uri",
    "urllib.request",
    "hashlib.sha256('a')._state",
    "typing.Any._name",
    "json._members",
    "json.__dict__",
    "itertools.count().__reduce__",
]


@pytest.mark.parametrize("expression", DENIED)
def test_an_attribute_that_is_not_listed_does_not_exist(expression: str) -> None:
    owner, _, name = expression.rpartition(".")
    script = f"""
        def f(): pass
        async def co(): pass
        async def ag(): yield 1
        try:
            json.nope
        except AttributeError as error:
            e = error
        c, co, ag = co(), None, ag()
        try:
            await c
            return getattr({owner or "json"}, {name!r})
        except AttributeError as error:
            return "denied " + str(error)
    """
    assert run(script.replace("c, co, ag = co(), None, ag()", "c = co(); co = c; ag = ag()")).startswith("denied")


def test_an_unknown_type_has_no_attributes_and_its_getattr_never_runs() -> None:
    allow_attributes(Box, ["open"])
    assert guarded_getattr(Box(), "open") == 1
    for value, name in [(Box(), "hidden"), (Box(), "anything"), (SubBox(), "open")]:
        with pytest.raises(AttributeError, match="has no attribute"):
            guarded_getattr(value, name)


def test_an_underscore_can_be_neither_allowed_nor_injected_nor_asked_of_a_dynamic_type() -> None:
    with pytest.raises(ValueError, match="underscore"):
        allow_attributes(Box, ["__dict__"])
    with pytest.raises(ValueError, match="underscore"):
        make_globals({"_getattr_": getattr}, filename="f")
    allow_dynamic(Box, lambda _, name: f"got {name}")
    assert guarded_getattr(Box(), "anything") == "got anything"
    with pytest.raises(AttributeError):
        guarded_getattr(Box(), "__dict__")


def test_an_attribute_error_does_not_hand_out_the_object() -> None:
    with pytest.raises(AttributeError) as caught:
        guarded_getattr(Box(), "hidden")
    assert caught.value.obj is None


def test_guards_have_no_parameters_that_a_script_could_set() -> None:
    for guard in (*guards.GUARDS.values(), guards._getattr, guards._hasattr, namespace._type, namespace._hash):
        if isinstance(guard, types.FunctionType):
            assert not guard.__defaults__
            assert not guard.__kwdefaults__
    with pytest.raises(TypeError, match="at most 3 arguments"):
        run("return getattr((), '__class__', None, lambda o: dict)")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("{'title': 1}.title", "dict object has no attribute 'title' in workflow scripts; use d['title']"),
        ("{}.has_key", "use `key in d`"),
        ("[].push", "use append(item)"),
        ("'a'.length", "use len(x)"),
        ("'a'.stripp", "did you mean 'strip'?"),
        ("ValueError('x').message", "use str(error)"),
        ("getattr(json, 'dump')", "`json.dump` is not available in workflow scripts; files are read by steps"),
        ("json.lods", "`json.lods` is not available in workflow scripts; did you mean 'loads'?"),
        ("str.format", "the type str has no attribute 'format' in workflow scripts; use an f-string"),
        ("getattr(datetime.datetime, 'now')", "there is no clock; use now()"),
        ("(i for i in []).foo", "use next(), or a loop"),
    ],
)
def test_the_error_says_what_to_write_instead(expression: str, message: str) -> None:
    with pytest.raises(AttributeError) as caught:
        run(f"return {expression}")
    assert message in str(caught.value)


def test_a_missing_await_is_suspected_where_it_is_likely() -> None:
    with pytest.raises(AttributeError, match="is an `await` missing"):
        run("c = agent('x')\ntry:\n    c.strip()\nfinally:\n    await c")


# ---------------------------------------------------------------- builtins


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("getattr('a', 'upper')()", "A"),
        ("getattr({}, 'nope', 5)", 5),
        ("getattr((), '__class__', 'kept back')", "kept back"),
        ("hasattr([], 'append'), hasattr([], '__class__'), hasattr({'a': 1}, 'a')", (True, False, False)),
        ("list(map(getattr, ['a', 'b'], ['upper', 'title'])) != []", True),
        ("isinstance(1, int), issubclass(bool, int), callable(len)", (True, True, True)),
        ("type(1) is int, type({}) is dict, type(None)", (True, True, type(None))),
        ("type(ValueError('x')) is ValueError", True),
        ("hash('a') == hash('a')", True),
        ("format(3.14159, '.2f'), ascii('é'), repr('a')", ("3.14", "'\\xe9'", "'a'")),
    ],
)
def test_the_builtins_that_are_guarded_still_do_their_work(expression: str, result: object) -> None:
    assert run(f"return {expression}") == result


@pytest.mark.parametrize("value", ["lambda: 0", "int", "len", "json", "(i for i in [])", "agent", "typing.Any"])
def test_type_gives_no_type_that_could_make_things(value: str) -> None:
    with pytest.raises(TypeError, match="takes plain values"):
        run(f"return type({value})")


def test_type_makes_no_classes() -> None:
    with pytest.raises(TypeError):
        run("return type('A', (), {})")


def test_hash_tells_no_addresses() -> None:
    with pytest.raises(TypeError):
        run("return hash(agent)")


@pytest.mark.parametrize(
    "name", ["exit", "quit", "help", "input", "dir", "property", "id", "bytearray", "setattr", "open"]
)
def test_dangerous_builtins_are_not_there(name: str) -> None:
    assert name not in namespace.BUILTINS


# ---------------------------------------------------------------- str.format, encode, decode


@pytest.mark.parametrize(
    "template",
    ["{0.__class__}", "{0[0]}", "{x.real}", "{:{0.real}}", "{0!r:{x[a]}}", "{0.__globals__[sys].modules}"],
)
def test_format_reads_no_attributes_and_no_items(template: str) -> None:
    with pytest.raises(ValueError, match="attributes and items are not available"):
        run(f"return {template!r}.format(log, x=1)")
    with pytest.raises(ValueError, match="attributes and items are not available"):
        run(f"return getattr({template!r}, 'for' + 'mat')(log, x=1)")


def test_format_and_the_codecs_do_their_work() -> None:
    assert run("return '{} {x:>{w}} {{}} {0!r}'.replace('0', '').format('a', 'b', x=1, w=3)") == "a   1 {} 'b'"
    assert run("return 'é'.encode('utf-8', 'ignore'), b'\\xe9'.decode('latin-1'), b'a'.decode(errors='replace')") == (
        "é".encode(),
        "é",
        "a",
    )
    assert run("return list(map(str.encode, ['a']))") == [b"a"]


@pytest.mark.parametrize(
    "call", ["b'x'.decode('unicode_escape')", "'x'.encode('idna')", "'x'.encode('ascii', 'namereplace')"]
)
def test_no_codec_but_the_plain_ones_is_looked_up(call: str) -> None:
    with pytest.raises(LookupError, match="is not available"):
        run(f"return {call}")


# ---------------------------------------------------------------- without the guard, the attack gets through


def test_with_the_allowlist_open_a_function_hands_out_its_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "return getattr(log, '__globals__', 'kept back')"
    assert run(script, log=make_globals) == "kept back"
    monkeypatch.setitem(attributes.INSTANCE_ATTRIBUTES, types.FunctionType, frozenset({"__globals__"}))
    assert run(script, log=make_globals)["make_globals"] is make_globals


def test_with_the_plain_format_a_template_reads_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attributes.METHODS, (str, "format"), str.format)
    assert "'make_globals'" in run("return '{0.__globals__}'.format(log)", log=guards._import)


def test_with_the_plain_type_a_script_makes_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "BUILTINS", {**namespace.BUILTINS, "type": type})
    made = run("return type(type(1))('A', (), {'__getattr__': lambda self, name: name})()")
    assert made.anything == "anything"


def test_with_the_real_module_a_facade_leads_to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    assert run("return getattr(json, 'codecs', None)") is None
    allow_attributes(types.ModuleType, ["codecs"])
    assert run("return json.codecs.__name__ if 0 else json.codecs", json=json).open


def test_with_unbound_writers_a_script_changes_its_read_only_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "dict.update(args, {'path': '/'})"
    with pytest.raises(AttributeError):
        run(script, args=Args(path="src"))
    monkeypatch.setitem(attributes.CLASS_ATTRIBUTES, dict, frozenset({"update"}))
    args = Args(path="src")
    run(script, args=args)
    assert args == {"path": "/"}


# ---------------------------------------------------------------- globals


def test_the_globals_hold_what_a_script_needs_and_no_more() -> None:
    scope: dict[str, Any] = make_globals({"agent": 1}, filename="flow.py")
    visible = {name for name in scope if not name.startswith("_")}
    assert {"agent", "json", "math", "re", "itertools"} <= visible
    assert scope["__file__"] == "flow.py"
    assert set(scope["__builtins__"]) <= set(dir(builtins))


def test_c_code_may_import_what_is_loaded_and_nothing_else() -> None:
    importer: Any = namespace.import_loaded
    assert importer("re") is not None
    for name in ("os", "sys", "subprocess", "builtins", "io"):
        with pytest.raises(ImportError):
            importer(name)
