"""The line between vibe's own options and the workflow's arguments."""

from __future__ import annotations

from typing import Any

import click
import pytest

from vibe_workflows.cli.arguments import RESERVED, Split, split
from vibe_workflows.cli.run import command


def divide(*args: str) -> Split:
    return split(args, command.params)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--path", "src"], {"path": "src"}),
        (["--path=src"], {"path": "src"}),
        (["--path=-x=y"], {"path": "-x=y"}),
        (["--path="], {"path": ""}),
        (["path=src"], {"path": "src"}),
        (["note=a=b c"], {"note": "a=b c"}),
        (["n:=5", 'list:=[1, "a"]', "none:=null"], {"n": 5, "list": [1, "a"], "none": None}),
        (["--deep"], {"deep": True}),
        (["--deep", "--path", "src"], {"deep": True, "path": "src"}),
        (["--deep", "--json"], {"deep": True}),
        (["--depth", "-1"], {"depth": "-1"}),
        (["--tag", "a", "--tag", "b", "tag=c"], {"tag": ["a", "b", "c"]}),
        (["--", "--model", "mine"], {"model": "mine"}),
        (["model=mine"], {"model": "mine"}),
        (["text=line\nbreak"], {"text": "line\nbreak"}),
    ],
)
def test_a_workflows_arguments_keep_what_was_typed(args: list[str], expected: dict[str, Any]) -> None:
    found = divide("flow.py", *args)
    assert found.target == "flow.py"
    assert found.arguments == expected


def test_vibes_own_options_may_stand_anywhere_and_win() -> None:
    found = divide("--json", "--budget", "200k", "flow.py", "--model", "m", "--path", "src", "-q", "-ofile", "--db=x")
    assert found.own == ["--json", "--budget", "200k", "--model", "m", "-q", "-ofile", "--db=x"]
    assert found.arguments == {"path": "src"}


def test_words_without_a_name_are_kept_and_so_is_which_option_a_word_followed() -> None:
    found = divide("flow.py", "what is a=b?", "--deep", "http://x/?a=b", "--path=src", "more", "--", "--last", "c")
    assert found.words == ("what is a=b?", "more")
    assert found.followed == ("deep", "last")
    assert found.arguments == {"deep": "http://x/?a=b", "path": "src", "last": "c"}


def test_a_dash_alone_is_the_workflow_on_standard_input() -> None:
    assert divide("-", "--path", "src").target == "-"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--path", "src", "flow.py"], "name the workflow before it"),
        (["flow.py", "-x"], "there is no option -x"),
        (["flow.py", "n:=[1"], "n:=[1 is no JSON"),
        (["flow.py", "n:=NaN"], "NaN is no JSON number"),
        (["flow.py", "n:=" + "[" * 100_000], "is no JSON"),
    ],
)
def test_what_cannot_be_understood_is_named_with_what_to_write(args: list[str], message: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        divide(*args)
    assert message in caught.value.message


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_option_that_is_yet_to_come_never_becomes_an_argument(name: str) -> None:
    with pytest.raises(click.UsageError, match="kept for vibe itself"):
        divide("flow.py", f"--{name}")
