"""args, now, random, has_model, log and print, errors, refusals: all else that a script meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.script_child import ForkServer, Ran, fault, fork_server
from vibe_workflows.engine import errors as engine_errors
from vibe_workflows.sandbox import script_errors


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


def run(child: ForkServer, source: str, **start: Any) -> Ran:
    return child.script(source, **start).serve(lambda call: "answer")


# ---------------------------------------------------------------- args


ARGS = {"path": "src", "keys": ["k"], "depth": None, "nested": {"a": {"b": 1}}, "list": [{"x": 2}]}


def test_args_read_as_attributes_and_as_items(child: ForkServer) -> None:
    source = """
    async def main(given):
        return [given.path, given["path"], args.depth, args.nested.a.b, args.list[0].x, "path" in args, len(args)]
    """
    assert run(child, source, args=ARGS).value == ["src", "src", None, 1, 2, True, 5]


def test_a_property_wins_over_a_method(child: ForkServer) -> None:
    source = "return [args.keys, args.get('nope', 7), sorted(args.nested.keys()), [k for k, v in args.items()]]"
    assert run(child, source, args=ARGS).value == [["k"], 7, ["a"], list(ARGS)]


def test_args_are_json_and_can_be_copied(child: ForkServer) -> None:
    source = """
    import copy
    mine = dict(args)
    mine["path"] = "other"
    deep = copy.deepcopy(args)
    deep["nested"]["a"]["b"] = 2
    same = json.loads(json.dumps(args)) == args
    return [same, mine["path"], args.path, deep["nested"], args.nested.a.b, {**args}["path"]]
    """
    assert run(child, source, args=ARGS).value == [True, "other", "src", {"a": {"b": 2}}, 1, "src"]


@pytest.mark.parametrize(
    ("use", "kind", "message"),
    [
        ("args.pth", "AttributeError", "args has no 'pth': did you mean 'path'?"),
        ("args['pth']", "KeyError", "did you mean 'path'?"),
        ("args.update", "AttributeError", "args has no 'update'"),
        ("args.nested.c", "AttributeError", "args has no 'c': declared are a"),
        ("[0 for args['path'] in [1]]", "TypeError", "args is read-only; work on a copy: dict(args)"),
    ],
)
def test_misuse_of_args_is_named(child: ForkServer, use: str, kind: str, message: str) -> None:
    got, said, line = run(child, f"x = 1\nreturn {use}", args=ARGS).error
    assert (got, line) == (kind, 2)
    assert message in said


def test_without_declared_arguments_args_says_so(child: ForkServer) -> None:
    assert 'declare them in meta["args"]' in run(child, "return args.path").error[1]


# ---------------------------------------------------------------- now, random, has_model


def test_now_is_the_start_of_the_lineage(child: ForkServer) -> None:
    source = "t = now()\nreturn [t.isoformat(), f'{t:%Y-%m-%d}', (t.replace(day=1) - t).days, now() == t]"
    assert run(child, source).value == ["2023-11-14T22:13:20+00:00", "2023-11-14", -13, True]


def test_has_model_tells_whether_one_is_configured(child: ForkServer) -> None:
    assert run(child, "return has_model()").value is False
    assert run(child, "return has_model()", has_model=True).value is True


RANDOM = """
async def branch(n):
    await agent("x")
    return [random.randint(0, 10**9) for _ in range(2)]
async def main(args):
    first = random.random()
    a = await parallel([branch(n) for n in range(3)])
    b = await parallel([branch(0)])
    return [first, random.random(), *a, *b]
