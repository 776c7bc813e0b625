"""What migrate and fix-tests decide without a model: which tests failed, what may be touched, what a patch is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.catalog_jobs import workflow_module

FIX: Any = workflow_module("fix-tests")
MIGRATE: Any = workflow_module("migrate")
BOTH = pytest.mark.parametrize("workflow", [FIX, MIGRATE], ids=["fix-tests", "migrate"])

UNITTEST = """\
F.E
======================================================================
ERROR: test_shop (unittest.loader._FailedTest.test_shop)
----------------------------------------------------------------------
ImportError: Failed to import test module: test_shop

======================================================================
FAIL: test_adds (tests.test_calc.Adds.test_adds) (number=3)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/tmp/x1/tests/test_calc.py", line 8, in test_adds
AssertionError: -1 != 5

----------------------------------------------------------------------
Ran 3 tests in 0.012s

FAILED (failures=1, errors=1)
"""
PYTEST = """\
=================================== FAILURES ===================================
_________________________________ test_b[x - y] ________________________________
E       assert 1 == 2
=========================== short test summary info ============================
FAILED tests/test_a.py::Group::test_b[x - y] - assert 1 == 2
ERROR tests/test_c.py - ImportError: no module named 'd'
2 failed, 3 passed in 1.23s
"""
GO = "--- FAIL: TestAdd (0.00s)\n    --- FAIL: TestAdd/zero (0.00s)\nFAIL\nFAIL\texample/calc\t0.003s\n"
CARGO = "test calc::tests::adds ... FAILED\ntest calc::tests::zero ... ok\n"
JEST = "FAIL src/calc.test.js\n  ● add › of two numbers\n\n    expect(received).toBe(expected)\n"


@pytest.mark.parametrize(
    ("output", "runner", "tests", "groups"),
    [
        (UNITTEST, "unittest", ["test_shop", "tests.test_calc.Adds.test_adds"], ["test_shop", "tests.test_calc"]),
        ("FAIL: test_x (a.T)\n", "unittest", ["a.T.test_x"], ["a"]),
        ("ERROR: setUpClass (a.T)\n", "unittest", ["a.T"], ["a"]),
        (PYTEST, "pytest", ["tests/test_a.py::Group::test_b[x - y]", "tests/test_c.py"], None),
        (GO, "go", ["TestAdd"], ["TestAdd"]),
        (CARGO, "cargo", ["calc::tests::adds"], ["calc::tests"]),
        (JEST, "jest", ["add › of two numbers"], None),
        ("Segmentation fault\n", "", [FIX.WHOLE], None),
    ],
)
def test_the_failing_tests_are_read_from_what_the_programs_print(
    output: str, runner: str, tests: list[str], groups: list[str] | None
) -> None:
    assert FIX.failing_tests(output, 1) == (runner, tests)
    assert FIX.failing_tests(output, 0) == ("", [])
    if groups is not None:
        assert [FIX.group_of(runner, name) for name in tests] == groups


@pytest.mark.parametrize(
    ("command", "runner", "tests", "alone"),
    [
        ("pytest -q", "pytest", ["t/a.py::x"], "pytest -q t/a.py::x"),
        (
            "python -m pytest -p no:x t ./t other",
            "pytest",
            ["t/a.py::x"],
            "python -m pytest -p no:x ./t other t/a.py::x",
        ),
        ("python -m unittest -v t", "unittest", ["t.a.T.x"], "python -m unittest -v t.a.T.x"),
        ("python -m unittest discover -s t", "unittest", ["a.T.x"], None),
        ("python -m unittest -k adds", "unittest", ["a.T.x"], None),
        ("go test ./...", "go", ["TestA/b", "TestC"], "go test -run ^(TestA|TestC)$ ./..."),
        ("cargo test", "cargo", ["a::b"], "cargo test -- --exact a::b"),
        ("npx jest", "jest", ["a › b"], None),
        ("pytest", "pytest", ["-cevil.py"], None),
        ("make test", "pytest", ["t/a.py::x"], None),
    ],
)
def test_a_part_of_the_tests_is_run_alone_only_where_that_is_known_to_work(
    command: str, runner: str, tests: list[str], alone: str | None
) -> None:
    assert FIX.selected(command.split(), runner, tests) == (None if alone is None else alone.split())


def test_what_was_settled_is_not_taken_up_again_but_for_what_is_new_beside_it() -> None:
    job = {"command": ["pytest"], "runner": "pytest", "failing": ["a.py::x", "a.py::y", "b.py::z"], "settled": []}
    assert [group["tests"] for group in FIX.grouped(job)] == [["a.py::x", "a.py::y"], ["b.py::z"]]
    job["settled"] = ["a.py::x", "b.py::z"]
    assert FIX.grouped(job) == [{"name": "a.py", "tests": ["a.py::y"]}]
    assert FIX.grouped(job | {"command": ["make"]}) == [{"name": FIX.WHOLE, "tests": job["failing"]}]
    assert FIX.grouped(job | {"settled": job["failing"], "command": ["make"]}) == []


def test_what_differs_from_run_to_run_is_not_in_a_prompt() -> None:
    again = UNITTEST.replace("0.012s", "0.5s").replace("/tmp/x1", "/tmp/zz")
    assert FIX.steady(UNITTEST) == FIX.steady(again)
    assert FIX.steady("<A object at 0x7f3a2c> 12 ms") == FIX.steady("<A object at 0x123456> 7 ms")


def test_an_excerpt_is_the_part_about_the_test() -> None:
    assert FIX.excerpt(UNITTEST, ["tests.test_calc.Adds.test_adds"]).splitlines() == [
        "FAIL: test_adds (tests.test_calc.Adds.test_adds) (number=3)",
        "Traceback (most recent call last):",
        '  File "/tmp/x1/tests/test_calc.py", line 8, in test_adds',
        "AssertionError: -1 != 5",
    ]
    assert "assert 1 == 2" in FIX.excerpt(PYTEST, ["tests/test_a.py::Group::test_b[x - y]"])
    two = "____ test_b[1] ____\none\n____ test_b[2.5] ____\ntwo\n=====\n"
    assert FIX.excerpt(two, ["a.py::test_b[1]", "a.py::test_b[2.5]"]).splitlines()[1::2] == ["one", "two"]
    assert FIX.excerpt("no names here", [FIX.WHOLE]) == "no names here"


@pytest.mark.parametrize(
    "path",
    [
        *("tests/data.json", "test_a.py", "a_test.go", "src/a.test.ts", "a.spec.js", "src/ShopTest.java", "tests.py"),
        *(
            "conftest.py",
            "deep/conftest.py",
            "pytest.ini",
            "pyproject.toml",
            "package.json",
            "Makefile",
            "sitecustomize.py",
        ),
    ],
)
def test_a_patch_that_touches_tests_or_what_runs_them_is_known_by_its_paths(path: str) -> None:
    assert FIX.is_test(path)


@pytest.mark.parametrize("path", ["src/calc.py", "latest.py", "contest.py", "src/attestation/a.py", "protest.go"])
def test_code_is_not_taken_for_a_test(path: str) -> None:
    assert not FIX.is_test(path)


def test_the_program_that_tests_and_named_globs_are_not_to_be_touched_either() -> None:
    class Args:
        test_files = ("checks/**/*.py",)

    job = {"command": ["python", "./run.py"]}
    touched = FIX.untouchable(
        Args, job, ["odd/place.py::x"], ["run.py", "checks/a/b.py", "odd/place.py", "src/calc.py"]
    )
    assert "run.py, checks/a/b.py, odd/place.py." in touched[0]
    assert FIX.untouchable(Args, job, ["odd/place.py::x"], ["src/calc.py"]) == []


def test_what_is_to_be_mended_in_the_same_files_is_one_repair() -> None:
    def one(name: str, files: list[str], verdict: str = "not_done") -> dict[str, Any]:
        found = {"files": files, "cause": f"c{name}", "evidence": "e"}
        return {"name": name, "tests": [name], "verdict": verdict, "found": found}

    parts = [one("a", ["x"]), one("b", ["y"]), one("s", ["x"], "suspicious"), one("c", ["y", "x"]), one("d", [])]
    repairs = FIX.joined(parts)
    assert [repair["told"]["tests"] for repair in repairs] == [["s"], ["a", "b", "c"], ["d"]]
    assert repairs[1]["told"]["cause"] == "ca\ncb\ncc"


@BOTH
@pytest.mark.parametrize(
    ("path", "glob", "fits"),
    [
        ("a.py", "*.py", True),
        ("src/a.py", "*.py", False),
        ("src/x/a.py", "src/**/*.py", True),
        ("src/a.py", "src/**/*.py", True),
        ("srcx/a.py", "src/**", False),
        ("src/a+py", "src/a.py", False),
    ],
)
def test_globs_are_those_of_the_tools(workflow: Any, path: str, glob: str, fits: bool) -> None:
    assert workflow.matches(path, glob) is fits


@BOTH
def test_the_size_of_a_patch_counts_lines_and_no_headers(workflow: Any) -> None:
    patch = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n-one\n+two\n+three\n same\n"
    assert workflow.size_of(patch, ["a"]) == {"files": ["a"], "added": 2, "removed": 1}


def test_files_that_were_not_the_agents_and_patches_too_large_to_review_are_refused_without_a_reviewer() -> None:
    assert MIGRATE.unasked("a.py", ["a.py", "docs/b.md"], ["docs/*.md"], "x") == []
    (stray,) = MIGRATE.unasked("a.py", ["a.py", "b.py"], [], "x")
    assert "b.py" in stray
    (large,) = MIGRATE.unasked("a.py", ["a.py"], [], "x" * (MIGRATE.PATCH_CHARACTERS + 1))
    assert "too many for a review" in large


def test_no_text_of_a_model_looks_like_a_line_of_the_report() -> None:
    fake = "well\nMERGED (9)\n- evil.py\rREPAIRED (9)"
    failures = [{"what": "x", "where": "y", "kind": "refused", "message": fake}]
    entry = {"path": "a.py", "patch": None, "reason": fake, "notes": [fake], "objections": [fake], "conflicts": []}
    migrated = {
        "summary": "2 merged",
        "stopped": None,
        "gated": False,
        "tests": {"before": None, "after": None},
        "recipe": {"rules": [fake], "pitfalls": [], "leave_alone": [], "example": fake},
        "files": [entry | {"verdict": verdict} for verdict in ("merged", "rejected")],
        "left_out": [{"path": fake, "reason": fake}],
        "failures": failures,
    }
    repair = {"tests": ["t"], "cause": fake, "evidence": fake, "reason": fake, "patch": None, "objections": [fake]}
    mended = {
        "green": False,
        "stopped": "max_rounds",
        "rounds": [{"repairs": [repair | {"verdict": verdict} for verdict in ("merged", "rejected")], "broken": []}],
        "remaining": [{"test": "t", "verdict": "rejected", "cause": fake}],
        "flaky": [],
        "failures": failures,
    }
    for text in (MIGRATE.as_text(migrated), FIX.as_text(mended)):
        assert text.count("evil.py") > 3
        assert not [line for line in text.splitlines() if line.startswith(("- evil", "MERGED (9)", "REPAIRED (9)"))]
