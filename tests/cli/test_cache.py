"""vibe cache, and what vibe doctor says of the store."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.command import Command, CommandHere
from tests.support.past_runs import a_run, a_step, delivered, fill
from vibe_workflows.cli.render.health import health_json, health_text
from vibe_workflows.engine.keys import step_key
from vibe_workflows.engine.model import FILE_STATE, Change, Observation
from vibe_workflows.engine.ports import Record, Source
from vibe_workflows.engine.store.soundness import StoreHealth


def keyed(run: str, number: int, **changes: Any) -> Any:
    step = a_step(run, number)
    canonical = json.dumps(json.loads(step.spec), sort_keys=True, separators=(",", ":"))
    return replace(step, spec=canonical, key=step_key(canonical), **changes)


def some_runs() -> list[Record]:
    old, new = keyed("aa00", 1, result=json.dumps("long \x1b[2Janswer " * 500)), keyed("bb11", 2)
    seen = [Observation(tool="grep", arguments=f'{{"pattern":"{n}"}}', digest="0a") for n in range(30)]
    return [
        Source(digest="d", text="source"),
        a_run("aa00", started_at=500.0),
        a_run("bb11", workflow="other\x1b[31m"),
        replace(old, observations=tuple(seen)),
        new,
        delivered("aa00", 1, old),
        delivered("bb11", 1, old, stored=True),
        delivered("bb11", 2, new),
    ]


@pytest.fixture
def filled(here: CommandHere) -> CommandHere:
    fill(here.command, some_runs())
    return here


def test_show_says_what_a_step_made_of_files(here: CommandHere) -> None:
    changes = [
        Change(path="new.py", before=None, after="0b" * 32),
        Change(path="old\x1b[2J.py", before="0b" * 32, after="0c" * 32),
        Change(path="gone.py", before="0b" * 32, after=None),
    ]
    seen = [Observation(tool=FILE_STATE, arguments="{}", digest="0a", epoch=7, change=change) for change in changes]
    step = keyed("aa00", 1, observations=tuple(seen))
    fill(here.command, [Source(digest="d", text="source"), a_run("aa00"), step])
    shown = here("cache", "show", step.id).stdout
    assert "\x1b" not in shown
    found = [line.strip() for line in shown.splitlines() if line.strip().endswith(".py")]
    assert found == ["created new.py", "edited old.py", "removed gone.py"]
    first = json.loads(here("cache", "show", step.id, "--json").stdout)["observations"][0]
    assert first == {
        "tool": FILE_STATE,
        "arguments": {},
        "digest": "0a",
        "epoch": 7,
        "change": {"path": "new.py", "before": None, "after": "0b" * 32},
    }


def test_list_shows_a_line_a_workflow_and_the_sums(filled: CommandHere) -> None:
    done = filled("cache", "list")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "workflow runs steps answers texts first run last used"
    assert lines[1].startswith("other 1 2 2 ")
    assert lines[2].startswith("review 1 1 1 ")
    assert lines[4].startswith("2 runs, 2 steps (2 with an answer, 0 imported, 0 that no run here used), texts ")
    assert "\x1b" not in done.stdout
    document = json.loads(filled("cache", "list", "--json").stdout)
    assert [each["steps"] for each in document["workflows"]] == [2, 1]
    assert document["runs"] == 2


def test_show_tells_all_of_a_step_and_little_of_what_is_long(filled: CommandHere) -> None:
    for name in ("aa00-1", "aa00", keyed("aa00", 1).key):
        text = filled("cache", "show", name).stdout
        assert "done by run aa00 of review" in text
        assert "Look at 1." in text
        assert "characters in all; --json has them" in text
        assert "observations (30)" in text
        assert "and 20 more" in text
        assert "uses (2)" in text
        assert "pool (1)" in text
        assert "\x1b" not in text
        assert len(text) < 8_000
    document = json.loads(filled("cache", "show", "aa00-1", "--json").stdout)
    assert document["result"] == "long \x1b[2Janswer " * 500
    assert (document["observation_count"], document["use_count"], document["pool_count"]) == (30, 2, 1)
    assert [use["run"] for use in document["uses"]] == ["bb11", "aa00"]


@pytest.mark.parametrize(("name", "words"), [("nothing", "no stored step"), ("s1:", "several steps"), ("", "several")])
def test_show_of_no_step_or_several_says_so(filled: CommandHere, name: str, words: str) -> None:
    done = filled("cache", "show", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("command", [("list",), ("show", "x"), ("gc", "--keep-runs", "1"), ("export", "-o", "f")])
def test_without_a_store_a_command_says_so_and_makes_none(here: CommandHere, command: tuple[str, ...]) -> None:
    done = here("cache", *command)
    assert done.returncode == 2
    assert "no run of this project is stored yet" in done.stderr
    assert not (here.project / ".vibe" / "vibe.db").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "say what may go"),
        (("--older-than", "30"), "write a number and its unit"),
        (("--older-than", "x d"), "30d"),
        (("--max-size", "1 parsec"), "500MB"),
        (("--keep-runs", "-1"), "-1"),
    ],
)
def test_gc_asks_what_may_go(filled: CommandHere, given: tuple[str, ...], words: str) -> None:
    done = filled("cache", "gc", *given)
    assert done.returncode == 2
    assert words in done.stderr


def test_gc_takes_what_may_go_and_a_dry_run_says_the_same(filled: CommandHere) -> None:
    foreseen = filled("cache", "gc", "--keep-runs", "1", "--dry-run").stdout
    assert foreseen.startswith("1 run and 0 steps would go")
    assert filled("cache", "gc", "--keep-runs", "1").stdout.startswith("1 run and 0 steps went")
    done = json.loads(filled("cache", "gc", "--older-than", "1w", "--json").stdout)
    assert (done["dry_run"], done["runs"], done["steps"]) == (False, 1, 2)
    assert "0 runs, 0 steps" in filled("cache", "list").stdout


def test_a_damaged_store_is_a_clear_error_of_every_command(filled: CommandHere) -> None:
    store = filled.project / ".vibe" / "vibe.db"
    fill_with = store.read_bytes()
    for content in (b"x" * 10_000, fill_with[:4096] + b"\xff" * 60_000):
        for beside in store.parent.glob("vibe.db-*"):
            beside.unlink()
        store.write_bytes(content)
        for command in (("list",), ("show", "a"), ("gc", "--keep-runs", "0"), ("export", "-o", "f")):
            done = filled("cache", *command)
            assert done.returncode == 74, command
            assert "error: store" in done.stderr
            assert "Traceback" not in done.stderr


def test_reruns_of_what_a_collection_left_are_free(here: CommandHere) -> None:
    for topic in ("tea", "milk", "tea"):
        assert here("run", "flow.py", "--offline", f"topic={topic}").returncode == 0
    assert here("cache", "gc", "--keep-runs", "1").stdout.startswith("2 runs and 2 steps went")
    assert json.loads(here("run", "flow.py", "--offline", "--json").stdout)["cached"] == 3
    again = json.loads(here("run", "flow.py", "--offline", "--json", "topic=milk").stdout)
    assert again["cached"] == 1, "the step that both had in common"


# ---------------------------------------------------------------- from one machine to another


def test_an_import_answers_the_run_of_another_machine(
    here: CommandHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert here("run", "flow.py", "--offline").returncode == 0
    file = tmp_path / "steps.gz"
    assert "3 steps written" in here("cache", "export", "-o", str(file)).stdout
    folder = tmp_path / "other"
    folder.mkdir()
    there = CommandHere(Command(folder), monkeypatch, capfd)
    there.command.write("flow.py", (here.project / "flow.py").read_text())
    assert "holds 3 steps" in there("cache", "import", str(file), "--dry-run").stdout
    assert not (there.project / ".vibe").exists()
    assert "3 steps imported" in there("cache", "import", str(file)).stdout
    assert json.loads(there("run", "flow.py", "--offline", "--json").stdout)["cached"] == 3
    traced = there("trace", "--step", "1").stdout
    assert "imported (import-" in traced
    step = json.loads(there("trace", "--json").stdout)["steps"][0]["step"]
    assert "imported from steps.gz" in there("cache", "show", step).stdout
    assert json.loads(there("cache", "show", step, "--json").stdout)["imported"]["file"] == "steps.gz"
    assert "3 imported" in there("cache", "list").stdout
    assert "3 steps were here already" in there("cache", "import", str(file)).stdout


def test_what_a_script_asked_of_a_tool_travels_too_and_is_looked_at_again(
    here: CommandHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = """async def main(args):
    found = await tool("grep", pattern="needle")
    return [found["matches"], await tool("list_files", path="sub"), await tool("glob", pattern="**/*.md"),
            await tool("read_file", path="sub/a.md")]
