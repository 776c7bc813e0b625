"""What votes come to, in a workflow and in plain Python: an outage is never counted as a "no"."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sandbox.test_script_module import check_types
from tests.support.script_child import ForkServer, fault, fork_server
from vibe_workflows import patterns
from vibe_workflows.patterns import majority, survives
from vibe_workflows.script import ProviderError, RateLimited

ABSTAINING: list[Any] = [None, RateLimited("slow down"), ProviderError("down"), ValueError("bug"), "unsure"]
ballots = st.lists(st.sampled_from(["yes", "no", *ABSTAINING]), max_size=12)
quorums = st.none() | st.integers(1, 15)


def says_yes(vote: Any) -> bool | None:
    return {"yes": True, "no": False, "unsure": None}[vote]


@pytest.mark.parametrize(
    ("votes", "quorum", "verdict"),
    [
        (["yes", "yes", "no"], 2, "yes"),
        (["yes", "no", "no"], 2, "no"),
        (["yes", "no"], 2, "unverified"),
        (["no", None, None], 2, "unverified"),
        (["no", None, None], 1, "no"),
        (["no", None, None], None, "unverified"),
        (["no", "no", None], None, "no"),
        (["yes", "yes", "unsure", RateLimited("later")], None, "unverified"),
        (["yes", "yes", "unsure", "no", RateLimited("later")], None, "yes"),
        ([None, None, None], 1, "unverified"),
        ([], None, "unverified"),
        (["no"] * 9, 10, "unverified"),
    ],
)
def test_a_majority_of_at_least_the_quorum_decides(votes: list[Any], quorum: int | None, verdict: str) -> None:
    assert majority(votes, says_yes, quorum) == verdict


@given(ballots, quorums)
def test_yes_and_no_are_said_only_by_a_quorum_with_a_majority(votes: list[Any], quorum: int | None) -> None:
    yes, no = votes.count("yes"), votes.count("no")
    needed = len(votes) // 2 + 1 if quorum is None else quorum
    decided = yes + no >= needed and yes != no
    assert majority(votes, says_yes, quorum) == ("unverified" if not decided else "yes" if yes > no else "no")


@given(ballots, quorums, st.lists(st.sampled_from(ABSTAINING), min_size=1))
def test_more_who_abstain_never_turn_a_verdict_round(votes: list[Any], quorum: int | None, more: list[Any]) -> None:
    before, after = majority(votes, says_yes, quorum), majority([*votes, *more], says_yes, quorum)
    if quorum is None:
        assert after in (before, "unverified")
    else:
        assert after == before


@given(st.lists(st.sampled_from(ABSTAINING), max_size=12), quorums)
def test_an_outage_of_all_voters_is_unverified(votes: list[Any], quorum: int | None) -> None:
    assert majority(votes, says_yes, quorum) == "unverified"


@given(ballots, quorums, st.randoms(use_true_random=False))
def test_the_order_of_the_votes_does_not_matter(votes: list[Any], quorum: int | None, chance: random.Random) -> None:
    shuffled = list(votes)
    chance.shuffle(shuffled)
    assert majority(iter(shuffled), says_yes, quorum) == majority(votes, says_yes, quorum)


# ---------------------------------------------------------------- refuted by default

AS_A_NUMBER = {"refuted": 0, "unverified": 1, "confirmed": 2}


@pytest.mark.parametrize(
    ("votes", "quorum", "standing"),
    [
        (["yes", "yes", "no"], 2, "confirmed"),
        (["yes", "no"], 2, "refuted"),
        (["yes", "no", "no"], 3, "refuted"),
        (["no", None, None], None, "unverified"),
        (["no", None, None], 1, "refuted"),
        (["yes", None, None], None, "unverified"),
        (["yes", "unsure", RateLimited("later")], 1, "confirmed"),
        ([None, None, None], 1, "unverified"),
        ([], None, "unverified"),
        ([], 1, "unverified"),
    ],
)
def test_a_claim_stands_only_if_most_of_a_quorum_say_so(votes: list[Any], quorum: int | None, standing: str) -> None:
    assert survives(votes, says_yes, quorum) == standing


@given(ballots, quorums)
def test_a_claim_is_decided_by_a_quorum_and_a_tie_refutes(votes: list[Any], quorum: int | None) -> None:
    yes, no = votes.count("yes"), votes.count("no")
    needed = len(votes) // 2 + 1 if quorum is None else quorum
    expected = "unverified" if yes + no < needed else "confirmed" if yes > no else "refuted"
    assert survives(votes, says_yes, quorum) == expected


@given(ballots, quorums, st.data())
def test_a_vote_that_turns_to_yes_never_weakens_a_claim(
    votes: list[Any], quorum: int | None, data: st.DataObject
) -> None:
    before = survives(votes, says_yes, quorum)
    turned = [data.draw(st.sampled_from(["yes", vote])) if vote == "no" else vote for vote in votes]
    assert AS_A_NUMBER[survives(turned, says_yes, quorum)] >= AS_A_NUMBER[before]
    if before == "confirmed":
        assert survives([*votes, "yes"], says_yes, quorum) == "confirmed"
    if before == "refuted":
        assert survives([*votes, "no"], says_yes, quorum) == "refuted"


@given(ballots, quorums, st.randoms(use_true_random=False), st.lists(st.sampled_from(ABSTAINING)))
def test_neither_the_order_nor_who_abstains_turns_a_claim_round(
    votes: list[Any], quorum: int | None, chance: random.Random, more: list[Any]
) -> None:
    before = survives(votes, says_yes, quorum)
    shuffled = [*votes]
    chance.shuffle(shuffled)
    assert survives(iter(shuffled), says_yes, quorum) == before
    after = survives([*votes, *more], says_yes, quorum)
    assert after == before if quorum is not None else after in (before, "unverified")


def test_what_is_no_list_of_votes_is_named_with_what_to_write() -> None:
    async def vote() -> str:
        return "yes"

    async def asks(_: Any) -> bool:
        return True

    for wrong, message in [
        (vote(), r"survives: these votes are not in yet; write survives\(await parallel\(...\), ...\)"),
        ({"votes": []}, "the votes are a list, not a dict; hand over the list in it"),
        ("yes", "the votes are a list, not one text"),
        (7, "the votes are a list, not a value of type int"),
        ([vote()], r"survives: a vote has not run; write survives\(await parallel"),
    ]:
        with pytest.raises(TypeError, match=message):
            survives(wrong, says_yes)  # type: ignore[arg-type]
        if hasattr(wrong, "close"):
            wrong.close()
    with pytest.raises(TypeError, match="majority: the test has to be a plain function, not an async one; await"):
        majority(["yes"], asks)  # type: ignore[arg-type]


def test_the_test_of_a_vote_is_asked_only_about_those_who_voted_and_must_decide() -> None:
    asked: list[Any] = []

    def test(vote: Any) -> bool:
        asked.append(vote)
        return True

    majority([1, None, ValueError(), 2], test, 1)
    assert asked == [1, 2]
    with pytest.raises(TypeError, match=r"gives True, False, or None .* not a value of type str; compare"):
        majority(["no"], lambda vote: vote, 1)  # type: ignore[arg-type, return-value]
    with pytest.raises(KeyError):
        majority([{"reason": True}], lambda vote: vote["holds"], 1)


def test_a_quorum_is_a_number_of_votes() -> None:
    with pytest.raises(ValueError, match="a number of votes; it is at least 1, not 0"):
        majority([1], bool, 0)
    for wrong in (True, 0.5, "2"):
        with pytest.raises(TypeError, match="a number of votes; it is a whole number"):
            majority([1], bool, wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- in a workflow, and for an editor


@pytest.fixture(scope="module")
def child() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


IN_A_WORKFLOW = """
from vibe_workflows.patterns import Verdict, majority
from vibe_workflows import patterns
import vibe_workflows.patterns as by_name