"""


def test_random_is_the_same_in_every_run_and_another_in_every_branch(child: ForkServer) -> None:
    one, two = run(child, RANDOM).value, run(child, RANDOM).value
    assert one == two
    assert len({str(part) for part in one}) == len(one)
    assert run(child, RANDOM, seed="another").value != one


def test_random_does_not_depend_on_the_order_of_answers(child: ForkServer) -> None:
    script = child.script(RANDOM)
    script.until_quiet()
    for call in (3, 1, 2):
        script.answer(call, "x")
    while script.frames[-1].get("id") != 4:
        script.next()
    script.answer(4, "x")
    assert script.until_end().value == run(child, RANDOM).value


def test_random_is_a_module_with_the_usual_functions(child: ForkServer) -> None:
    source = """
    import random as r
    from random import choice
    items = list(range(5))
    random.shuffle(items)
    return [choice([1]), r.choices([2], k=2), sorted(items), r.sample([3], 1), 0 <= r.uniform(0, 1) <= 1,
            isinstance(r.gauss(), float), r.randrange(1)]
    """
    assert run(child, source).value == [1, [2, 2], [0, 1, 2, 3, 4], [3], True, True, 0]


# ---------------------------------------------------------------- log and print


def test_log_and_print_write_lines_with_fields(child: ForkServer) -> None:
    source = 'log("found", 3, path="a.py", odd={1})\nprint("a", 1, None, sep="-")\nlog("x" * 10_000)'
    ran = run(child, source)
    first, second, third = ran.of("log")
    assert first == {
        "t": "log",
        "scope": 0,
        "line": 1,
        "message": "found 3",
        "fields": {"path": "a.py", "odd": "{1}"},
    }
    assert (second["message"], second["line"]) == ("a-1-None", 2)
    assert "fields" not in second
    assert len(third["message"]) == 8_191
    assert third["message"].endswith("…")


def test_fields_that_are_too_large_for_a_line_of_log_are_left_out_and_the_script_goes_on(child: ForkServer) -> None:
    ran = run(child, 'log("much", rows=["x" * 100] * 2_000)\nreturn 1')
    assert ran.of("log")[0]["fields"] == {"left_out": "206,010 characters of fields"}
    assert ran.of("done")[0]["value"] == 1


def test_log_takes_anything(child: ForkServer) -> None:
    source = """
    x = []
    x.append(x)
    deep = []
    for _ in range(5_000):
        deep = [deep]
    log(log, (i for i in []), x, {1: x}, 1e400, -0.0, b"", 10 ** 5_000, deep, nan=float("nan"), self=x)
    return "fine"
    """
    ran = run(child, source)
    assert ran.value == "fine"
    assert ran.of("log")[0]["fields"] == {"nan": "nan", "self": "[[...]]"}


# ---------------------------------------------------------------- errors


def test_the_errors_of_the_language_mirror_those_of_the_engine() -> None:
    def below(cls: type[engine_errors.StepFault]) -> set[type[engine_errors.StepFault]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    ours = script_errors.ERRORS
    theirs = {cls.__name__: cls for cls in below(engine_errors.StepFault) if cls.__module__ == engine_errors.__name__}
    del theirs["StepFault"]
    assert set(ours) == set(theirs)
    for name, cls in ours.items():
        their_base, base = theirs[name].__base__, cls.__base__
        assert their_base is not None
        assert base is not None
        assert base.__name__ == {"StepFault": "ScriptFault"}.get(their_base.__name__, their_base.__name__)
        assert cls.default_kind == theirs[name].kind


def test_an_engine_error_arrives_with_all_that_it_says(child: ForkServer) -> None:
    source = """
    try:
        await agent("x")
    except BudgetExceeded as error:
        return [error.kind, error.message, error.scope, error.unit, error.needed, error.left, error.results]
    """
    fields = {"scope": "run", "unit": "usd", "needed": 1.5, "left": 0.25}
    ran = child.script(source).serve(lambda call: fault(call, "BudgetExceeded", "out of money", **fields))
    assert ran.value == ["budget_exceeded", "out of money", "run", "usd", 1.5, 0.25, []]


def test_an_answer_that_did_not_fit_arrives_with_what_came(child: ForkServer) -> None:
    source = """
    try:
        await agent("x", schema={"type": "integer"})
    except SchemaMismatch as error:
        return [error.kind, error.message, error.problems, error.answer, error.corrections, error.step]
    """
    fields = {"problems": ["value: 'a' is no integer"], "answer": "[1", "corrections": 2}
    ran = child.script(source).serve(lambda call: fault(call, "SchemaMismatch", "no", **fields))
    assert ran.value == ["schema_mismatch", "no", ["value: 'a' is no integer"], "[1", 2, "agent#1"]
    made = run(child, "error = SchemaMismatch('mine')\nreturn [error.problems, error.answer, error.corrections]")
    assert made.value == [[], "", 0]


def test_a_conflict_arrives_with_the_files_that_are_in_the_way(child: ForkServer) -> None:
    source = """
    try:
        await agent("x")
    except Conflict as error:
        return [error.kind, error.files[0]["path"], error.files[0]["hunks"][0]["theirs"]]
    """
    hunk = {"line": 2, "base": "", "ours": "a" * 30_000, "theirs": "b" * 30_000}
    files = [{"path": "app.py", "why": "both", "hunks": [hunk], "left_out": 0, "cut": False}]
    ran = child.script(source).serve(lambda call: fault(call, "Conflict", "no", files=files))
    assert ran.value == ["conflict", "app.py", "b" * 30_000]
    assert run(child, "return Conflict('mine').files").value == []


def test_an_error_of_an_unknown_type_is_an_agent_error_of_its_kind(child: ForkServer) -> None:
    source = 'try:\n    await agent("x")\nexcept AgentError as error:\n    return [error.kind, type(error).__name__]'
    assert child.script(source).serve(lambda call: fault(call, "FromTheFuture")).value == [
        "from_the_future",
        "AgentError",
    ]


def test_an_engine_error_that_escapes_carries_its_fault_and_its_line(child: ForkServer) -> None:
    source = "async def inner():\n    return await agent('x')\nasync def main(args):\n    await inner()"
    ran = child.script(source).serve(lambda call: fault(call, "ToolDenied", "no", path="a"))
    assert ran.error == ("ToolDenied", "no", 2)
    assert ran.end["fault"] == {"type": "ToolDenied", "message": "no", "kind": "tool_denied", "fields": {"path": "a"}}
    assert ran.end["trace"] == [
        {"line": 4, "col": 5, "name": "main"},
        {"line": 2, "col": 12, "name": "inner"},
    ]


def test_an_error_that_a_script_makes_itself_carries_no_fault(child: ForkServer) -> None:
    ran = run(child, 'raise BudgetExceeded("mine")')
    assert ran.error == ("BudgetExceeded", "mine", 1)
    assert "fault" not in ran.end


def test_cancellation_has_no_name(child: ForkServer) -> None:
    assert run(child, "raise GeneratorExit").end["t"] in ("refused", "error")
    assert run(child, "raise BaseException").end["t"] in ("refused", "error")


def test_errors_are_bounded(child: ForkServer) -> None:
    assert len(run(child, 'raise ValueError("x" * 1_000_000)').end["message"]) == 4_000
    ran = run(child, "def f(n):\n    return f(n + 1)\nreturn f(0)")
    assert ran.error[0] == "RecursionError"
    assert len(ran.end["trace"]) == 50
    assert run(child, "raise ValueError(10 ** 5_000)").end["message"] == "(its message cannot be shown)"


def test_an_error_at_module_level_has_its_line(child: ForkServer) -> None:
    assert run(child, "x = 1\ny = x / 0\nasync def main(args):\n    return y").error == (
        "ZeroDivisionError",
        "division by zero",
        2,
    )


# ---------------------------------------------------------------- the walls, as far as they are here


def test_a_source_that_does_not_compile_is_refused_with_places(child: ForkServer) -> None:
    ran = run(child, "x = 1\nclass A:\n    pass\nimport os\n")
    assert ran.end["t"] == "refused"
    assert [(problem["line"], problem["column"]) for problem in ran.end["problems"]] == [(2, 1), (4, 8)]
    assert len(ran.frames) == 1


def test_the_script_module_may_be_imported(child: ForkServer) -> None:
    source = """
    from vibe_workflows.script import Args, JSON, Step, agent as ask_agent, AgentError, random as r, args as given
    import vibe_workflows.script as script
    async def main(args: Args) -> JSON:
        return [await ask_agent("x"), issubclass(RateLimited, AgentError), given.a, r.randint(3, 3), script.has_model()]
    """
    assert run(child, source, args={"a": 1}).value == ["answer", True, 1, 3, False]


BROKEN_GUARD = """
import io, os
real = child.make_globals
child.make_globals = lambda names, **rest: real({**names, "leaks": {"system": os.system, "open": io.open}}, **rest)
"""


def test_the_tripwire_ends_a_script_that_got_through_the_guards() -> None:
    with fork_server(prelude=BROKEN_GUARD) as server:
        script = server.script('log("in")\nleaks["system"]("true")\nlog("through")')
        ran = script.serve(lambda call: None)
        assert ran.end == {"t": "violation", "event": "os.system"}
        assert script.at_end(10)
        kind, message, line = run(server, 'x = 1\nleaks["open"]("/etc/hostname")').error
        assert (kind, message, line) == ("RuntimeError", "open is not available in workflow scripts", 2)


def test_the_tripwire_is_set_off_by_nothing_that_the_language_offers(child: ForkServer) -> None:
    source = """
    import datetime, copy, hashlib, statistics, textwrap
    found = [
        datetime.datetime.strptime("2026-01-02", "%Y-%m-%d").year,
        hashlib.sha256("x".encode()).hexdigest()[:2],
        statistics.mean([1, 2]),
        copy.deepcopy({"a": [1]}),
        "é".encode("utf-8").decode(),
        re.sub("a+", lambda m: m.group(0).upper(), "caat"),
        sorted("ba", key=lambda c: c),
        json.dumps({"a": 1}),
    ]
    return found
    """
    assert run(child, source).end["t"] == "done"
