"""From what was typed to a workflow's arguments: switches, words without a name, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.cli.arguments import split
from vibe_workflows.cli.binding import given_arguments
from vibe_workflows.cli.run import command
from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.launch import RunRequest

_QUESTION = {
    "type": "object",
    "required": ["question"],
    "properties": {
        "question": {"type": "string", "description": "what to find out"},
        "angles": {"type": "integer"},
        "deep_links": {"type": "boolean", "default": False},
    },
}
_FILES = {
    "type": "object",
    "required": ["files"],
    "properties": {"files": {"type": "array", "items": {"type": "string"}}, "no_cache": {"type": "boolean"}},
}
_TWO = {
    "type": "object",
    "required": ["left", "right", "limits"],
    "properties": {
        "left": {"type": "string"},
        "right": {"enum": ["a b", "c"]},
        "limits": {"type": "object", "properties": {"pages": {"type": "integer"}}},
    },
}


def bind(schema: dict[str, Any] | None, *args: str, target: str = "ask") -> dict[str, Any]:
    found = split([target, *args], command.params)
    request = RunRequest(
        target=target,
        arguments=found.arguments,
        options=found.options,
        followed=found.followed,
        words=found.words,
        args_json='{"question": "in the document"}' if "--args" in found.own else None,
    )
    return dict(given_arguments(request, Metadata(name=target, args=schema)))


@pytest.mark.parametrize(
    ("args", "given"),
    [
        (["what is it?"], {"question": "what is it?"}),
        (["--angles", "-3", "why"], {"question": "why", "angles": -3}),
        (["--deep-links", "why"], {"question": "why", "deep_links": True}),
        (["--deep-links", "no", "why"], {"question": "why", "deep_links": False}),
        (["--no-deep-links", "why"], {"question": "why", "deep_links": False}),
        (["--no-deep_links", "question=why"], {"question": "why", "deep_links": False}),
        (["--deep-links", "angles:=2", "why"], {"question": "why", "deep_links": True, "angles": 2}),
        (["--deep-links=false", "--question", "why"], {"question": "why", "deep_links": False}),
        (["--args", "@some"], {"question": "in the document"}),
        (["", "angles=1"], {"question": "", "angles": 1}),
    ],
)
def test_a_word_without_a_name_is_the_required_text(args: list[str], given: dict[str, Any]) -> None:
    assert bind(_QUESTION, *args) == given


def test_words_without_a_name_are_a_required_list_of_texts() -> None:
    assert bind(_FILES, "a.py", "b,c.py") == {"files": ["a.py", "b,c.py"]}
    assert bind(_FILES, "a.py", "--no-cache") == {"files": ["a.py"], "no_cache": True}


@pytest.mark.parametrize(
    ("schema", "args", "message"),
    [
        (_QUESTION, [], 'argument `question` (what to find out) is missing; for example: vibe ask "QUESTION"'),
        (_FILES, [], "argument `files` is missing; for example: vibe ask --files A,B,..."),
        (
            _TWO,
            [],
            "`right` and `limits`; for example: vibe ask --left TEXT --right 'a b' limits:='{\"pages\": ...}'",
        ),
        (_QUESTION, ["what", "is it"], 'is one text, and 2 words are here; put it in quotes: "what is it"'),
        (_QUESTION, ["question=a", "b"], "no argument takes 'b': name the one that is meant"),
        (
            _TWO,
            ["a", "right=c"],
            "no argument takes 'a': `left` and `limits` are missing; name them: vibe ask --left",
        ),
        (None, ["a"], "no argument takes 'a': the workflow declares no arguments; `vibe ask --help` shows it"),
        (_QUESTION, ["--angles"], "argument `angles`: a value is needed; give --angles VALUE"),
        (_QUESTION, ["--no-angles", "a"], "the workflow has no argument `no-angles`"),
        (_QUESTION, ["--no-deep-links=x"], "--no-deep-links takes no value; to switch `deep_links` on"),
        (_QUESTION, ["--deep-links", "--no-deep-links"], "argument `deep_links` is given twice"),
        (_QUESTION, ["--bugdet", "1"], "did you mean --budget?"),
    ],
)
def test_what_does_not_fit_says_what_to_write(schema: dict[str, Any] | None, args: list[str], message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        bind(schema, *args)
    assert message in caught.value.message


def test_a_workflow_that_was_named_by_its_path_is_shown_so() -> None:
    with pytest.raises(WorkflowError, match=r"for example: vibe run 'my flows/ask\.py' \"QUESTION\""):
        bind(_QUESTION, target="my flows/ask.py")
