"""What the examples show only with real answers: how they count, cut, rank, plan and stop."""

from __future__ import annotations

import re
from typing import Any

from tests.support.behaviours import Answer
from tests.support.example_jobs import Said, run_example
from tests.support.exchanges import SeenRequest
from tests.support.field_project import FieldProject

Request = SeenRequest

#: One that is not tried again: the model refuses.
FAILURE = Answer(text="I", finish="content_filter")


def files(project: FieldProject, *names: str) -> None:
    for name in names:
        project.write(name, f"# {name}\n")


def test_stages_mend_what_a_check_denies_and_only_that(project: FieldProject) -> None:
    files(project, "a.py", "b.py", "c.py")

    def say(prompt: str, request: Request) -> Said:
        path = re.findall(r"Read (\w\.py)", prompt)[0]
        if "Explain" in prompt:
            return FAILURE if path == "c.py" else f"wrong words on {path}"
        if "Which statements" in prompt:
            return {"wrong": ["the words"] if path == "a.py" else []}
        return f"right words on {path}"

    ended = run_example(project, "stages", say)
    assert ended.result == [
        {"path": "a.py", "text": "right words on a.py", "wrong": ["the words"]},
        {"path": "b.py", "text": "wrong words on b.py", "wrong": []},
    ]


def test_a_vote_counts_who_could_tell(project: FieldProject) -> None:
    said: list[Said] = [{"evidence": "e", "vote": vote} for vote in ("true", "true", "cannot_tell", "cannot_tell")]

    def say(prompt: str, request: Request) -> Said:
        return said.pop() if said else FAILURE

    ended = run_example(project, "vote", say, "--voters", "5")
    assert ended.result["verdict"] == "yes"
    assert sorted(ended.result["votes"]) == ["cannot_tell", "cannot_tell", "true", "true"]
    assert ended.result["failed"] == ["refused"]
    ended = run_example(project, "vote", say, "--claim", "Nobody can say.")
    assert (ended.result["verdict"], len(ended.result["failed"])) == ("unverified", 3)
    ended = run_example(project, "vote", lambda *_: {"evidence": "e", "vote": "false"}, "--claim", "It is bad.")
    assert ended.result["verdict"] == "no"


def test_a_scope_that_runs_out_leaves_what_was_done_and_money_for_the_rest(project: FieldProject) -> None:
    files(project, *(f"{number}.txt" for number in range(8)))

    def say(prompt: str, request: Request) -> Said:
        return "words " * 200

    ended = run_example(project, "budget_scopes", say, "--reading", "4000")
    result = ended.result
    assert result["complete"] is False
    assert 0 < len(result["files"]) < 9
    assert sorted([*result["files"], *result["left_out"]]) == [*(f"{n}.txt" for n in range(8)), "vibe.yaml"]
    assert result["summary"] is not None
    more = run_example(project, "budget_scopes", say, "--reading", "100000")
    assert more.result["complete"] is True
    assert len(more.requests) == len(result["left_out"]) + 1


def test_what_was_cut_off_is_asked_again_and_a_refusal_is_final(project: FieldProject) -> None:
    files(project, "a.py", "b.py", "c.py")

    def say(prompt: str, request: Request) -> Said:
        if "a.py" in prompt:
            return FAILURE
        return "short" if "60 words" in prompt else Answer(text="too lo", finish="length")

    ended = run_example(project, "errors_as_values", say)
    assert ended.result["answers"] == {"b.py": "short", "c.py": "short"}
    (failure,) = ended.result["failures"]
    assert (failure["path"], failure["kind"], failure["final"]) == ("a.py", "refused", True)


def test_pairs_are_ranked_and_a_model_that_takes_the_first_decides_nothing(project: FieldProject) -> None:
    ideas = '["worst", "best", "middle"]'

    def judge(prompt: str, request: Request) -> Said:
        first, second = re.findall(r"(?:First|Second): (\w+)", prompt)
        order = ["best", "middle", "worst"]
        return {"reason": "r", "better": "first" if order.index(first) < order.index(second) else "second"}

    ended = run_example(project, "rank_by_pairs", judge, "--args", f'{{"ideas": {ideas}}}')
    assert ended.result == {"ranking": ["best", "middle", "worst"], "compared": 3, "decided": 3}
    biased = run_example(
        project,
        "rank_by_pairs",
        lambda *_: {"reason": "r", "better": "first"},
        "--args",
        f'{{"ideas": {ideas}, "by": "taste"}}',
    )
    assert biased.result == {"ranking": ["worst", "best", "middle"], "compared": 3, "decided": 0}


