"""vibe init: a project with every setting commented out, made once and never overwritten."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.command import CommandHere
from tests.support.config_place import Place
from vibe_workflows.cli.starting_config import own_config, project_config
from vibe_workflows.engine.config_keys import KEYS, Reach

_SETTING = re.compile(r"^#(?=[a-z])", re.MULTILINE)


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def repository(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, in which the commands run."""
    folder = here.project.parent / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    monkeypatch.chdir(folder)
    return folder


def test_every_setting_that_a_project_may_have_is_there_and_holds_once_its_mark_is_taken_off(tmp_path: Path) -> None:
    place = Place(tmp_path)
    text = project_config()
    place.vibe_yaml(text)
    assert {source.layer.value for source in place.load().sources.values()} == {"built-in"}
    plain = _SETTING.sub("", text)
    place.vibe_yaml(plain)
    held = place.load()
    assert (held.ignored, held.warnings) == ((), ())
    named = [line.partition(":")[0] for line in plain.splitlines() if line and not line.startswith("#")]
    assert named == [key.name for key in KEYS.values() if key.reach is not Reach.PERSON]
    assert {name for name in named if held.sources[name].layer.value == "project"} == set(named)


def test_ones_own_file_has_every_setting_and_each_holds_once_its_mark_is_taken_off(tmp_path: Path) -> None:
    place = Place(tmp_path)
    plain = _SETTING.sub("", own_config())
    place.user(plain)
    held = place.load()
    assert held.warnings == ()
    assert {name for name in KEYS if held.sources[name].layer.value == "user"} == set(KEYS)


def test_a_setting_stands_there_with_its_default_or_with_a_sample_where_that_is_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    without = place.load()._replace(sources={})
    for key in KEYS.values():
        nothing = key.default in (None, "", {}, (), frozenset())
        assert bool(key.sample) == nothing, key.name
        if not nothing:
            (line,) = re.findall(rf"^#({re.escape(key.name)}: .*)$", own_config(), re.MULTILINE)
            place.user(line)
            assert place.load()._replace(sources={}) == without, key.name


def test_a_project_is_made_and_a_second_time_changes_nothing(here: CommandHere, repository: Path) -> None:
    done = here("init")
    assert done.returncode == 0, done.stderr
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        "made vibe.yaml every setting that a project may have, commented out",
        "made workflows `vibe new` writes workflows here",
        "made .gitignore git passes over the store in .vibe/",
        "next: `vibe new NAME` writes a workflow",
    ]
    before = {path: path.read_bytes() for path in repository.iterdir() if path.is_file()}
    again = here("init")
    assert again.returncode == 0
    assert again.stdout == "nothing to do in .: it is a project already, with vibe.yaml, workflows/, .gitignore\n"
    assert {path: path.read_bytes() for path in repository.iterdir() if path.is_file()} == before
    assert here("config").stdout.startswith("nothing is set")


def test_git_passes_over_the_store_and_sees_workflows_and_agents(here: CommandHere, repository: Path) -> None:
    here("init")
    for name in ("vibe.db", "vibe.db-wal", "runs/x.lock", "workflows/a.py", "agents/b.md"):
        path = repository / ".vibe" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    seen = git(repository, "status", "--short", "-uall").split()
    assert set(seen) - {"??"} == {".gitignore", "vibe.yaml", ".vibe/workflows/a.py", ".vibe/agents/b.md"}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (b"", b"# The store"),
        (b"build/", b"build/\n\n# The store"),
        (b"build/\n", b"build/\n\n# The store"),
        (b"build/\r\n", b"build/\r\n\r\n# The store"),
        (b"\xff\xfe\n", b"\xff\xfe\n\n# The store"),
    ],
)
def test_a_gitignore_keeps_what_it_had(here: CommandHere, repository: Path, held: bytes, expected: bytes) -> None:
    file = repository / ".gitignore"
    file.write_bytes(held)
    assert "added to  .gitignore" in here("init").stdout
    text = file.read_bytes()
    assert text.startswith(expected)
    assert (b"\r\n/.vibe/*\r\n" in text) == (b"\r\n" in held)
    assert "nothing to do" in here("init").stdout
    assert file.read_bytes() == text


