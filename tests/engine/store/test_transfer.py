"""Steps travel between stores whole; a file that was made by anyone else gets nothing past the import."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engine.store.editing import a_call, an_edit, cut_off, edit_call
from tests.engine.store.making import a_delivery, a_run, a_step
from tests.support.stores import NEW, assert_whole, ids, origins_of, rows, write_store
from vibe_workflows.cli.render.cache import exported_text
from vibe_workflows.engine.errors import ConfigError, StoreError, TrustNeeded
from vibe_workflows.engine.keys import canonical_json, canonical_spec, step_key
from vibe_workflows.engine.model import (
    Observation,
    RunId,
    Shortened,
    Step,
    StepId,
    StepKey,
    StepKind,
    StepSpec,
    StepStatus,
    ToolCall,
    ToolVersion,
    Turn,
    Usage,
)
from vibe_workflows.engine.observe import file_observation, outcome_digest
from vibe_workflows.engine.ports import Record, Source, ToolResult
from vibe_workflows.engine.store import portable
from vibe_workflows.engine.store.export import Exported, export
from vibe_workflows.engine.store.imports import Imported, check_file, import_file
from vibe_workflows.engine.store.portable_shapes import PortableSpec
from vibe_workflows.engine.store.prepare import NewStore
from vibe_workflows.engine.store.reader import open_reader

NOW = 5_000.0
LOOK = Observation(tool="read_file", arguments='{"path":"a.py"}', digest="0a" * 16)
LOOKS = (file_observation("a.png", "0b" * 32), LOOK)
FULL_SPEC = StepSpec(
    kind=StepKind.AGENT,
    prompt="Look.",
    prompts_version=2,
    system="Be brief.",
    context="shared",
    profile="reviewer",
    model="gpt",
    effort="low",
    fallbacks=("other",),
    temperature=0.5,
    max_tokens=10,
    max_turns=3,
    schema={"type": "string"},
    tools=(ToolVersion(name="read_file", version=1),),
    agents=("0123456789abcdef",),
    files=("a.png",),
    grants=("read",),
    isolation="worktree",
    merge="manual",
    gate=("pytest", "-q"),
    gate_retries=2,
    merged=StepId("s1"),
    salt="v2",
)


def spec_step(id_: str, spec: StepSpec = FULL_SPEC, **changes: Any) -> Step:
    canonical = canonical_spec(spec)
    values: dict[str, Any] = {"key": step_key(canonical), "spec": canonical, "observations": LOOKS, "kind": spec.kind}
    return a_step(id_, **(values | changes))


def trace_of(id_: str, text: str = "I shall look.") -> list[Record]:
    step = StepId(id_)
    said = canonical_json({"role": "assistant", "text": text}).decode()
    asked = canonical_json([{"role": "user", "text": "Look." * 1000}]).decode()
    times: dict[str, Any] = {"started_at": 1.0, "finished_at": 2.0}
    shortened = (Shortened(message=0, text="..."),)
    return [
        Turn(step_id=step, number=1, attempt=1, model="gpt", input=asked, output=said, outcome="tool_calls", **times),
        ToolCall(
            step_id=step,
            turn=1,
            number=1,
            call_id="c",
            name="read_file",
            arguments='{"path":"a.py"}',
            output="o" * 3000 + text,
            outcome="ok",
            observations=(LOOK,),
            **times,
        ),
        Turn(
            step_id=step,
            number=2,
            attempt=1,
            model="gpt",
            input="[]",
            output=said,
            outcome="stop",
            usage=Usage(input_tokens=3, cost_microusd=None, estimated=True),
            shortened=shortened,
            **times,
        ),
    ]


def a_store(folder: Path, *records: Record) -> Path:
    path = folder / "project" / ".vibe" / "vibe.db"
    write_store(path, [Source(digest="digest", text="source"), a_run("run1"), *records])
    return path


def exported(tmp_path: Path, *records: Record, runs: tuple[str, ...] = ()) -> Path:
    file = tmp_path / "steps.gz"
    export(a_store(tmp_path / "from", *records), [RunId(run) for run in runs], file, {})
    return file


def imported(tmp_path: Path, file: Path, *, now: float = NOW) -> tuple[Path, Imported]:
    path = tmp_path / "to" / "project" / ".vibe" / "vibe.db"
    new = NewStore(created_at=now, id=NEW.id)
    return path, import_file(path, file, origins_of(path), new)


# ---------------------------------------------------------------- there and back


def test_a_step_arrives_with_all_that_it_was(tmp_path: Path) -> None:
    step = spec_step("run1-1", result=json.dumps("a" * 5000))
    file = exported(tmp_path, step, *trace_of("run1-1"), a_delivery(1, "run1-1"))
    path, done = imported(tmp_path, file)
    assert (done.steps, done.known, done.granted) == (1, 0, 0)
    with closing(open_reader(path)) as reader:
        (found,) = reader.pool(step.key)
        assert (found.spec, found.result, found.usage, found.place) == (step.spec, step.result, step.usage, "place1")
        assert found.observations == step.observations
        whole = reader.step(found.id)
        assert whole is not None
        assert whole.run_id == done.id
        turns, calls = reader.turns(found.id), reader.tool_calls(found.id)
    with closing(open_reader(tmp_path / "from/project/.vibe/vibe.db")) as before:
        same = ("number", "input", "output", "outcome", "usage", "shortened", "makeup", "started_at")
        assert [[getattr(turn, name) for name in same] for turn in turns] == [
            [getattr(turn, name) for name in same] for turn in before.turns(step.id)
        ]
        assert [(call.turn, call.output, call.observations) for call in calls] == [
            (call.turn, call.output, call.observations) for call in before.tool_calls(step.id)
        ]
    assert_whole(path)


def test_a_step_that_went_on_with_another_arrives_with_the_turns_of_both(tmp_path: Path) -> None:
    first, rest = trace_of("run1-1")[0], trace_of("run1-2")[2]
    cut_off = spec_step("run1-1", status=StepStatus.CANCELLED, result=None)
    path, _ = imported(
        tmp_path, exported(tmp_path, cut_off, first, spec_step("run1-2", predecessor=StepId("run1-1")), rest)
    )
    (step,) = ids(path, "steps")
    with closing(open_reader(path)) as reader:
        assert [turn.number for turn in reader.turns(StepId(step))] == [1, 2]


def test_what_came_once_does_not_come_again_and_three_samples_stay_three(tmp_path: Path) -> None:
    file = exported(tmp_path, *(spec_step(f"run1-{n}") for n in range(3)))
    path, first = imported(tmp_path, file)
    _, second = imported(tmp_path, file, now=NOW + 1)
    assert (first.steps, second.steps, second.known) == (3, 0, 3)
    assert len(ids(path, "steps")) == 3
    home = tmp_path / "from/project/.vibe/vibe.db"
    back = import_file(home, file, origins_of(home), NEW)
    assert (back.steps, back.known) == (0, 3), "they were exported from here"


def test_only_the_steps_of_the_named_runs_and_only_answers_travel(tmp_path: Path) -> None:
    records: list[Record] = [
        a_run("run2"),
        spec_step("run1-1"),
        spec_step("run1-2", status=StepStatus.FAILED, result=None),
        spec_step("run2-1"),
        a_delivery(1, "run1-1"),
        a_delivery(2, "run1-2"),
        a_delivery(1, "run2-1", run_id=RunId("run2")),
    ]
    file = exported(tmp_path, *records, runs=("run1",))
    assert [json.loads(line).get("id") for line in gzip.decompress(file.read_bytes()).splitlines()] == [None, "run1-1"]


def test_steps_that_could_do_more_than_read_stay_where_they_are(tmp_path: Path) -> None:
    writing = spec_step("run1-1", StepSpec(kind=StepKind.AGENT, prompt="Write.", grants=("read", "write")))
    done = export(a_store(tmp_path / "from", writing), [], tmp_path / "steps.gz", {})
    assert (done.steps, done.granted) == (0, 1)
    foreign = line_of(writing)
    path, taken = imported(tmp_path, a_file(tmp_path, foreign))
    assert (taken.steps, taken.granted) == (0, 1)
    assert ids(path, "steps") == set()


def test_steps_that_edited_files_stay_where_they_are_and_are_counted(tmp_path: Path) -> None:
    plain, edited = spec_step("run1-1"), spec_step("run1-2", observations=(an_edit(1),))
    called, after = spec_step("run1-3"), spec_step("run1-4", attempt_after=StepId("run1-2"))
    first = cut_off("run1-0")
    went_on = spec_step("run1-5", predecessor=StepId("run1-0"))
    records: list[Record] = [plain, edited, called, after, went_on, first, a_call("run1-3", 1, 1, an_edit(2))]
    store = a_store(tmp_path / "from", *records, *edit_call("run1-0", 1, 1, an_edit(3)))
    done = export(store, [], tmp_path / "steps.gz", {})
    assert (done.steps, done.edited, done.granted) == (1, 4, 0)
    assert "left out: 4 steps that edited files" in exported_text(done, "steps.gz")
    path, _ = imported(tmp_path, tmp_path / "steps.gz")
    assert rows(path, "SELECT count(*) FROM changes") == [(0,)]
    assert rows(path, "SELECT DISTINCT spec, epoch, changed FROM observations JOIN steps ON id = step_id") == [
        (plain.spec, 0, None)
    ]


def test_a_result_from_the_future_is_as_old_as_its_import(tmp_path: Path) -> None:
    step = spec_step("run1-1", started_at=NOW * 2, finished_at=NOW * 3)
    path, _ = imported(tmp_path, exported(tmp_path, step))
    assert rows(path, "SELECT started_at, finished_at FROM steps") == [(NOW, NOW)]


def test_an_export_never_names_the_store_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = exported(tmp_path, spec_step("run1-1"))
    assert NEW.id().encode() not in gzip.decompress(file.read_bytes())
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "steps.gz"
    target.write_text("precious")
    path = a_store(tmp_path / "from", spec_step("run1-1"))
    target_folder = tmp_path / "none" / "steps.gz"
    with pytest.raises(ConfigError, match="name another file"):
        export(path, [], target_folder, {})
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError):
        export(path, [], target, {})
    assert target.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


# ---------------------------------------------------------------- secrets

SECRET = 'pass"w\\ord-\u00e9-123'


def test_a_secret_of_the_environment_leaves_in_no_form(tmp_path: Path) -> None:
    environ = {"MY_TOKEN": SECRET, "SHORT_KEY": "abc", "EDITOR": "an editor"}
    said = trace_of("run1-1", f"I found {SECRET} and {json.dumps({'inner': SECRET})}")
    telling = spec_step("run1-1")
    asked = spec_step("run1-2", StepSpec(kind=StepKind.AGENT, prompt=f"Use {SECRET}."))
    answered = spec_step("run1-3", result=canonical_json({"key": SECRET}).decode())
    seen = Observation(tool="grep", arguments=canonical_json({"pattern": SECRET}).decode(), digest="0b" * 16)
    looked = spec_step("run1-4", observations=(seen,))
    path = a_store(tmp_path / "from", telling, *said, asked, answered, looked)
    done = export(path, [], tmp_path / "steps.gz", environ)
    assert (done.steps, done.secret, done.masked) == (1, 3, 1)
    text = gzip.decompress((tmp_path / "steps.gz").read_bytes()).decode()
    assert "pass" not in text
    assert "ord-" not in text
    assert text.count("I found *** and") == 3, "two answers and what a tool gave"
    to, _ = imported(tmp_path, tmp_path / "steps.gz")
    assert_whole(to)


# ---------------------------------------------------------------- hostile files


def a_file(folder: Path, *lines: object, header: object = {"format": "vibe-steps", "version": 1}) -> Path:
    file = folder / "hostile.gz"
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in (header, *lines))
    file.write_bytes(gzip.compress(data))
    return file


def line_of(step: Step, records: Sequence[Record] = ()) -> dict[str, Any]:
    turns = [each for each in records if isinstance(each, Turn)]
    calls = [each for each in records if isinstance(each, ToolCall)]
    line: dict[str, Any] = json.loads(portable.step_line(step, turns, calls, "place"))
    return line


def good() -> dict[str, Any]:
    return line_of(spec_step("run1-1"), trace_of("run1-1"))


def changed(*path: str | int, to: object) -> dict[str, Any]:
    line = good()
    at: Any = line
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = to
    return line


def with_spec(spec: object) -> dict[str, Any]:
    text = spec if isinstance(spec, str) else canonical_json(spec).decode()
    return changed("spec", to=text) | {"key": step_key(text)}


def of_a_tool(**changes: object) -> dict[str, Any]:
    """A call of a tool by a script, whose answer is what it saw."""
    spec = StepSpec(kind=StepKind.TOOL, tool="read_file", arguments={"path": "a.py"}, grants=("read",))
    digest = outcome_digest(ToolResult(text="", data={"text": "true"}))
    seen = Observation(tool="read_file", arguments='{"path":"a.py"}', digest=digest)
    return line_of(spec_step("run1-1", spec, result='{"text":"true"}', observations=(seen,), turns=0)) | changes


DEEP = "[" * 5000 + "]" * 5000
DEEPER_THAN_ALLOWED = "[" * 150 + "]" * 150

HOSTILE: dict[str, tuple[Callable[[], object], str]] = {
    "no JSON": (lambda: b"{", "line 2"),
    "no object": (lambda: [1], "line 2"),
    "a key of another spec": (lambda: changed("key", to="s1:" + "0" * 32), "is not that of its spec"),
    "a spec in another form": (lambda: with_spec('{"prompt": "x","kind":"agent"}'), "canonical"),
    "a spec of an unknown kind": (lambda: with_spec({"kind": "ask", "prompt": "May I?"}), "ask"),
    "a spec with an unknown field": (lambda: with_spec({"kind": "agent", "effects": []}), "effects"),
    "a spec that is no object": (lambda: with_spec([1]), "line 2"),
    "a spec that is no JSON": (lambda: with_spec("nonsense"), "no JSON"),
    "an answer that is no JSON": (lambda: changed("result", to="nonsense"), "no JSON"),
    "an answer in another form": (lambda: changed("result", to='{ "a": 1 }'), "canonical"),
    "no answer": (lambda: changed("result", to=None), "str"),
    "deep JSON in an answer": (lambda: changed("result", to=DEEP), "nested deeper"),
    "JSON just too deep": (lambda: changed("result", to=DEEPER_THAN_ALLOWED), "nested deeper"),
    "deep JSON in a line": (lambda: b'{"id":' + DEEP.encode() + b"}", "line 2"),
    "deep JSON in the arguments of a look": (
        lambda: changed("observations", 0, "arguments", to=DEEP),
        "nested deeper",
    ),
    "negative usage": (lambda: changed("usage", "input_tokens", to=-1), ">= 0"),
    "a negative cost": (lambda: changed("turns", 0, "usage", "cost_microusd", to=-5), ">= 0"),
    "usage that overflows": (lambda: changed("usage", "output_tokens", to=2**63), "<="),
    "usage of a wrong type": (lambda: changed("usage", "input_tokens", to="1"), "int"),
    "no usage": (lambda: changed("usage", to={}), "missing"),
    "a time without end": (lambda: json.dumps(good()).replace("2.0", "1e999").encode(), "line 2"),
    "a lone surrogate": (lambda: json.dumps(changed("model", to="\ud800")).encode(), "surrogate"),
    "a lone surrogate within an answer": (lambda: changed("result", to='"\\ud800"'), "no JSON"),
    "bytes that are no UTF-8": (lambda: json.dumps(good()).encode().replace(b"run1-1", b"\xff\xfe"), "line 2"),
    "an unknown field": (lambda: good() | {"grants": ["write"]}, "grants"),
    "two turns of one number": (lambda: changed("turns", 1, "number", to=1), "same number"),
    "two calls of one number": (lambda: changed("tool_calls", to=good()["tool_calls"] * 2), "same number"),
    "a turn of number nought": (lambda: changed("turns", 0, "number", to=0), ">= 1"),
    "a turn that is no conversation": (lambda: changed("turns", 0, "input", to='{"a":1}'), "line 2"),
    "a message of no role": (lambda: changed("turns", 0, "output", to='{"role":"root","text":""}'), "root"),
    "a digest that is none": (lambda: changed("observations", 0, "digest", to="../../etc"), "line 2"),
    "a look that edited a file": (
        lambda: changed("observations", 0, "change", to={"path": "a.py", "before": None, "after": None}),
        "change",
    ),
    "a step that stands after another": (lambda: good() | {"attempt_after": "x"}, "attempt_after"),
    "a look whose arguments are no object": (lambda: changed("observations", 0, "arguments", to="1"), "no object"),
    "what a tool did not see": (lambda: of_a_tool(result='{"text":"false"}'), "is said to have seen"),
    "a tool that saw nothing": (lambda: of_a_tool(observations=[]), "is said to have seen"),
    "a tool that saw more": (lambda: of_a_tool(observations=of_a_tool()["observations"] * 2), "said to have seen"),
    "an answer about files that it did not see": (lambda: changed("observations", to=[]), "what was in the files"),
    "a file that was seen too late": (
        lambda: changed("observations", to=good()["observations"][::-1]),
        "what was in the files",
    ),
    "an id without end": (lambda: changed("id", to="x" * 2000), "length"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_with_anything_out_of_order_is_refused_as_a_whole(tmp_path: Path, name: str) -> None:
    make, words = HOSTILE[name]
    file = a_file(tmp_path, make(), good())
    with pytest.raises(ConfigError, match="nothing of it was imported") as raised:
        imported(tmp_path, file)
    assert words in raised.value.message
    assert not (tmp_path / "to").exists(), "a store was made for it"


def test_what_a_tool_gave_a_script_travels_with_what_it_saw(tmp_path: Path) -> None:
    _, done = imported(tmp_path, a_file(tmp_path, of_a_tool()))
    assert done.steps == 1


def test_a_later_line_out_of_order_keeps_the_earlier_ones_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 3"):
        imported(tmp_path, a_file(tmp_path, good(), changed("key", to="s1:0")))
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"format": "vibe-steps", "version": 2}, "newer vibe"),
        ({"format": "other", "version": 1}, "no export of vibe"),
        ({"version": "x"}, "no export of vibe"),
        (b"\xff\xff", "no export of vibe"),
        (DEEP.encode(), "no export of vibe"),
    ],
)
def test_a_file_of_another_kind_or_a_newer_vibe_is_refused_by_name(tmp_path: Path, header: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_file(a_file(tmp_path, good(), header=header))


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain", "empty", "folder", "missing", "no lines"])
def test_a_damaged_file_is_refused_with_a_clear_error(tmp_path: Path, damage: str) -> None:
    file = a_file(tmp_path, *[good()] * 5)
    data = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(data[:-9])
        case "flipped":
            file.write_bytes(data[:60] + bytes([data[60] ^ 0xFF]) + data[61:])
        case "plain":
            file.write_bytes(b'{"format":"vibe-steps","version":1}\n')
        case "empty":
            file.write_bytes(b"")
        case "no lines":
            file.write_bytes(gzip.compress(b""))
        case "folder":
            file = tmp_path
        case _:
            file.unlink()
    with pytest.raises(ConfigError, match=r"hostile|test_a_damaged"):
        imported(tmp_path, file)
    assert not (tmp_path / "to").exists()


def test_a_line_without_end_is_given_up_before_it_fills_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "hostile.gz"
    with gzip.open(file, "wb", 1) as out:
        out.write(portable.header_line())
        for _ in range(200):
            out.write(b"[" * (1 << 20))
    assert file.stat().st_size < 2 << 20
    tracemalloc.start()
    with pytest.raises(ConfigError, match="32 MB"):
        check_file(file)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * portable.MAX_LINE_BYTES


def test_a_file_that_holds_more_than_any_export_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vibe_workflows.engine.store.imports.MAX_FILE_BYTES", 10_000)
    with pytest.raises(ConfigError, match="in all"):
        check_file(a_file(tmp_path, *[good()] * 5))


def test_an_id_of_a_stranger_takes_the_place_of_none(tmp_path: Path) -> None:
    path = tmp_path / "to" / "project" / ".vibe" / "vibe.db"
    own = spec_step("run1-1", result='"mine"')
    write_store(path, [Source(digest="digest", text="s"), a_run("run1"), own, a_delivery(1, "run1-1")])
    theirs = changed("result", to='"theirs"') | {"started_at": 0.5}
    _, done = imported(tmp_path, a_file(tmp_path, theirs))
    assert done.steps == 1
    with closing(open_reader(path)) as reader:
        assert [sample.result for sample in reader.pool(own.key)] == ['"mine"', '"theirs"']
        assert reader.step(own.id) == own
    assert rows(path, "SELECT count(*) FROM deliveries") == [(1,)]


def test_into_a_store_of_unknown_origin_nothing_is_imported_until_trust(tmp_path: Path) -> None:
    path = a_store(tmp_path / "to", spec_step("run1-1"))
    origins = origins_of(path)
    origins.path.unlink()
    file = a_file(tmp_path, changed("result", to='"theirs"'))
    with pytest.raises(TrustNeeded, match="vibe trust"):
        imported(tmp_path, file)
    assert ids(path, "steps") == {"run1-1"}
    origins.record(NEW.id(), path)
    _, done = imported(tmp_path, file)
    assert done.steps == 1


def test_a_store_with_a_trigger_takes_no_import(tmp_path: Path) -> None:
    path = a_store(tmp_path / "to", spec_step("run1-1"))
    write_store(path, [], ("CREATE TRIGGER evil AFTER INSERT ON steps BEGIN DELETE FROM runs; END", ()))
    with pytest.raises(StoreError, match="trigger evil"):
        imported(tmp_path, a_file(tmp_path, good()))
    with pytest.raises(StoreError, match="trigger evil"):
        export(path, [], tmp_path / "out.gz", {})


def test_what_a_spec_can_hold_is_what_an_import_understands() -> None:
    spec = canonical_spec(FULL_SPEC)
    tool = canonical_spec(StepSpec(kind=StepKind.TOOL, tool="grep", arguments={"pattern": "x"}))
    assert portable.spec_grants(spec) == ("read",)
    assert portable.spec_grants(tool) == ()
    held = set(json.loads(spec)) | set(json.loads(tool))
    assert held == set(PortableSpec.__struct_fields__)
    fields = set(StepSpec.__struct_fields__) - {"gate_retries"}  # within `gate`
    assert held == fields, "a new field of a spec: let portable.py know it, or imports refuse it"


def test_steps_that_the_store_cannot_tell_are_left_out_and_counted(tmp_path: Path) -> None:
    path = a_store(tmp_path / "from", spec_step("run1-1", result=json.dumps("a" * 5000)), spec_step("run1-2"))
    write_store(path, [], ("DELETE FROM blobs", ()))
    assert export(path, [], tmp_path / "steps.gz", {}) == Exported(
        steps=1, unreadable=1, bytes=(tmp_path / "steps.gz").stat().st_size
    )


def test_what_no_import_would_take_is_left_out_of_an_export(tmp_path: Path) -> None:
    deep = spec_step("run1-1", result=DEEPER_THAN_ALLOWED)
    path = a_store(tmp_path / "from", deep, spec_step("run1-2"), spec_step("run1-3", model="m" * 2000))
    done = export(path, [], tmp_path / "steps.gz", {})
    assert (done.steps, done.unreadable) == (1, 2)
    assert check_file(tmp_path / "steps.gz").steps == 1


def test_key_of_a_pool_is_the_one_that_a_run_would_ask_for(tmp_path: Path) -> None:
    path, _ = imported(tmp_path, exported(tmp_path, spec_step("run1-1")))
    asked = step_key(canonical_spec(FULL_SPEC))
    with closing(open_reader(path)) as reader:
        assert len(reader.pool(StepKey(asked))) == 1