"""
    folder = tmp_path / "other"
    folder.mkdir()
    there = CommandHere(Command(folder), monkeypatch, capfd)
    monkeypatch.chdir(here.project)
    monkeypatch.setenv("HOME", str(here.command.home))
    for command in (here.command, there.command):
        command.write("look.py", script)
        command.write("sub/a.md", "needle")
    assert here("run", "look.py").returncode == 0
    file = tmp_path / "steps.gz"
    assert "4 steps written" in here("cache", "export", "-o", str(file)).stdout
    monkeypatch.chdir(there.project)
    monkeypatch.setenv("HOME", str(there.command.home))
    assert there("cache", "import", str(file)).returncode == 0
    assert json.loads(there("run", "look.py", "--json").stdout)["cached"] == 4
    there.command.write("sub/b.md", "needle")
    assert json.loads(there("run", "look.py", "--json").stdout)["cached"] == 1, "the file that did not change"


def test_an_export_of_named_runs_takes_their_steps_alone(filled: CommandHere, tmp_path: Path) -> None:
    done = json.loads(filled("cache", "export", "aa", "-o", str(tmp_path / "f.gz"), "--json").stdout)
    assert (done["steps"], done["secret"]) == (1, 0)
    assert filled("cache", "export", "zz", "-o", str(tmp_path / "f.gz")).returncode == 2


def test_a_secret_of_the_environment_stays_here(
    filled: CommandHere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "Look at 1.")
    done = filled("cache", "export", "-o", str(tmp_path / "f.gz"))
    assert "left out: 1 step whose input or answer holds a secret" in done.stdout
    assert b"Look at 1." not in gzip.decompress((tmp_path / "f.gz").read_bytes())


def test_a_hostile_file_is_a_clear_error_and_an_unknown_store_needs_trust(filled: CommandHere, tmp_path: Path) -> None:
    file = tmp_path / "f.gz"
    file.write_bytes(gzip.compress(b'{"format":"vibe-steps","version":1}\n{"key":"s1:0"}\n'))
    done = filled("cache", "import", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert "f.gz: line 2: " in done.stderr
    assert filled("cache", "export", "-o", str(file)).returncode == 0
    (filled.command.home / ".local/state/vibe/stores.json").unlink()
    done = filled("cache", "import", str(file))
    assert done.returncode == 6
    assert "vibe trust" in done.stderr
    assert "warning: store" in filled("cache", "export", "-o", str(file)).stderr
    assert filled("trust", "--yes").returncode == 0
    assert filled("cache", "import", str(file)).returncode == 0


# ---------------------------------------------------------------- vibe doctor


def test_the_doctor_looks_at_the_store_and_a_damaged_one_does_not_break_it(filled: CommandHere) -> None:
    sound = filled("doctor", "--json")
    report = json.loads(sound.stdout)
    assert (report["store"]["sound"], report["store"]["problems"], report["store"]["origin"]) == (True, [], None)
    store = filled.project / ".vibe" / "vibe.db"
    store.write_bytes(b"x" * 10_000)
    damaged = filled("doctor")
    assert "store: NOT SOUND" in damaged.stdout
    assert "vibe cache export" in damaged.stdout
    assert damaged.returncode == (74 if sound.returncode == 0 else sound.returncode)


def test_the_health_of_a_store_in_words_and_as_json(tmp_path: Path) -> None:
    path = tmp_path / "vibe.db"
    none = StoreHealth(path=path, exists=False, note="there is none yet")
    assert health_text(none, colour=False) == f"store: {path}: there is none yet"
    assert health_json(none)["sound"] is None
    bad = StoreHealth(path=path, bytes=5000, latest_schema=2, problems=("a\x1b[2J hole",), advice="mend it")
    assert health_text(bad, colour=False).splitlines() == [
        "store: NOT SOUND",
        f"{path}, 5.0 kB, schema unknown",
        "  a hole",
        "mend it",
    ]
    assert (health_json(bad)["sound"], health_json(bad)["problems"]) == (False, ["a\x1b[2J hole"])
    strange = StoreHealth(path=path, schema=2, latest_schema=2, origin="store x was not made by you")
    assert health_text(strange, colour=False).splitlines()[-1] == "store x was not made by you"