def test_a_long_text_is_noted_whole_and_its_notes_are_joined(project: FieldProject) -> None:
    words = [f"word{number}" for number in range(3_000)]
    project.write("long.md", "\n\n".join(" ".join(words[at : at + 25]) for at in range(0, 3_000, 25)))
    noted: list[str] = []

    def say(prompt: str, request: Request) -> Said:
        if "<part>" in prompt:
            noted.extend(words_here := re.findall(r"word\d+", prompt))
            return f"[note on {words_here[0]}] " + "x" * 900
        return "joined: " + " ".join(re.findall(r"\[note on word\d+\]", prompt))

    ended = run_example(project, "map_reduce", say, "--path", "long.md", "--tokens", "1000")
    assert set(noted) == set(words)
    joins = [prompt for prompt in ended.prompts if "Join them" in prompt]
    assert len(joins) > 2
    assert ended.result.count("note on") == sum("<part>" in prompt for prompt in ended.prompts)


def test_a_plan_is_carried_out_in_the_order_that_it_needs(project: FieldProject) -> None:
    plan = [
        {"task": "Read one", "after": []},
        {"task": "Read two", "after": []},
        {"task": "Compare", "after": [1, 2]},
        {"task": "Wait for me", "after": [4]},
    ]

    def say(prompt: str, request: Request) -> Said:
        if "Split it into tasks" in prompt:
            return plan
        return "the report" if "Write the result" in prompt else f"did {prompt.splitlines()[0]}"

    ended = run_example(project, "dynamic_plan", say)
    assert ended.result == {"plan": plan, "report": "the report", "failed": [], "never_begun": [4]}
    (compare,) = [prompt for prompt in ended.prompts if prompt.startswith("Compare")]
    assert "<result of=1>\ndid Read one\n</result>" in compare
    assert "<result of=2>\ndid Read two\n</result>" in compare


def test_fan_outs_in_fan_outs_keep_what_others_lost(project: FieldProject) -> None:
    files(project, "one/a.py", "two/b.py")

    def say(prompt: str, request: Request) -> Said:
        lost = "two." in prompt or ("one." in prompt and "hardest" in prompt)
        return FAILURE if lost else "an answer"

    ended = run_example(project, "nested_fanout", say)
    assert ended.result == {
        "modules": {"one": {"purpose": "an answer", "surface": "an answer"}},
        "summary": "an answer",
    }


def test_a_loop_ends_dry_and_a_failed_round_is_not_dry(project: FieldProject) -> None:
    finding: dict[str, Any] = {"path": "a.py", "line": 1, "title": "x"}
    rounds: list[Said] = [[finding], [], FAILURE, [finding], [{**finding, "line": 2}], [], []]

    def say(prompt: str, request: Request) -> Said:
        return "a summary" if "which three" in prompt else rounds.pop(0)

    ended = run_example(project, "loop_until_dry", say)
    assert (ended.result["stopped"], ended.result["rounds"]) == ("dry", 7)
    assert [found["line"] for found in ended.result["findings"]] == [1, 2]
    assert rounds == []


def test_only_what_says_so_is_asked_again(project: FieldProject) -> None:
    project.write("README.md", "# Guide\nBy 2020-01-01.\n")

    def say(prompt: str, request: Request) -> Said:
        return f"an answer {len(project.model.requests)}"

    first = run_example(project, "caching", say)
    assert len(first.requests) == 6
    assert all("# Guide" in str(request.body) for request in first.requests), "the text goes along with each"
    again = run_example(project, "caching", say)
    assert [prompt.splitlines()[-1] for prompt in again.prompts] == ["Which question would you ask about it?"]
    assert {**again.result, "question": ""} == {**first.result, "question": ""}
    assert again.result["question"] != first.result["question"]