def test_a_gitignore_that_keeps_the_store_out_stays_as_it_is(here: CommandHere, repository: Path) -> None:
    (repository / ".gitignore").write_text("build/\n.vibe/\n")
    done = here("init")
    assert (repository / ".gitignore").read_text() == "build/\n.vibe/\n"
    assert "note: .gitignore keeps all of .vibe/ out of git, workflows and agents in it, too" in done.stdout


def test_what_is_there_is_kept(here: CommandHere) -> None:
    here.command.write("vibe.yaml", "model: a/b\n")
    (here.project / ".vibe/workflows").mkdir(parents=True)
    done = here("init")
    assert done.stdout == "nothing to do in .: it is a project already, with vibe.yaml, .vibe/workflows/\n"
    assert (here.project / "vibe.yaml").read_text() == "model: a/b\n"
    assert sorted(os.listdir(here.project)) == [".vibe", "flow.py", "vibe.yaml"]


def test_a_folder_is_made_and_without_git_gets_no_gitignore(here: CommandHere) -> None:
    folder = here.project.parent / "new" / "deep"
    found = json.loads(here("init", str(folder), "--json").stdout)
    assert found["folder"] == str(folder)
    assert [(each["done"], Path(each["path"]).name) for each in found["changes"]] == [
        ("made", "vibe.yaml"),
        ("made", "workflows"),
    ]
    assert sorted(os.listdir(folder)) == ["vibe.yaml", "workflows"]


def test_a_folder_inside_of_a_project_becomes_its_own_only_if_named(
    here: CommandHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.project / "sub").mkdir()
    monkeypatch.chdir(here.project / "sub")
    done = here("init")
    assert done.returncode == 2
    assert f"this folder lies in the project {here.project}; `vibe init {here.project}`" in done.stderr
    assert os.listdir(here.project / "sub") == []
    done = here("init", ".")
    assert done.returncode == 0
    assert f"note: it lies in the project {here.project}" in done.stdout


def test_ones_own_settings_are_written_once(here: CommandHere) -> None:
    file = here.command.home / ".config/vibe/config.yaml"
    done = here("init", "--user")
    assert done.returncode == 0
    assert "made      ~/.config/vibe/config.yaml" in done.stdout
    assert file.read_text() == own_config()
    file.write_text("model: a/b\n")
    assert here("init", "--user").stdout == "nothing to do in ~/.config/vibe: your settings are in config.yaml\n"
    assert file.read_text() == "model: a/b\n"
    assert "leave `x` out" in here("init", "x", "--user").stderr


def test_places_that_cannot_be_written_are_told(here: CommandHere, repository: Path) -> None:
    file = repository / "file"
    file.touch()
    assert "file: in the way, since a folder is to be there; move it away" in here("init", "file").stderr
    (repository / "dead").symlink_to("nowhere")
    assert f"{repository}/dead: in the way, since a folder is to be there" in here("init", "dead/x").stderr
    assert "something on its way is no folder" in here("init", "file/x").stderr
    done = here("init", "/proc/vibe")
    assert done.returncode == 2
    assert "/proc/vibe: cannot be written: " in done.stderr
    (repository / "vibe.yaml").symlink_to("nowhere")
    done = here("init")
    assert done.returncode == 2
    assert "vibe.yaml: a link to nowhere, where nothing is; remove the link" in done.stderr
    assert not (repository / "nowhere").exists()
    (repository / "vibe.yaml").unlink()
    (repository / "vibe.yaml").mkdir()
    assert "vibe.yaml: a folder, where a file is to be; move it away" in here("init").stderr


def test_a_gitignore_that_is_a_link_is_left_alone(here: CommandHere, repository: Path) -> None:
    (repository / "real").write_text("build/\n")
    (repository / ".gitignore").symlink_to("real")
    assert "note: .gitignore is a link, which git does not follow; nothing was added" in here("init").stdout
    assert (repository / "real").read_text() == "build/\n"
