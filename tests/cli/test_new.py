"""vibe new: where a workflow goes, and which names it may not have."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.command import CommandHere
from vibe_workflows.catalog.template_files import Template, templates

FAN_OUT = "Ask the same question of many files at once, and merge the answers."


def own_folder(here: CommandHere) -> Path:
    return here.command.home / ".config/vibe/workflows"


def test_a_new_workflow_says_where_it_is_and_what_to_do_next(here: CommandHere) -> None:
    done = here("new", "tea-review")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"made workflows/tea_review.py from the template fan-out: {FAN_OUT}",
        "  edit it   workflows/tea_review.py",
        "  check it  vibe validate tea-review",
        "  run it    vibe tea-review (without a model, too; --help shows what it takes)",
    ]
    assert "    vibe tea-review --question " in (here.project / "workflows/tea_review.py").read_text()
    assert "tea-review" in here("list").stdout


def test_the_templates_are_listed_with_a_line_each(here: CommandHere) -> None:
    shown = here("new", "--list").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["template", "fan-out", "loop", "pipeline", "vote"]
    assert shown[4].endswith("  Let several judges look into a claim, and count who could tell.")
    assert all(len(line) <= 80 for line in shown)
    offered = " ".join(here("new", "--help").stdout.split())
    assert "fan-out (the default), loop, pipeline or vote" in offered
    found = json.loads(here("new", "--list", "--json").stdout)
    assert found[0]["name"] == "fan-out"
    assert not (here.project / "workflows").exists()


def test_it_goes_to_the_folder_of_workflows_that_the_project_has(here: CommandHere) -> None:
    (here.project / ".vibe/workflows").mkdir(parents=True)
    done = here("new", "a", "--from", "vote", "--json")
    assert json.loads(done.stdout) == {
        "name": "a",
        "path": str(here.project / ".vibe/workflows/a.py"),
        "template": "vote",
    }
    (here.project / "workflows").mkdir()
    here("new", "b", "--from", "loop")
    assert (here.project / "workflows/b.py").exists()


def test_from_deep_below_it_goes_to_the_project(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    (here.project / "src/deep").mkdir(parents=True)
    monkeypatch.chdir(here.project / "src/deep")
    assert here("new", "a").returncode == 0
    assert (here.project / "workflows/a.py").exists()


def test_ones_own_workflow_goes_to_ones_own_folder_and_may_have_a_built_in_name(here: CommandHere) -> None:
    assert here("new", "mine", "--user").returncode == 0
    assert (own_folder(here) / "mine.py").exists()
    done = here("new", "multi-review", "--user")
    assert done.returncode == 0
    assert "note: it stands before the built-in workflow of that name" in done.stderr


def test_nothing_is_overwritten(here: CommandHere) -> None:
    file = here.command.write("workflows/tea_review.py", "mine")
    for name in ("tea-review", "tea_review"):
        done = here("new", name)
        assert done.returncode == 2
        assert f"`tea-review` is there already: {file}; edit it, or choose another name" in done.stderr
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("run", "`run` is a command of vibe"),
        ("config", "`config` is a command of vibe"),
        ("a b.c", "such as `a-b-c`"),
        ("_x", "`_x` cannot be the name of a workflow"),
        ("", "`` cannot be the name of a workflow"),
        ("x" * 101, "at most 100"),
        ("flows/daily.py", "`flows/daily.py` is a path; name the workflow alone, such as `daily`"),
        ("daily.py", "`daily.py` is a file; name the workflow alone: `daily`"),
        ("../x", "is a path"),
        ("multi_review", "`multi-review` is a built-in workflow"),
    ],
)
def test_a_name_under_which_it_could_not_be_run_is_refused(here: CommandHere, name: str, message: str) -> None:
    done = here("new", "--", name)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (here.project / "workflows").exists()


def test_a_built_in_name_stays_taken_where_built_in_workflows_are_switched_off(here: CommandHere) -> None:
    here.command.write("vibe.yaml", "catalog: {builtin: false}\n")
    assert "`multi-review` is a built-in workflow" in here("new", "multi-review").stderr


def test_a_name_of_ones_own_is_not_for_a_project_and_that_of_a_project_is_told(here: CommandHere) -> None:
    here("new", "mine", "--user")
    refused = here("new", "mine")
    assert refused.returncode == 2
    assert f"`mine` is your own workflow {own_folder(here) / 'mine.py'}" in refused.stderr
    here("new", "daily")
    done = here("new", "daily", "--user")
    assert done.returncode == 0
    assert f"warning: in this project {here.project / 'workflows/daily.py'} has that name" in done.stderr
    assert "`vibe trust`" in here("daily").stderr


def test_wrong_templates_and_options_are_told_with_the_next_move(here: CommandHere) -> None:
    assert "no template is named `vot`; did you mean `vote`?" in here("new", "a", "--from", "vot").stderr
    assert "known: fan-out, loop, pipeline, vote" in here("new", "a", "--from", "zzz").stderr
    assert "`vibe new --list` shows templates" in here("new").stderr
    assert "leave `a` or --list out" in here("new", "a", "--list").stderr
    assert not (here.project / "workflows").exists()


def test_a_link_out_of_the_project_is_not_written_through(here: CommandHere, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (here.project / "workflows").symlink_to(elsewhere)
    done = here("new", "a")
    assert done.returncode == 2
    assert f"workflows leads to {elsewhere}, out of the project" in done.stderr
    assert os.listdir(elsewhere) == []
    (here.project / "workflows").unlink()
    (here.project / "flows").mkdir()
    (here.project / "workflows").symlink_to("flows")
    assert here("new", "a").returncode == 0
    (here.project / "workflows/b.py").symlink_to(elsewhere / "made.py")
    done = here("new", "b")
    assert done.returncode == 2
    assert os.listdir(elsewhere) == []


def test_a_file_in_the_place_of_the_folder_is_told(here: CommandHere) -> None:
    here.command.write("workflows", "")
    done = here("new", "a")
    assert done.returncode == 2
    assert "workflows: in the way, since a folder is to be there; move it away" in done.stderr


@pytest.mark.parametrize("template", templates(), ids=lambda template: template.name)
def test_a_template_is_valid_short_and_says_what_it_takes(here: CommandHere, template: Template) -> None:
    here("new", "mine", "--from", template.name)
    checked = here("validate", "mine")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    shown = json.loads(here("show", "mine", "--json").stdout)
    arguments = shown["args"]["properties"]
    assert all(each["description"] and "default" in each for each in arguments.values())
    assert f"    vibe mine --{next(iter(arguments)).replace('_', '-')} " in shown["source"], "the example is its own"
    assert 30 <= sum(bool(line.strip()) for line in template.text.splitlines()) <= 60
