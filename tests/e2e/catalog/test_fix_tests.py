"""`vibe fix-tests` on a small project whose tests really run, in worktrees, with a model that answers by a script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.behaviours import Tokens
from tests.support.catalog_jobs import Catalog, CutOff, in_order, look, turns

CALC = "def add(a, b):\n    return a - b\n"
TEXT = "def shout(text):\n    return text.lower()\n"
TEST_CALC = """\
import unittest

from calc import add


class Adds(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(add(2, 3), 5)
"""
TEST_TEXT = """\
import unittest

from text import shout


class Shouts(unittest.TestCase):
    def test_shouts(self):
        self.assertEqual(shout("a"), "A")
"""
RUN = """\
import calc, sys, time
if calc.add(2, 3) != 5:
    sys.exit(f"FAILED tests/test_calc.py::test_adds - it ran for {time.perf_counter()} s")
"""
ALLOW = ("--allow", "write,command:python")
JOB = ("fix-tests", "--format", "json", "--test", "python -B -m unittest", "--concurrency", "1", *ALLOW)
ADDS, SHOUTS = "test_calc.Adds.test_adds", "test_text.Shouts.test_shouts"
DONE = {"outcome": "repaired", "reason": "it subtracted"}
ACCEPT = {"checked": "line 2", "objections": [], "verdict": "accept"}
REFUSE = {"checked": "line 2", "objections": ["line 2: knows the values of the test"], "verdict": "refuse"}


def diagnosis(file: str, wrong: str = "code") -> dict[str, Any]:
    return {"evidence": f"{file}:2", "cause": f"{file} is wrong", "wrong": wrong, "files": [file], "plan": "mend it"}


def edits(path: str, old: str, new: str) -> Any:
    return turns(look("edit_file", path=path, old=old, new=new), DONE, DONE, DONE)


ABOUT_CALC = (("Find out why", ADDS), turns(look("read_file", path="calc.py"), diagnosis("calc.py")))
ABOUT_TEXT = (("Find out why", SHOUTS), turns(look("read_file", path="text.py"), diagnosis("text.py")))
MENDS_CALC = (("Mend the cause", ADDS), edits("calc.py", "a - b", "a + b"))
MENDS_TEXT = (("Mend the cause", SHOUTS), edits("text.py", "lower", "upper"))
ACCEPTED = ("That the tests pass proves nothing", ACCEPT)


@pytest.fixture
def red(catalog: Catalog) -> Catalog:
    """Two modules with a bug each; their `python` is the one of these tests."""
    project = catalog.project
    project.environ = {**project.environ, "PATH": f"{Path(sys.executable).parent}:{project.environ['PATH']}"}
    project.write(".gitignore", "__pycache__/\ncount\n")
    for name, text in (("calc", CALC), ("text", TEXT), ("test_calc", TEST_CALC), ("test_text", TEST_TEXT)):
        project.write(f"{name}.py", text)
    return catalog


def verdicts(result: Any) -> list[list[str]]:
    return [[repair["verdict"] for repair in each["repairs"]] for each in result["rounds"]]


def test_failing_tests_are_diagnosed_repaired_side_by_side_reviewed_and_merged_until_green(red: Catalog) -> None:
    red.model(ABOUT_CALC, ABOUT_TEXT, MENDS_CALC, MENDS_TEXT, ACCEPTED)
    done = red.run(*JOB)
    assert (done.result["green"], done.result["stopped"], done.result["complete"]) == (True, "green", True)
    (only,) = done.result["rounds"]
    assert (only["failing_before"], only["failing_after"], only["broken"]) == ([ADDS, SHOUTS], [], [])
    assert verdicts(done.result) == [["merged", "merged"]]
    assert red.project.read("calc.py") == CALC.replace("-", "+")
    assert red.project.read("text.py") == TEXT.replace("lower", "upper")
    assert len(done.requests) == 2 * (2 + 2 + 1)
    red.requires_free_rerun(done)


def test_what_cheats_is_refused_by_its_paths_or_by_the_reviewer(red: Catalog) -> None:
    weaker = edits("test_calc.py", "add(2, 3), 5", "add(2, 3), -1")
    special = edits("text.py", "return text.lower()", 'return "A"')
    red.model(ABOUT_CALC, ABOUT_TEXT, (MENDS_CALC[0], weaker), (MENDS_TEXT[0], special), (ACCEPTED[0], REFUSE))
    done = red.run(*JOB, "--rounds", "1")
    assert (done.result["green"], done.result["stopped"]) == (False, "max_rounds")
    assert verdicts(done.result) == [["rejected", "rejected"]]
    by_path, by_reviewer = done.result["rounds"][0]["repairs"]
    assert "test_calc.py" in by_path["objections"][0]
    assert by_reviewer["objections"] == REFUSE["objections"]
    assert (red.project.read("test_calc.py"), red.project.read("text.py")) == (TEST_CALC, TEXT)
    assert sum("An earlier repair was refused" in prompt for prompt in done.prompts) == 4
    assert [each["test"] for each in done.result["remaining"]] == [ADDS, SHOUTS]


def test_a_test_that_seems_wrong_is_told_to_the_person_and_the_others_are_mended(red: Catalog) -> None:
    suspicious = (ABOUT_TEXT[0], turns(look("read_file", path="test_text.py"), diagnosis("test_text.py", "test")))
    red.model(ABOUT_CALC, suspicious, MENDS_CALC, ACCEPTED)
    done = red.run(*JOB)
    assert (done.result["green"], done.result["stopped"]) == (False, "nothing_to_repair")
    assert [each["tests"] for each in done.result["suspicious"]] == [[SHOUTS]]
    assert [(each["test"], each["verdict"]) for each in done.result["remaining"]] == [(SHOUTS, "suspicious")]
    assert red.project.read("calc.py") == CALC.replace("-", "+")
    assert red.project.read("test_text.py") == TEST_TEXT
    red.project.write("text.py", TEXT + "\n\nNO_AGENT_READ_THIS = 1\n")
    red.project.write("test_text.py", TEST_TEXT + "\n\nMORE = 1\n")
    readers = red.again(done)
    assert len(readers.requests) == 2, "the two turns of who diagnosed it"
    assert readers.result["suspicious"] == done.result["suspicious"]


def test_reviewers_decide_by_more_than_half_of_those_who_could_tell(red: Catalog) -> None:
    unsure = {"checked": "nothing", "objections": [], "verdict": "cannot_tell"}
    red.model(
        ABOUT_CALC,
        ABOUT_TEXT,
        MENDS_CALC,
        MENDS_TEXT,
        ((ACCEPTED[0], ADDS), in_order(ACCEPT, REFUSE, ACCEPT)),
        ((ACCEPTED[0], SHOUTS), in_order(unsure, ACCEPT, unsure)),
    )
    done = red.run(*JOB, "--reviewers", "3", "--rounds", "1")
    assert verdicts(done.result) == [["merged", "unverified"]]
    assert red.project.read("text.py") == TEXT


def test_a_flaky_test_is_told_apart_and_nobody_is_asked(red: Catalog) -> None:
    red.project.write(
        "run.py",
        "import os, sys\nred = not os.path.exists('count')\nopen('count', 'w').close()\n"
        "if red:\n    sys.exit('FAILED tests/test_a.py::test_now_and_then - sometimes')\n",
    )
    red.model()
    done = red.run("fix-tests", "--format", "json", "--test", "python run.py", *ALLOW)
    assert done.result["green"] is True
    assert done.result["flaky"] == ["tests/test_a.py::test_now_and_then"]
    assert done.requests == ()


def test_a_repair_whose_tests_stay_red_is_tried_otherwise_until_nothing_improves(red: Catalog) -> None:
    red.project.write("run.py", RUN)
    red.model(("Find out why", diagnosis("calc.py")), ("Mend the cause", edits("calc.py", "a - b", "a * b")))
    done = red.run("fix-tests", "--format", "json", "--test", "python -B run.py", *ALLOW)
    assert (done.result["green"], done.result["stopped"]) == (False, "no_progress")
    assert verdicts(done.result) == [["failed_gate"], ["failed_gate"]]
    diagnoses = [prompt for prompt in done.prompts if "Find out why" in prompt]
    assert ["This was tried already" in prompt for prompt in diagnoses] == [False, True]
    assert all("ran for N s" in prompt for prompt in diagnoses), "times would make each run's prompt another one"
    assert red.project.read("calc.py") == CALC


def test_a_repair_that_cannot_be_made_honestly_is_left_to_the_person_with_its_reason(red: Catalog) -> None:
    cannot = {"outcome": "blocked", "reason": "whether it adds or subtracts is for a person to say"}
    red.project.write("run.py", RUN)
    red.model(("Find out why", diagnosis("calc.py")), ("Mend the cause", cannot))
    done = red.run("fix-tests", "--format", "json", "--test", "python -B run.py", *ALLOW)
    assert (done.result["stopped"], verdicts(done.result)) == ("nothing_to_repair", [["blocked"]])
    assert done.result["rounds"][0]["repairs"][0]["reason"] == cannot["reason"]


def test_an_outage_is_no_verdict_and_a_later_run_makes_up_for_it(red: Catalog) -> None:
    red.model(ABOUT_CALC, ABOUT_TEXT, MENDS_CALC, MENDS_TEXT, ACCEPTED)
    red.every_other_conversation_fails()
    done = red.run(*JOB, "--rounds", "1")
    assert done.result["green"] is False
    assert done.result["complete"] is False
    assert {failure["kind"] for failure in done.result["failures"]} == {"provider_error"}
    assert {verdict for each in verdicts(done.result) for verdict in each} <= {"merged", "unverified", "not_done"}
    red.lost = None
    assert red.again(done).result["green"] is True


def test_cut_off_answers_merge_nothing(red: Catalog) -> None:
    red.model(
        ABOUT_CALC,
        (ABOUT_TEXT[0], CutOff(diagnosis("text.py"))),
        MENDS_CALC,
        (ACCEPTED[0], CutOff(ACCEPT)),
    )
    done = red.run(*JOB, "--rounds", "1")
    assert verdicts(done.result) == [["unverified"]]
    assert [(each["what"], each["where"], each["kind"]) for each in done.result["failures"]] == [
        ("diagnose", "test_text", "truncated"),
        ("review", "test_calc", "truncated"),
    ]
    assert [each["verdict"] for each in done.result["remaining"]] == ["unverified", "not_done"]


def test_when_the_budget_ends_what_was_accepted_is_merged_and_the_rest_named(red: Catalog) -> None:
    red.model(ABOUT_CALC, ABOUT_TEXT, MENDS_CALC, MENDS_TEXT, ACCEPTED)
    red.tokens = Tokens(prompt=2_000, completion=100)
    done = red.run(*JOB, "--at-once", "1", "--budget", "18k")
    assert (done.result["green"], done.result["stopped"], done.result["complete"]) == (False, "budget", False)
    assert verdicts(done.result) == [["merged", "not_done"]]
    assert [each["test"] for each in done.result["remaining"]] == [SHOUTS]


def test_without_a_command_that_can_be_run_nothing_is_asked(red: Catalog) -> None:
    red.model()
    gone = red.run("fix-tests", "--format", "json", "--test", "no-such-program", "--allow", "write,command")
    assert (gone.result["green"], gone.result["stopped"]) == (False, "cannot_run")
    denied = red.run("fix-tests", "--format", "json", "--test", "python -m unittest", "--allow", "write", code=1)
    assert "--allow write,command:python" in denied.document["error"]["message"]


def test_without_a_model_the_report_names_the_failing_tests_and_nothing_is_changed(red: Catalog) -> None:
    red.model()
    done = red.run("fix-tests", "--test", "python -B -m unittest", *ALLOW, "--offline")
    assert done.result.startswith(
        "No model is configured: what agents say here is made up.\n\nNot green after 1 round of repairs: "
    )
    assert f"- {SHOUTS}  undiagnosed" in done.result
    assert red.project.read("text.py") == TEXT
