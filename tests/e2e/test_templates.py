"""Each template of `vibe new` is a workflow that runs as it is, decides well, and ends with what it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Machine, Ran
from tests.e2e.test_main_job import prompt_of
from tests.support.behaviours import Answer, Behaviour
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer
from vibe_workflows.catalog.template_files import template_named, templates

NAMES = [template.name for template in templates()]


def answers(say: Callable[[str], Any]) -> Callable[[SeenRequest], Behaviour]:
    """A model that answers a prompt by `say`: a text, a value in the schema, or None where it refuses."""

    def handler(request: SeenRequest) -> Behaviour:
        said = say(prompt_of(request))
        if said is None:
            return Answer(finish="content_filter")
        if isinstance(said, list):
            said = {"value": said}  # a list is asked for inside of an object
        return Answer(text=said if isinstance(said, str) else json.dumps(said))

    return handler


def made(machine: Machine, template: str) -> Machine:
    """The machine with a workflow `mine` and three files to work on."""
    for name in ("a", "b", "c"):
        machine.write(f"src/{name}.py", f"{name} = 1\n")
    machine.write("workflows/mine.py", template_named(template).text_for("mine"))
    return machine


def completed(machine: Machine, *arguments: str) -> Any:
    ran: Ran = machine.vibe("mine", *arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.document["result"]


@pytest.mark.parametrize("template", NAMES)
def test_a_template_runs_without_a_model_and_its_rerun_asks_nothing(machine: Machine, template: str) -> None:
    first = made(machine, template).vibe("mine", "--json").document
    assert (first["status"], first["offline"], first["failed_steps"]) == ("completed", True, 0)
    second = machine.vibe("mine", "--json")
    assert second.document["result"] == first["result"]
    assert "0 live" in second.err


def test_a_fan_out_merges_what_applies_and_names_what_failed(online: Machine, model_server: ModelServer) -> None:
    def say(prompt: str) -> Any:
        if "data, not instructions" in prompt:
            return f"merged: {'a is so' in prompt}, {'b is not' in prompt}"
        if "src/c.py" in prompt:
            return None
        return {"silent": "src/a.py" not in prompt, "answer": "a is so" if "src/a.py" in prompt else "b is not"}

    model_server.handler = answers(say)
    result = completed(made(online, "fan-out"), "--pattern", "src/*.py", "--question", "Is it so?")
    assert result == {
        "summary": "merged: True, False",
        "answers": [{"path": "src/a.py", "answer": "a is so"}],
        "not_answered": ["src/c.py"],
        "not_asked": 0,
    }


def test_a_fan_out_without_budget_for_all_gives_what_was_answered(online: Machine, model_server: ModelServer) -> None:
    model_server.handler = answers(lambda prompt: {"silent": False, "answer": "so"})
    result = completed(made(online, "fan-out"), "--pattern", "src/*.py", "--budget", "steps=3")
    answered = [each["path"] for each in result["answers"]]
    assert (len(answered), len(result["not_answered"]), result["summary"]) == (2, 1, None)
    assert sorted(answered + result["not_answered"]) == ["src/a.py", "src/b.py", "src/c.py"]


def test_a_pipeline_keeps_what_its_check_holds_and_names_what_is_not_done(
    online: Machine, model_server: ModelServer
) -> None:
    def say(prompt: str) -> Any:
        if "It is data" in prompt:
            return {"refuted": "src/a.py" not in prompt}
        if "src/c.py" in prompt:
            return None
        return {"tested": False, "test": "1 gives 2"}

    model_server.handler = answers(say)
    result = completed(made(online, "pipeline"), "--pattern", "src/*.py")
    assert result == {
        "tests": [{"path": "src/a.py", "test": "1 gives 2"}],
        "not_done": ["src/c.py"],
        "complete": True,
    }
    cut = completed(online, "--pattern", "src/*.py", "--budget", "steps=2", "--fresh")
    assert cut == {"tests": [], "not_done": ["src/a.py", "src/b.py", "src/c.py"], "complete": False}


def test_a_loop_ends_after_two_dry_rounds_and_a_failed_one_is_not_dry(
    online: Machine, model_server: ModelServer
) -> None:
    seen: list[str] = []

    def say(prompt: str) -> Any:
        seen.append(prompt)
        found = {"path": "src/a.py", "line": 1, "problem": "wrong"}
        return {1: [found], 2: [found], 3: None}.get(len(seen), [])

    model_server.handler = answers(say)
    result = completed(made(online, "loop"))
    assert result == {
        "findings": [{"path": "src/a.py", "line": 1, "problem": "wrong"}],
        "complete": True,
        "rounds": 5,
        "failed_rounds": 1,
    }
    assert "Known already" not in seen[0]
    assert 'reported again:\n["src/a.py:1"]' in seen[1]


def test_a_loop_says_what_it_has_when_its_budget_or_its_rounds_end(online: Machine, model_server: ModelServer) -> None:
    rounds = iter(range(100))
    model_server.handler = answers(lambda prompt: [{"path": "x", "line": next(rounds), "problem": "new"}])
    cut = completed(made(online, "loop"), "--budget", "steps=2")
    assert (len(cut["findings"]), cut["complete"]) == (2, False)
    short = completed(online, "--max-rounds", "1", "--fresh")
    assert (len(short["findings"]), short["complete"], short["rounds"]) == (1, False, 1)


@pytest.mark.parametrize(
    ("votes", "verdict", "without"),
    [
        (("yes", "no", "yes"), "yes", 0),
        (("no", "cannot tell", None), "unverified", 1),
    ],
)
def test_a_vote_counts_only_those_who_could_tell(
    online: Machine, model_server: ModelServer, votes: tuple[str | None, ...], verdict: str, without: int
) -> None:
    left = list(votes)

    def say(prompt: str) -> Any:
        assert prompt.endswith("Claim: it holds")
        vote = left.pop()
        return vote and {"evidence": "seen", "holds": vote}

    model_server.handler = answers(say)
    result = completed(made(online, "vote"), "--claim", "it holds")
    assert (result["holds"], result["without_a_vote"], result["complete"]) == (verdict, without, True)


def test_a_vote_that_the_budget_cuts_off_decides_nothing(online: Machine, model_server: ModelServer) -> None:
    model_server.handler = answers(lambda prompt: {"evidence": "seen", "holds": "yes"})
    result = completed(made(online, "vote"), "--budget", "steps=1")
    assert (result["holds"], result["without_a_vote"], result["complete"]) == ("unverified", 2, False)
