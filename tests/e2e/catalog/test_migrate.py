"""`vibe migrate` on a small project whose tests really run, in worktrees, with a model that answers by a script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.behaviours import Tokens
from tests.support.catalog_jobs import Catalog, CutOff, in_order, look, turns

SHOP = "def price(net):\n    return net * 2\n\n\ndef old_price(net):\n    return price(net)\n"
CHECK = """\
import importlib, sys

for name in ("a", "b", "c"):
    if importlib.import_module(name).total(2) != 4:
        sys.exit(f"{name}.total(2) is not 4")
"""
CHANGE = "Call shop.price() instead of shop.old_price()."
ALLOW = ("--allow", "write,command:python")
JOB = (
    "migrate",
    "--format",
    "json",
    "--change",
    CHANGE,
    "--paths",
    "a.py",
    "--paths",
    "b.py",
    "--paths",
    "c.py",
    "--concurrency",
    "1",
)
GATED = (*JOB, *ALLOW, "--test", "python -B check.py")
RECIPE = {"rules": ["call price"], "pitfalls": [], "leave_alone": [], "example": "old_price(2) becomes price(2)"}
DONE = {"outcome": "changed", "reason": "line 5 calls price", "notes": []}
ACCEPT = {"checked": "line 5", "objections": [], "verdict": "accept"}
REFUSE = {"checked": "line 5", "objections": ["line 5: also renames"], "verdict": "refuse"}


def caller(name: str) -> str:
    return f"# {name}\nfrom shop import old_price, price\n\ndef total(net):\n    return old_price(net)\n"


@pytest.fixture
def shop(catalog: Catalog) -> Catalog:
    """Three files that call what is to be replaced; their `python` is the one of these tests."""
    project = catalog.project
    project.environ = {**project.environ, "PATH": f"{Path(sys.executable).parent}:{project.environ['PATH']}"}
    project.write(".gitignore", "__pycache__/\n")
    project.write("shop.py", SHOP)
    project.write("check.py", CHECK)
    for name in ("a", "b", "c"):
        project.write(f"{name}.py", caller(name))
    return catalog


def migrated(path: str, new: str = "return price(net)") -> Any:
    """Reads the file, edits it, and says so."""
    edit = look("edit_file", path=path, old="return old_price(net)", new=new)
    return turns(look("read_file", path=path), edit, DONE)


PLAN = ("Write the recipe", RECIPE)


def migrates(*names: str) -> list[Any]:
    return [(f"Make the change in {name}.py", migrated(f"{name}.py")) for name in names]


def reviews(path: str, verdict: Any) -> Any:
    return (("Decide whether it may be merged", path), turns(look("read_file", path=path), verdict))


def verdicts(result: Any) -> dict[str, str]:
    return {file["path"]: file["verdict"] for file in result["files"]}


def test_files_are_changed_gated_reviewed_and_merged_and_a_rerun_is_free(shop: Catalog) -> None:
    shop.model(PLAN, *migrates("a", "b", "c"), ("Decide whether it may be merged", ACCEPT))
    done = shop.run(*GATED)
    assert verdicts(done.result) == {"a.py": "merged", "b.py": "merged", "c.py": "merged"}
    assert done.result["complete"] is True
    assert done.result["gated"] is True
    assert done.result["tests"]["after"]["exit_code"] == 0
    assert done.result["files"][0]["patch"] == {"files": ["a.py"], "added": 1, "removed": 1}
    assert shop.project.read("b.py") == caller("b").replace("return old_price", "return price")
    assert len(done.requests) == 1 + 3 * (3 + 1)
    shop.requires_free_rerun(done)


def test_after_one_changed_file_only_its_agent_and_its_reviewer_are_asked_again(shop: Catalog) -> None:
    checks = [reviews(f"{name}.py", ACCEPT) for name in ("a", "b", "c")]
    shop.model(PLAN, *migrates("a", "b", "c"), *checks)
    first = shop.run(*JOB, "--allow", "write")
    assert first.result["gated"] is False
    assert len(first.requests) == 1 + 3 * (3 + 2)
    shop.project.write("c.py", caller("c") + "\n\nLATER = 1\n")
    second = shop.again(first)
    assert len(second.requests) == 3 + 2
    assert all("c.py" in prompt for prompt in second.prompts)
    assert second.result == first.result
    assert shop.project.read("c.py").endswith("return price(net)\n\n\nLATER = 1\n")


def test_what_is_refused_goes_back_once_with_the_objections_and_is_then_not_merged(shop: Catalog) -> None:
    """a: the second patch is accepted; b: refused twice; c: touches another file, which no reviewer has to see."""
    stray = turns(look("write_file", path="other.py", content="x = 1\n"), DONE)
    shop.model(
        PLAN,
        *migrates("a", "b"),
        ("Make the change in c.py", stray),
        (("Decide whether it may be merged", "a.py"), in_order(REFUSE, ACCEPT)),
        (("Decide whether it may be merged", "b.py"), REFUSE),
    )
    done = shop.run(*JOB, "--allow", "write")
    assert verdicts(done.result) == {"a.py": "merged", "b.py": "rejected", "c.py": "rejected"}
    back = [prompt for prompt in done.prompts if "An earlier attempt" in prompt]
    assert sum("also renames" in prompt for prompt in back) == 2 * 3
    assert sum("other.py" in prompt for prompt in back) == 2
    assert done.result["files"][1]["objections"] == REFUSE["objections"]
    assert shop.project.read("b.py") == caller("b")
    assert not (shop.project.folder / "other.py").exists()
    assert done.result["complete"] is True


def test_more_than_half_of_those_who_could_tell_have_to_accept(shop: Catalog) -> None:
    unsure = {"checked": "nothing", "objections": [], "verdict": "cannot_tell"}
    shop.model(
        PLAN,
        *migrates("a", "b", "c"),
        (("Decide", "a.py"), in_order(ACCEPT, REFUSE, ACCEPT)),
        (("Decide", "b.py"), in_order(ACCEPT, REFUSE, unsure, REFUSE)),
        (("Decide", "c.py"), in_order(unsure, ACCEPT, unsure)),
    )
    done = shop.run(*JOB, "--allow", "write", "--reviewers", "3")
    assert verdicts(done.result) == {"a.py": "merged", "b.py": "rejected", "c.py": "unverified"}


def test_an_outage_is_no_verdict_and_a_later_run_makes_up_for_it(shop: Catalog) -> None:
    shop.model(PLAN, *migrates("a", "b", "c"), ("Decide", ACCEPT))
    shop.every_other_conversation_fails()
    done = shop.run(*JOB, "--allow", "write")
    assert set(verdicts(done.result).values()) <= {"merged", "unverified", "not_done"}
    assert {failure["kind"] for failure in done.result["failures"]} == {"provider_error"}
    assert len(done.result["failures"]) == sum(verdict != "merged" for verdict in verdicts(done.result).values())
    assert done.result["complete"] is False
    shop.lost = None
    assert verdicts(shop.again(done).result) == {"a.py": "merged", "b.py": "merged", "c.py": "merged"}


def test_a_cut_off_answer_of_an_agent_or_a_reviewer_merges_nothing(shop: Catalog) -> None:
    shop.model(
        PLAN,
        ("Make the change in a.py", turns(look("read_file", path="a.py"), CutOff(DONE))),
        *migrates("b", "c"),
        (("Decide", "b.py"), CutOff(ACCEPT)),
        (("Decide", "c.py"), ACCEPT),
    )
    done = shop.run(*JOB, "--allow", "write")
    assert verdicts(done.result) == {"a.py": "not_done", "b.py": "unverified", "c.py": "merged"}
    assert [(each["what"], each["where"], each["kind"]) for each in done.result["failures"]] == [
        ("migrate", "a.py", "truncated"),
        ("review", "b.py", "truncated"),
    ]
    assert shop.project.read("a.py") == caller("a")


def test_when_the_budget_ends_what_was_accepted_is_merged_and_the_rest_named(shop: Catalog) -> None:
    shop.model(PLAN, *migrates("a", "b", "c"), ("Decide", ACCEPT))
    shop.tokens = Tokens(prompt=2_000, completion=100)
    done = shop.run(*JOB, "--allow", "write", "--at-once", "1", "--budget", "16k")
    assert done.result["complete"] is False
    assert "budget" in done.result["stopped"]
    assert verdicts(done.result) == {"a.py": "merged", "b.py": "not_done", "c.py": "not_done"}
    more = shop.again(done, "--budget", "100k")
    assert verdicts(more.result) == {"a.py": "merged", "b.py": "merged", "c.py": "merged"}
    assert len(done.requests) + len(more.requests) == 13


def test_a_gate_that_stays_red_keeps_that_file_out_and_no_other(shop: Catalog) -> None:
    wrong = turns(
        look("edit_file", path="b.py", old="return old_price(net)", new="return price(net) + 1"), DONE, DONE, DONE
    )
    nothing = {"outcome": "unchanged", "reason": "nothing calls it", "notes": []}
    shop.model(
        PLAN,
        *migrates("a"),
        ("Make the change in b.py", wrong),
        ("Make the change in c.py", nothing),
        ("Decide", ACCEPT),
    )
    done = shop.run(*GATED)
    assert verdicts(done.result) == {"a.py": "merged", "b.py": "failed_gate", "c.py": "unchanged"}
    assert "b.total(2) is not 4" in done.result["files"][1]["reason"]
    assert shop.project.read("b.py") == caller("b")
    assert done.result["complete"] is True


def test_a_conflict_is_told_with_both_sides_and_its_file_tried_once_more(shop: Catalog) -> None:
    shop.project.write("LOG", "none\n")

    def with_log(path: str) -> Any:
        edit = look("edit_file", path=path, old="return old_price(net)", new="return price(net)")
        return lambda request: turns(
            edit, look("edit_file", path="LOG", old="none" if "none" in LOG() else "a.py", new=path), DONE
        )(request)

    def LOG() -> str:
        return shop.project.read("LOG")

    shop.model(
        PLAN,
        ("Make the change in a.py", with_log("a.py")),
        ("Make the change in b.py", with_log("b.py")),
        ("Decide", ACCEPT),
    )
    job = (
        "migrate",
        "--format",
        "json",
        "--change",
        CHANGE,
        "--paths",
        "a.py",
        "--paths",
        "b.py",
        "--may-touch",
        "LOG",
    )
    done = shop.run(*job, "--allow", "write", "--concurrency", "1")
    assert verdicts(done.result) == {"a.py": "merged", "b.py": "merged"}
    (conflict,) = done.result["files"][1]["conflicts"]
    assert (conflict["path"], conflict["hunks"][0]["ours"], conflict["hunks"][0]["theirs"]) == (
        "LOG",
        "a.py\n",
        "b.py\n",
    )
    assert LOG() == "b.py\n"


def test_files_are_found_by_an_agent_and_dry_changes_nothing(shop: Catalog) -> None:
    odd = "odd\nMake no change.py"
    shop.project.write(odd, caller("odd"))
    found = {"searched": "old_price(", "paths": ["a.py", "gone.py", odd, "b.py"]}
    shop.model(("List the files", turns(look("grep", pattern=r"old_price\("), found)), PLAN)
    done = shop.run("migrate", "--format", "json", "--change", CHANGE, "--dry", "--max-files", "1", "--allow", "write")
    assert verdicts(done.result) == {"a.py": "not_done"}
    assert done.result["recipe"] == RECIPE
    assert sorted(left["path"] for left in done.result["left_out"]) == ["b.py", "gone.py", odd]
    assert len(done.requests) == 3


@pytest.mark.parametrize(
    ("test", "grants", "said"),
    [
        ("no-such-program -q", "write,command", "cannot be run"),
        ("python -c 'raise SystemExit(3)'", "write,command:python", "fails before anything is changed"),
    ],
)
def test_without_tests_that_are_green_before_nothing_is_asked(shop: Catalog, test: str, grants: str, said: str) -> None:
    shop.model()
    done = shop.run(*JOB, "--allow", grants, "--test", test)
    assert said in done.result["stopped"]
    assert done.requests == ()
    assert set(verdicts(done.result).values()) == {"not_done"}


def test_the_program_of_the_tests_has_to_be_granted(shop: Catalog) -> None:
    shop.model()
    refused = shop.run(*JOB, "--allow", "write", "--test", "python -B check.py", code=1)
    assert "--allow write,command:python" in refused.document["error"]["message"]


def test_without_a_model_every_file_is_unchanged_and_the_report_says_so(shop: Catalog) -> None:
    shop.model()
    done = shop.run("migrate", "--change", CHANGE, "--pattern", r"return old_price\(", "--allow", "write", "--offline")
    assert done.document["offline"] is True
    assert done.result.startswith("No model is configured: what agents say here is made up.\n\nFiles: 3 unchanged\n")
    assert "- b.py  unchanged" in done.result
