"""What users of other engines of this kind have paid for twice, or were told wrongly.

Every invocation is a process of its own, and model calls are counted where they arrive: at the server.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.support.behaviours import Answer, Behaviour, Fail, Hang
from tests.support.exchanges import SeenRequest
from tests.support.field_project import FieldProject, prompt_of
from tests.support.leaks import wait_until
from tests.support.obedient_model import name_in, obey

WIDE = """\
async def main(args):
    return await parallel(agent(f"Item {number} of many", retries=0) for number in range(102))
"""


def test_of_102_agents_two_fail_early_and_the_rerun_makes_two_calls(project: FieldProject) -> None:
    def two_fail(request: SeenRequest) -> Behaviour | None:
        return Fail(status=500, message="it broke") if prompt_of(request).split()[1] in ("1", "3") else None

    project.model.handler = two_fail
    project.write("wide.py", WIDE)
    first = project.run("wide.py")
    assert len(first.requests) == 102
    assert [place for place, value in enumerate(first.result) if value is None] == [1, 3]
    assert "2 of 102 failed" in first.err

    project.model.handler = None
    second = project.run("wide.py")
    assert second.prompts == ["Item 1 of many", "Item 3 of many"]
    assert None not in second.result
    assert [each for each in second.result if each in first.result] == [each for each in first.result if each]
    assert project.run("wide.py").prompts == []


VOTE = """\
from vibe_workflows.patterns import majority

async def main(args):
    came = []
    async def vote(number):
        found = await agent(f"Does it hold? {number % 3}", label=f"voter:{number}")
        came.append(found)
        return found
    votes = await parallel(vote(number) for number in range(5))
    early = next(each for place, each in enumerate(came) if came[: place + 1].count(each) == 2)
    return {"votes": votes, "came": came, "first of two": early, "verdict": majority(votes, lambda each: each == "yes")}
"""


def test_voters_who_finish_in_another_order_cost_nothing_again_and_keep_their_verdict(project: FieldProject) -> None:
    """Three of five are killed while they think, and answer in the run that goes on: behind those who came later."""

    heard: Counter[str] = Counter()

    def two_answer(request: SeenRequest) -> Behaviour:
        prompt = prompt_of(request)
        heard[prompt] += 1
        answers = prompt.endswith("2") or (prompt.endswith("1") and heard[prompt] == 2)
        return Answer(text="no") if answers else Hang()

    project.model.handler = two_answer
    project.write("vote.py", VOTE)
    begun = project.start("run", "vote.py", "--events")
    events = project.at_work[begun].out
    assert wait_until(lambda: events.read_text().count('"step_finished"') == 2, 60)
    project.model.wait_requests(5)
    killed = project.kill(begun)
    assert len(killed.requests) == 5
    told = [json.loads(line) for line in killed.out.splitlines()]
    finished = {each["label"] for each in told if each["event"] == "step_finished"}

    project.model.handler = lambda _request: Answer(text="yes")
    second = project.run("vote.py")
    assert len(second.requests) == 3
    assert (second.result["verdict"], second.result["first of two"]) == ("yes", "no")
    assert second.result["came"] == ["no", "no", "yes", "yes", "yes"]
    assert {f"voter:{number}" for number, each in enumerate(second.result["votes"]) if each == "no"} == finished

    for concurrency in ("1", "5"):
        again = project.run("vote.py", "--concurrency", concurrency)
        assert again.prompts == []
        assert again.result == second.result
    project.write("vote.py", VOTE.replace("range(5)", "reversed(range(5))"))
    turned = project.run("vote.py")
    assert turned.prompts == []
    assert turned.result["verdict"] == "yes"
    assert Counter(turned.result["votes"]) == Counter(second.result["votes"])


LOOP = """\
async def main(args):
    found = []
    for number in range(20):
        found.append(await agent(f"Number {number}?"))
    return found
