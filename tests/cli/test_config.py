"""vibe config: values, their sources, what is ignored, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import CommandHere
from vibe_workflows.engine.config_keys import KEYS, Key

PROJECT = """\
model: smart
aliases: {fast: openai/gpt-5-mini}
allow: [write]
max_usd: 50
workflows: [more, /etc]
"""
NO_LOWER = "it is no lower than what already holds, and a project's file may only lower it"
USER = """\
model: openai/gpt-5
aliases: {smart: anthropic/claude-sonnet-4-5}
allow: [web, 'command:pytest']
"""
SECRET = "s3cr3t-0123456789"
SECRETS = f"""\
mcp:
  tool: {{command: [tool, --token, {SECRET}], env: [TOOL_KEY]}}
  page: {{url: "https://x.example/mcp?key={SECRET}", headers: {{Authorization: Bearer {SECRET}, X: "v ${{TOOL_KEY}}"}}}}
agents:
  mine: {{argv: [mine, --key, {SECRET}, "{{prompt}}"], answer: text}}
worktree: {{setup: [[npm, ci, --token={SECRET}]]}}
api_base: https://x.example/v1?key={SECRET}
confine: {{env: [{SECRET}2]}}
"""


@pytest.fixture
def person(here: CommandHere) -> CommandHere:
    """With files of their own, and a project that asks for more than it may."""
    write_user_file(here, USER)
    here.command.write("vibe.yaml", PROJECT)
    return here


def write_user_file(here: CommandHere, text: str) -> Path:
    file = here.command.home / ".config/vibe/config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_each_value_that_is_set_stands_with_its_source_and_the_others_are_counted(person: CommandHere) -> None:
    done = person("config")
    assert (done.returncode, done.stderr) == (0, "")
    assert lines(done.stdout) == [
        "setting value from",
        "model smart vibe.yaml:1",
        "aliases.fast openai/gpt-5-mini vibe.yaml:2",
        "aliases.smart anthropic/claude-sonnet-4-5 ~/.config/vibe/config.yaml:2",
        "workflows [more] vibe.yaml:5",
        "allow [web, command:pytest] ~/.config/vibe/config.yaml:3",
        f"ignored: `max_usd` in vibe.yaml:4: {NO_LOWER}",
        "ignored: `workflows` in vibe.yaml:5: it names a folder outside the project",
        "ignored: `allow` in vibe.yaml:3: a project's file may not set it",
        "`vibe trust` shows what this project's file asks for, and lets it count",
        f"{len(KEYS) - 4} more hold their defaults; --all shows them, and `vibe config NAME` explains one",
    ]


def test_all_settings_have_a_line_and_defaults_say_so(person: CommandHere) -> None:
    shown = lines(person("config", "--all").stdout)
    for name in KEYS:
        assert any(line.split()[0] in (name, f"{name}.fast") for line in shown), name
    assert "concurrency 16 default" in shown
    assert "api_base none default" in shown


def test_where_nothing_is_set_it_says_so_and_what_writes_a_file(here: CommandHere) -> None:
    said = here("config").stdout
    assert said.endswith("; set some in vibe.yaml\n")
    (here.project / "vibe.yaml").unlink()
    said = here("config").stdout
    assert said.startswith(f"nothing is set: all {len(KEYS)} settings hold their defaults, which --all shows; ")
    assert said.endswith("; `vibe init` writes a file to set some in\n")


def test_one_setting_is_explained_with_what_was_set_aside_and_how_to_set_it(
    person: CommandHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIBE_MODEL", "gemini/gemini-2.5-pro")
    assert lines(person("config", "model").stdout) == [
        "model the model of steps that name none",
        "value gemini/gemini-2.5-pro (VIBE_MODEL)",
        "set aside smart (vibe.yaml:1, which is weaker)",
        "set aside openai/gpt-5 (~/.config/vibe/config.yaml:1, which is weaker)",
        "default none",
        "in a file model: openai/gpt-5-mini",
        "variable VIBE_MODEL",
        "option --model (of `vibe run` and `vibe resume`)",
        "a project may set it",
    ]
    allow = lines(person("config", "allow").stdout)
    assert "ignored vibe.yaml:3: a project's file may not set it" in allow
    assert "a project may set it only once you trust the file (`vibe trust`)" in allow
    assert not any(line.startswith("option") for line in lines(person("config", "timeout").stdout))
    aliases = lines(person("config", "aliases.fast").stdout)
    assert "value fast: openai/gpt-5-mini (vibe.yaml:2)" in aliases
    assert [line.split()[0] for line in lines(person("config", "catalog").stdout)][1:] == [
        "catalog.builtin",
        "catalog.hide",
    ]


def test_a_trusted_projects_values_are_no_longer_ignored(person: CommandHere) -> None:
    person("trust", "--yes")
    shown = lines(person("config").stdout)
    assert "max_usd 50 vibe.yaml:4" in shown
    assert "allow [write] vibe.yaml:3" in shown
    assert not any("ignored" in line for line in shown)


def test_an_unknown_name_is_an_error_with_the_nearest_one(here: CommandHere) -> None:
    done = here("config", "modle")
    assert done.returncode == 2
    assert "no setting is named `modle`; did you mean `model`?" in done.stderr
    assert "--all` shows all" in here("config", "zzz").stderr
    assert "leave `model` out" in here("config", "model", "--all").stderr


def test_what_is_wrong_is_told_and_the_rest_is_shown(person: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    person.command.write("vibe.yaml", "model: smart\nmodle: x\nconcurrency: many\nprefix_warmup: false\n")
    monkeypatch.setenv("VIBE_MAX_TOKENS", "very-many")
    monkeypatch.setenv("VIBE_CONCURENCY", "3")
    done = person("config")
    assert done.returncode == 2
    file = person.project / "vibe.yaml"
    assert done.stderr.splitlines() == [
        "warning: the environment variable VIBE_CONCURENCY is not known; did you mean VIBE_CONCURRENCY?",
        f"error: {file}:2: unknown key `modle`; did you mean `model`?",
        f"error: {file}:3: `concurrency`: a whole number is needed, not `many`",
        "error: VIBE_MAX_TOKENS: a whole number is needed, not `very-many`",
    ]
    assert {"model smart vibe.yaml:1", "prefix_warmup false vibe.yaml:4"} <= set(lines(done.stdout))
    assert person("list").returncode == 2, "any other command refuses it"


def test_a_file_that_is_no_yaml_leaves_the_other_one_readable(person: CommandHere) -> None:
    person.command.write("vibe.yaml", "model: [\n")
    done = person("config")
    assert done.returncode == 2
    assert "vibe.yaml:2:1: not valid YAML" in done.stderr
    assert "model openai/gpt-5 ~/.config/vibe/config.yaml:1" in lines(done.stdout)
    assert "left out: vibe.yaml, which cannot be read" in lines(done.stdout)
    paths = lines(person("config", "--paths").stdout)
    assert "project's settings vibe.yaml cannot be read" in paths


def test_models_that_do_not_go_together_are_told_with_the_rest(here: CommandHere) -> None:
    here.command.write("vibe.yaml", "aliases: {a: b, b: a}\n")
    done = here("config")
    assert done.returncode == 2
    assert "goes in a circle" in done.stderr
    assert "aliases.a b vibe.yaml:1" in lines(done.stdout)


def test_no_key_token_or_password_is_ever_shown(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    write_user_file(here, SECRETS)
    monkeypatch.setenv("TOOL_KEY", f"{SECRET}2")
    monkeypatch.setenv("VIBE_API_BASES", json.dumps({"openai": f"https://me:{SECRET}@x.example/v1"}))
    for args in (["config"], ["config", "--json"], ["config", "--paths"], *(["config", name] for name in KEYS)):
        done = here(*args)
        assert SECRET not in done.stdout + done.stderr, args
    assert "not `https://***@x.example/v1`" in here("config").stderr
    shown = lines(here("config").stdout)
    own = "~/.config/vibe/config.yaml"
    assert f"mcp.tool {{command: tool …, env: [TOOL_KEY]}} {own}:1" in shown
    page = "{url: https://x.example/mcp?***, headers: {Authorization: ***, X: ${TOOL_KEY}}}"
    assert f"mcp.page {page} {own}:1" in shown
    assert f"worktree.setup [npm …] {own}:6" in shown
    assert f"confine.env [***] {own}:8" in shown


def test_as_json_every_setting_has_its_sources(person: CommandHere) -> None:
    found: dict[str, Any] = json.loads(person("config", "--json").stdout)
    by_name = {each["name"]: each for each in found["settings"]}
    assert list(by_name) == list(KEYS)
    assert found["problems"] == []
    model = by_name["model"]
    assert (model["value"], model["set"], model["variable"]) == ("smart", True, "VIBE_MODEL")
    assert model["source"] == {
        "layer": "project",
        "file": str(person.project / "vibe.yaml"),
        "line": 1,
        "variable": None,
    }
    assert [said["value"] for said in model["said"]] == ["openai/gpt-5", "smart"]
    assert by_name["aliases"]["entries"]["smart"]["layer"] == "user"
    assert by_name["allow"]["ignored"][0]["reason"] == "a project's file may not set it"
    assert (by_name["timeout"]["value"], by_name["timeout"]["set"]) == (600.0, False)
    assert json.loads(person("config", "model", "--json").stdout) == model


def test_paths_say_what_is_there_and_what_is_not(person: CommandHere) -> None:
    person.command.write("workflows/a.py", "return 1\n")
    shown = lines(person("config", "--paths").stdout)
    assert "project ." in shown
    assert "project's settings vibe.yaml" in shown
    assert "workflows workflows" in shown
    assert "workflows .vibe/workflows not there" in shown
    assert "workflows more not there" in shown
    assert "database .vibe/vibe.db not there" in shown
    assert "cache ~/.cache/vibe not there" in shown
    found = json.loads(person("config", "--paths", "--json").stdout)["paths"]
    assert {"what": "project", "path": str(person.project), "problem": None} in found


def test_ci_is_the_source_of_what_it_asks_for(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert "require_model true CI" in lines(here("config").stdout)


def test_what_a_file_says_cannot_steer_a_terminal(here: CommandHere) -> None:
    here.command.write("vibe.yaml", 'workflows: ["\\e[2Jmore\\u202e"]\ncatalog: {hide: ["\\a\\e]0;x\\a"]}\n')
    for args in (["config"], ["config", "workflows"], ["config", "--paths"], ["config", "--json"]):
        done = here(*args)
        assert done.returncode == 0, done.stderr
        assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout), args


def test_a_key_of_a_section_may_have_a_line_of_its_own_but_not_twice(here: CommandHere) -> None:
    here.command.write("vibe.yaml", "catalog.builtin: false\n")
    assert "catalog.builtin false vibe.yaml:1" in lines(here("config").stdout)
    here.command.write("vibe.yaml", "catalog.builtin: false\ncatalog: {builtin: true}\n")
    done = here("config")
    assert "vibe.yaml:2: `catalog.builtin` is set twice (first in line 1); keep one" in done.stderr


@pytest.mark.parametrize("key", [key for key in KEYS.values() if key.sample], ids=lambda key: key.name)
def test_a_variable_takes_the_sample_as_it_is_said_to_be_written(here: CommandHere, key: Key) -> None:
    sample = yaml.safe_load(key.sample)
    plain = ",".join(sample) if isinstance(sample, list) and not key.json_variable else str(sample)
    plain = "2M, usd=5" if key.name == "budget" else plain
    assert key.parse(json.dumps(sample) if key.json_variable else plain, True) == key.parse(sample, False)
    assert (f"{key.variable} (as JSON)" in here("config", key.name).stdout) == key.json_variable
