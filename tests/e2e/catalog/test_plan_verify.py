"""plan-verify on a small shop, with a model whose answers follow from what it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.catalog_jobs import Catalog, CutOff, Line, look, turns
from tests.support.exchanges import SeenRequest
from tests.support.field_project import prompt_of

PLAN = ("plan-verify", "--goal", "Prices are cents.", "--perspectives", "simplest,safest", "--format", "json")
FORGOTTEN = "The cart shows totals as they are, so it shows cents."
CART = "def show(cart):\n    return total(cart)\n"


def step(name: str, detail: str, path: str, change: str = "modify", **further: Any) -> dict[str, Any]:
    made = {
        "id": name,
        "title": f"Do {name}.",
        "detail": detail,
        "files": [{"path": path, "change": change}],
        "depends_on": [],
        "premises": [],
        "check": "`make test` is green",
        "risk": "low",
        "risk_reason": "little",
        "size": "S",
    }
    return made | further


def premise(kind: str, name: str, path: str = "") -> dict[str, str]:
    return {"kind": kind, "name": name, "path": path}


def plan(approach: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"approach": approach, "steps": list(steps), "out_of_scope": []}


SEEN = [premise("symbol", "total()", "src/shop.py"), premise("command", "make test"), premise("behaviour", "it adds")]
BROKEN = plan(
    "merged",
    step(
        "callers",
        "left as it was",
        "src/cart.py",
        depends_on=["cents"],
        premises=[premise("symbol", "draw", "src/cart.py")],
    ),
    step("cents", "whole numbers", "src/shop.py", premises=SEEN),
    step("docs", "say so", "docs/prices.md"),
)
MENDED = plan(
    "merged",
    step(
        "callers",
        "divide by 100",
        "src/cart.py",
        depends_on=["cents"],
        premises=[premise("symbol", "show", "src/cart.py")],
    ),
    step("cents", "whole numbers", "src/shop.py", premises=SEEN),
    step("docs", "say so", "docs/prices.md", "create", depends_on=["cents"]),
)


def objection(text: str, quote: str = "return total(cart)", *, blocking: bool = True) -> dict[str, Any]:
    return {"objection": text, "blocking": blocking, "path": "src/cart.py", "quote": quote}


def vote(verdict: str) -> dict[str, str]:
    return {"reason": f"it {verdict}", "verdict": verdict}


def safest_is_better(request: SeenRequest) -> dict[str, str]:
    prompt = prompt_of(request)
    return {
        "reason": "r",
        "better": "first" if prompt.index("safe") < prompt.index("small") else "second",
        "take_over": "",
    }


CHECK_CALLERS = ("Test one step", "What does it break", '"id": "callers"')
CONVERSATION: tuple[Line, ...] = (
    (
        ("Draft a plan", "smallest change"),
        turns(look("read_file", path="src/shop.py"), plan("small", step("a", "b", "c"))),
    ),
    (("Draft a plan", "go wrong least"), plan("safe", step("a", "b", "c"))),
    ("Which of two plans", safest_is_better),
    ("Of several plans", BROKEN),
    ((*CHECK_CALLERS, "left as it was"), turns(look("read_file", path="src/cart.py"), [objection(FORGOTTEN)])),
    ("Test one step", []),
    ("Test a whole plan", []),
    (("Somebody objects", FORGOTTEN), vote("holds")),
    ("was tested against the code", MENDED),
)


@pytest.fixture
def shop(catalog: Catalog) -> Catalog:
    catalog.project.write("src/shop.py", "def total(prices):\n    return sum(prices)\n")
    catalog.project.write("src/cart.py", CART)
    catalog.project.write("Makefile", "test:\n\tpytest\n")
    catalog.model(*CONVERSATION)
    return catalog


def texts(objections: list[dict[str, Any]]) -> list[str]:
    return [each["objection"] for each in objections]


def test_a_plan_is_tested_against_the_code_and_revised_until_nothing_stands(shop: Catalog) -> None:
    first = shop.run(*PLAN)
    result = first.result
    (merge,) = (prompt for prompt in first.prompts if "Of several plans" in prompt)
    assert merge.index('"safe"') < merge.index('"small"'), "the winner is the preferred plan"
    assert [each["id"] for each in result["items"]] == ["cents", "callers", "docs"]
    assert [each["seen"] for each in result["items"][0]["premises"]] == ["yes", "yes", "not_checked"]
    assert texts(result["objections"]["resolved"]) == [
        "would modify docs/prices.md, which is not there",
        "takes `draw` for granted: src/cart.py has it not",
        FORGOTTEN,
    ]
    votes = {"holds": 2, "refuted": 0, "abstained": 0}
    assert result["objections"]["resolved"][2]["votes"] == votes, "a third vote could not turn it"
    assert (result["ready"], result["complete"], result["revisions"], result["failures"]) == (True, True, 1, [])
    assert not any('"seen"' in prompt for prompt in first.prompts), "what the script saw would change prompts"
    tested_again = [prompt for prompt in first.prompts if "Test one step" in prompt and '"id": "cents"' in prompt]
    assert len(tested_again) == 2, "a step that was not revised is not tested again"
    shop.requires_free_rerun(first)
    text = shop.run(*(each for each in PLAN if each not in ("--format", "json")))
    assert text.requests == ()
    assert "**Ready**" in text.result
    assert "## 2. Do callers." in text.result

    shop.project.write("src/cart.py", f"# The cart.\n{CART}")
    again = shop.again(first)
    assert len(again.requests) == 2, "only the checker who read it is asked, in two turns"
    assert all("What does it break" in prompt and '"callers"' in prompt for prompt in again.prompts)
    assert again.result == result


def test_sceptics_who_disagree_and_objections_that_nobody_could_verify(shop: Catalog) -> None:
    doubts = ("Follow the code", "Follow the plan", "Follow the consequence")
    votes = {
        "refuted": ("refuted", "holds", "refuted"),
        "stands": ("holds", "cannot_tell", "holds"),
        "open": ("holds", "cannot_tell", "cannot_tell"),
    }
    raised = [objection(f"It is {name}.") for name in votes]
    lines = [
        (("Somebody objects", f"It is {name}.", doubt), vote(verdict))
        for name, verdicts in votes.items()
        for doubt, verdict in zip(doubts, verdicts, strict=True)
    ]
    made_up, taste = objection("It is made up.", "return nothing"), objection("It is ugly.", blocking=False)
    hostile = [objection(f"It is in {path!r}.") | {"path": path} for path in ("", "../../etc/passwd", "a\0b")]
    shop.model(
        *lines,
        ("Of several plans", MENDED),
        (CHECK_CALLERS, raised),
        ("Test a whole plan", [made_up, taste, *hostile[:2]]),
        (("Test one step", '"id": "docs"'), hostile[2:]),
        *CONVERSATION,
    )
    result = shop.run(*PLAN, "--rounds", "0").result
    found = result["objections"]
    assert texts(found["standing"]) == ["It is stands."]
    assert texts(found["refuted"]) == ["It is refuted."]
    lost = "what it quotes does not stand in that file"
    assert {each["objection"]: each["why"] for each in found["unverified"]} == {
        **{each["objection"]: lost for each in hostile},
        "It is open.": "too few sceptics could judge it",
        "It is made up.": lost,
        "It is ugly.": "not blocking, so nobody was asked",
    }
    assert result["items"][1]["objections"] == ["It is stands.", "It is open."]
    assert (result["ready"], result["complete"]) == (False, True)


def test_who_fails_or_is_cut_off_has_not_judged(shop: Catalog) -> None:
    shop.fails_where("Somebody objects", ("Test one step", '"id": "docs"'))
    failed = shop.run(*PLAN, "--rounds", "0")
    found = failed.result["objections"]
    assert texts(found["unverified"]) == [FORGOTTEN]
    assert found["unverified"][0]["votes"]["abstained"] == 3
    assert found["refuted"] == []
    assert {each["step"] for each in failed.result["unchecked"]} == {"docs"}
    assert (failed.result["ready"], failed.result["complete"]) == (False, False)

    shop.model(("Of several plans", CutOff(BROKEN)), ("Test a whole plan", CutOff([])), *CONVERSATION)
    cut = shop.run(*PLAN, "--rounds", "0", "--fresh").result
    assert {each["kind"] for each in cut["failures"]} == {"truncated"}
    assert cut["approach"] == "safe", "without a merge the preferred draft is the plan"
    assert {"step": "", "by": "gaps"} in cut["unchecked"]

    shop.model(*CONVERSATION)
    shop.every_other_conversation_fails()
    half = shop.run(*PLAN, "--concurrency", "1", "--fresh").result
    assert half["failures"]
    assert (half["ready"], half["complete"], half["objections"]["refuted"]) == (False, False, [])

    shop.fails_where("Draft a plan")
    none = shop.run(*PLAN, "--fresh").result
    assert (none["items"], none["ready"]) == ([], False)
    assert none["left_out"] == ["nobody could draft a plan"]


def test_a_budget_that_ends_leaves_a_plan_that_is_not_ready(shop: Catalog) -> None:
    stopped = shop.run(*PLAN, "--budget", "steps=12")
    assert (stopped.result["ready"], stopped.result["complete"]) == (False, False)
    assert "step needed" in stopped.result["left_out"][0]
    assert stopped.result["unchecked"]
    assert len(stopped.result["items"]) == 3
    whole = shop.again(stopped, "--budget", "steps=100")
    assert whole.result["ready"] is True
    assert not set(stopped.prompts) & set(whole.prompts)


def test_without_a_model_it_is_not_ready(shop: Catalog) -> None:
    offline = shop.run(*PLAN, "--offline").result
    assert (offline["ready"], offline["complete"]) == (False, False)