"""


def test_a_run_stopped_by_twelve_steps_goes_on_with_twenty_and_repeats_none(project: FieldProject) -> None:
    project.write("loop.py", LOOP)
    first = project.run("loop.py", "--budget", "steps=12", code=3)
    assert first.document["status"] == "budget_exceeded"
    assert len(first.requests) == 12

    second = project.run("loop.py", "--budget", "steps=20")
    assert second.prompts == sorted(f"Number {number}?" for number in range(12, 20))
    assert len(second.result) == 20


# ---------------------------------------------------------------- a rate limit is no vote

FINDING = {
    "path": "src/a.py",
    "line": 1,
    "severity": "high",
    "quote": "a = 1",
    "title": "a is wrong",
    "why": "it is 1",
    "fix": "a = 2",
}
REVIEW = ("multi-review", "--path", "src", "--format", "json", 'lenses:=["correctness"]')


def is_verification(request: SeenRequest) -> bool:
    return prompt_of(request).startswith("A reviewer claims")


def reviewed(request: SeenRequest, verdict: str) -> Behaviour:
    if "Review the code" in prompt_of(request):
        return Answer(text=json.dumps({"findings": [FINDING], "not_read": []}))
    if is_verification(request):
        return Answer(text=json.dumps({"reason": "it does", "verdict": verdict, "severity": "high"}))
    return Answer(text="Mend a.py first.")


def test_a_verification_that_is_rate_limited_is_asked_again_and_is_no_refutation(project: FieldProject) -> None:
    turned_away: set[str] = set()

    def each_once(request: SeenRequest) -> Behaviour:
        prompt = prompt_of(request)
        if not is_verification(request) or prompt in turned_away:
            return reviewed(request, "holds")
        turned_away.add(prompt)
        headers = {"Retry-After": "1"} if len(turned_away) == 1 else {}
        return Fail(status=429, message="slow down", type="rate_limit_error", headers=headers)

    project.model.handler = each_once
    project.write("src/a.py", "a = 1\n")
    found = project.run(*REVIEW)
    (confirmed,) = found.result["confirmed"]
    assert confirmed["votes"] == {"holds": 2, "refuted": 0, "abstained": 0}, "a third could not turn it"
    assert (found.result["refuted"], found.result["unverified"]) == ([], [])
    asked = Counter(prompt_of(request) for request in found.requests if is_verification(request))
    assert sorted(asked.values()) == [2, 2]
    assert project.run(*REVIEW).prompts == []


@pytest.mark.parametrize("limited", [2, 3], ids=["two of three", "all three"])
def test_a_finding_whose_verification_is_rate_limited_for_good_is_unverified(
    project: FieldProject, limited: int
) -> None:
    heard: set[str] = set()

    def for_good(request: SeenRequest) -> Behaviour:
        if is_verification(request):
            if len(heard) < 3 - limited:
                heard.add(prompt_of(request))
            if prompt_of(request) not in heard:
                return Fail(status=429, message="no more today", headers={"Retry-After": "3600"})
        return reviewed(request, "refuted")

    project.model.handler = for_good
    project.write("src/a.py", "a = 1\n")
    found = project.run(*REVIEW)
    (unverified,) = found.result["unverified"]
    assert unverified["votes"] == {"holds": 0, "refuted": 3 - limited, "abstained": limited}
    assert (found.result["confirmed"], found.result["refuted"]) == ([], [])
    assert found.document["failed_steps"] == limited

    project.model.handler = lambda request: reviewed(request, "holds")
    later = project.run(*REVIEW)
    assert sum(is_verification(request) for request in later.requests) == 2  # as many as decide it
    assert len(later.requests) == 3  # and the summary of what is confirmed now
    assert [each["votes"]["holds"] for each in later.result["confirmed"]] == [2]


# ---------------------------------------------------------------- what a step read

READ = """\
async def main(args):
    files = [f"data/{number:03}.txt" for number in range(500)]
    def reader(first):
        orders = " & ".join(f"read {path}" for path in files[first : first + 11])
        return agent(f"Reader {first}: {orders}", tools=["read"])
    found = await parallel(reader(first) for first in range(0, 500, 10))
    return [*found, await agent("Seeker: grep needle", tools=["read"])]
"""


def test_of_500_files_one_changes_and_exactly_the_steps_that_read_it_are_live(project: FieldProject) -> None:
    """Each reader reads eleven files, so that each tenth file has two readers; another one saw a line of one file."""
    for number in range(500):
        project.write(f"data/{number:03}.txt", f"value {number}\n")
    project.write("data/499.txt", "a needle\n")
    project.write("read.py", READ)
    project.model.handler = obey
    first = project.run("read.py")
    assert len(first.requests) == 2 * 51

    def live_after(name: str, text: str) -> set[str]:
        project.write(name, text)
        ended = project.run("read.py")
        new = set(ended.result) - set(first.result)
        live = {name_in(prompt) for prompt in ended.prompts}
        assert {answer.partition(" done")[0] for answer in new} == live
        return live

    assert live_after("data/253.txt", "changed\n") == {"Reader 250"}
    assert live_after("data/253.txt", "value 253\n") == set()  # the old answer is true again
    assert live_after("data/250.txt", "changed\n") == {"Reader 240", "Reader 250"}
    assert live_after("data/250.txt", "value 250\n") == set()
    assert live_after("data/499.txt", "a needle\nand more\n") == {"Reader 490"}
    assert live_after("data/499.txt", "a needle\n") == set()
    assert live_after("data/500.txt", "nobody reads it\n") == set()
    assert live_after("data/500.txt", "one more needle\n") == {"Seeker"}


# ---------------------------------------------------------------- what says nothing to a model

PLAIN = """async def main(args):
    found = await parallel(agent(f"Ask {number}") for number in range(4))
    return await agent("Merge: " + " ".join(found))
"""
DRESSED = """# A comment, and another layout.
async def main(args):
    phase("Ask")
    found = await parallel(
        [agent(f"Ask {n}", label=f"ask:{n}", timeout=50, retries=1) for n in range(4)]  # in a list
    )
    log("asked", n=len(found))

    phase("Merge")
    with budget(tokens=100_000):
        merged = await agent("Merge: " + " ".join(found), label="merge")
    return merged
"""


def test_a_comment_a_label_or_a_phase_changes_and_nothing_is_live_but_a_salt_is_another_input(
    project: FieldProject,
) -> None:
    project.write("flow.py", PLAIN)
    first = project.run("flow.py")
    assert len(first.requests) == 5
    relabelled = DRESSED.replace("ask:", "question:").replace('phase("Ask")', 'phase("Questions")')
    for source in ("# a comment\n" + PLAIN, DRESSED, relabelled):
        project.write("flow.py", source)
        ended = project.run("flow.py")
        assert ended.prompts == []
        assert ended.result == first.result
    project.write("flow.py", DRESSED.replace('label="merge"', 'cache="v2"'))
    (prompt,) = project.run("flow.py").prompts
    assert prompt.startswith("Merge: ")
