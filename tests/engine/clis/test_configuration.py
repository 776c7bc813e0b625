"""The config key `agents`."""

from __future__ import annotations

from typing import Any

import pytest

from vibe_workflows.engine.clis.choice import digest_of
from vibe_workflows.engine.clis.description import SETTINGS
from vibe_workflows.engine.clis.shipped import SHIPPED
from vibe_workflows.engine.config_agents import agents


def test_a_name_is_enough_and_what_is_given_takes_the_place_of_what_is_described() -> None:
    claude = SHIPPED["claude-code"]
    assert agents({"claude-code": True}, False) == {"claude-code": claude}
    assert agents('{"claude-code": false}', True)["claude-code"].enabled is False
    given = {
        "env": ["MY_KEY"],
        "timeout_s": 60,
        "reserve": {"tokens": "200k", "usd": 2.0},
        "modes": {"write": ["--go"]},
        "exits": {"41": "login"},
    }
    found = agents({"claude-code": given}, False)["claude-code"]
    assert (found.env, found.timeout_s, found.reserve_tokens, found.reserve_usd) == (("MY_KEY",), 60.0, 200_000, 2.0)
    assert found.exits == {41: "login"}
    assert found.argv == claude.argv
    assert found.modes["write"].flags == ("--go",)
    assert found.modes["read"] == claude.modes["read"]


def test_what_is_left_out_of_the_project_is_part_of_how_it_is_run() -> None:
    found = agents({"claude-code": True, "mine": {**OWN, "leaves_out": [".mine"]}, "other": OWN}, False)
    assert ".claude" in found["claude-code"].left_out
    assert (found["mine"].left_out, found["other"].left_out) == ((".mine",), SETTINGS)
    trusting = agents({"claude-code": {"project_settings": True}}, False)["claude-code"]
    assert trusting.left_out == ()
    assert digest_of(trusting) != digest_of(found["claude-code"])


def test_each_that_is_described_leaves_out_some_of_all_that_is_known() -> None:
    for agent in SHIPPED.values():
        assert {*agent.leaves_out} <= {*SETTINGS}


OWN: dict[str, Any] = {"argv": ["mine"], "answer": "text"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "`key: value` lines are needed"),
        ({"Claude": True}, "no name of an agent"),
        ({"offline": OWN}, "no name of an agent"),
        ({"a/b": OWN}, "no name of an agent"),
        ({"claude-code": "yes"}, "agent `claude-code`: `true`, or what is otherwise"),
        ({"mine": True}, "`argv` is missing, and Vibe describes no agent of that name"),
        ({"mine": {"argv": ["mine"]}}, "`answer` is missing"),
        ({"mine": {**OWN, "evn": ["A"]}}, "unknown key `evn`; did you mean `env`"),
        ({"mine": {**OWN, "argv": "mine -p"}}, "a list of program and arguments"),
        ({"mine": {**OWN, "argv": ["./mine"]}}, "another program in each project"),
        ({"mine": {**OWN, "argv": ["~x/mine"]}}, "another program in each project"),
        ({"mine": {**OWN, "argv": ["{model}"]}}, "no placeholder"),
        ({"mine": {**OWN, "argv": ["mine", "{promt}"]}}, "placeholders are {prompt}"),
        ({"mine": {**OWN, "argv": ["mine", "x{flags}"]}}, "placeholders are {prompt}"),
        ({"mine": {**OWN, "argv": ["mine", "{prompt}", "{prompt}"]}}, "there twice"),
        ({"mine": {**OWN, "answer": "a b"}}, "`answer`: 'a b' says no place in JSON"),
        ({"mine": {**OWN, "output": "xml"}}, "`json` (one document) or `lines`"),
        ({"mine": {**OWN, "usage": {"tokens": "a"}}}, "unknown count `tokens`"),
        ({"mine": {**OWN, "exits": {"41": "auth"}}}, "an exit code and one of"),
        ({"mine": {**OWN, "exits": {"256": "login"}}}, "an exit code and one of"),
        ({"mine": {**OWN, "exits": {"\u0664": "login"}}}, "an exit code and one of"),
        ({"mine": {**OWN, "modes": {"admin": []}}}, "unknown mode `admin`"),
        ({"mine": {**OWN, "env": ["KEY=1"]}}, "no name of a variable"),
        ({"mine": {**OWN, "reserve": {"tokens": 0}}}, "an amount above 0"),
        ({"mine": {**OWN, "reserve": {"steps": 5}}}, "unknown unit `steps`"),
        ({"mine": {**OWN, "timeout_s": -1}}, "a number of seconds"),
        ({"mine": {**OWN, "project_settings": "yes"}}, "`project_settings`: true or false is needed"),
        ({"mine": {**OWN, "leaves_out": [".mine/settings"]}}, "no name of a file or folder"),
        ({"mine": {**OWN, "leaves_out": ["*.json"]}}, "no name of a file or folder"),
        ({"mine": {**OWN, "leaves_out": ["*"]}}, "no name of a file or folder"),
    ],
)
def test_what_is_wrong_is_named(value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        agents(value, False)
    assert message in str(caught.value)