def decided(votes, quorum) -> Verdict:
    return by_name.majority(votes, lambda vote: None if vote == "unsure" else vote == "yes", quorum)

async def main(args):
    votes = await parallel([agent(f"vote {n}") for n in range(3)], on_error="return")
    return [
        patterns.majority(votes, lambda vote: vote == "yes", 2), majority(iter(votes), lambda vote: vote == "yes", 1),
        decided(["yes", "unsure", None], None), decided(["yes", "no", "no", ValueError("x")], 3),
    ]
"""


def test_it_works_in_a_workflow_where_an_error_of_the_engine_abstains(child: ForkServer) -> None:
    ran = child.script(IN_A_WORKFLOW).serve(lambda call: "no" if call["p"]["prompt"] == "vote 1" else fault(call))
    assert ran.value == ["unverified", "no", "unverified", "no"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("majority([1], 5)", "'int' object is not callable"),
        ("majority([1], lambda vote: 'yes')", "majority: the test gives True, False, or None"),
        ("majority([1], bool, 0)", "majority: the quorum is a number of votes; it is at least 1, not 0"),
        ("majority(parallel([agent('x')]), bool)", "await"),
    ],
)
def test_a_wrong_use_ends_a_workflow_with_its_line(child: ForkServer, expression: str, message: str) -> None:
    source = f"from vibe_workflows.patterns import majority\nlog('on the way')\nreturn {expression}\n"
    _, said, line = child.script(source).serve(lambda call: "x").error
    assert message in said
    assert line == 3


def test_the_import_is_light_and_public() -> None:
    heavy = ["msgspec", "trio", "asyncio", "RestrictedPython"]
    code = f"import sys, vibe_workflows.patterns; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert all(
        getattr(patterns, name).__doc__ for name in patterns.__all__ if name not in ("Outcome", "Standing", "Verdict")
    )


TYPED = """
from vibe_workflows.patterns import Verdict, majority
from vibe_workflows.script import agent, parallel

async def main() -> Verdict:
    votes = await parallel((agent("x", schema={}) for _ in range(3)), on_error="return")
    if majority(votes, lambda vote: bool(vote["holds"]), quorum=2) == "no":
        return "no"
    return majority([1, None, ValueError()], lambda number: number > 0)
"""


def test_a_type_checker_knows_it() -> None:
    assert "Success" in check_types(TYPED)
    wrong = TYPED.replace("quorum=2", "quorum='2'").replace("number > 0", "str(number)")
    assert check_types(wrong).count(": error:") == 3
