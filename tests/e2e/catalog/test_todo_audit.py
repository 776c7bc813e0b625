"""todo-audit: what it takes for a note, whose it is, and that a model is asked only where that was wanted."""

from __future__ import annotations

import pytest

from tests.support.catalog_jobs import Catalog, CutOff
from vibe_workflows.catalog.discovery import BUILTIN_FOLDER

TAX = """\
\"\"\"Taxes: the TODO list is elsewhere.\"\"\"
# TODO(alice): add VAT, see #12
def tax(x):
    return x * 0.2  # FIXME rounding, https://tracker.example/7.
MARKERS = ["TODO", "FIXME"]
"""
JS = "// HACK @bob: works on my machine\n/* TODO(ABC-44, carol) clean up UTF-8 */\n - [ ] XXX later\n"
TRIAGE = {
    "summary": "One note matters.",
    "items": [
        {"path": "src/tax.py", "line": 4, "priority": "high", "reason": "money is lost"},
        {"path": "src/tax.py", "line": 400, "priority": "high", "reason": "there is no such note"},
    ],
}


@pytest.fixture
def audited(catalog: Catalog) -> Catalog:
    catalog.project.write("src/tax.py", TAX)
    catalog.project.write("web/a.js", JS)
    catalog.project.write(".gitignore", "build/\n")
    catalog.project.write("build/made.py", "# TODO never seen\n")
    return catalog


def test_notes_are_told_from_mentions_with_owner_and_links_and_a_changed_file_shows(audited: Catalog) -> None:
    first = audited.run("todo-audit", "--format", "json")
    assert first.result["total"] == 5
    assert first.result["mentions"] == 2
    notes = {
        f"{file['path']}:{note['line']}": (note["marker"], note["owner"], note["links"], note["text"])
        for file in first.result["files"]
        for note in file["notes"]
    }
    assert notes == {
        "src/tax.py:2": ("TODO", "alice", ["#12"], "add VAT, see #12"),
        "src/tax.py:4": ("FIXME", None, ["https://tracker.example/7"], "rounding, https://tracker.example/7."),
        "web/a.js:1": ("HACK", "bob", [], "works on my machine"),
        "web/a.js:2": ("TODO", "carol", ["ABC-44"], "clean up UTF-8"),
        "web/a.js:3": ("XXX", None, [], "later"),
    }
    assert first.result["by_folder"] == {"web": 3, "src": 2}
    assert (first.result["unowned"], first.result["unlinked"]) == (2, 2)
    audited.requires_free_rerun(first)
    audited.project.write("src/new.py", "# TODO: one more\n")
    assert audited.again(first).result["by_folder"] == {"web": 3, "src": 3}
    assert audited.project.model.requests == []


def test_the_text_lists_files_and_says_what_it_leaves_out(audited: Catalog) -> None:
    text = audited.run("todo-audit", "--limit", "4").result
    assert text.splitlines()[:2] == [
        "5 notes in 2 folders below .: TODO 2, FIXME 1, HACK 1, XXX 1",
        "2 without an owner, 2 without a link to an issue",
    ]
    assert "      2  TODO(carol, ABC-44) clean up UTF-8\n" in text
    assert "never seen" not in text
    assert text.endswith("1 note more: raise --limit, or take --format json")
    assert "src/tax.py" not in audited.run("todo-audit", "--only", "unowned", "--path", "web").result
    assert audited.run("todo-audit", "--path", "build").result.startswith("1 note in 1 folder below build: TODO 1\n")


def test_notes_without_an_owner_end_it_where_that_was_asked(audited: Catalog) -> None:
    ran = audited.run("todo-audit", "--fail-on", "unowned", code=1)
    assert "2 notes without an owner:\n  src/tax.py:4: FIXME rounding" in ran.err
    audited.run("todo-audit", "--fail-on", "unowned", "--markers", '["HACK"]')


def test_a_triage_drops_what_it_invents_and_its_failure_costs_the_triage_alone(audited: Catalog) -> None:
    audited.model(("You triage the notes", TRIAGE))
    told = audited.run("todo-audit", "--triage", "true")
    assert told.result.endswith("Triage: One note matters.\n  high    src/tax.py:4  money is lost")
    audited.requires_free_rerun(told)

    audited.model(("You triage the notes", CutOff(TRIAGE)))
    cut = audited.run("todo-audit", "--triage", "true", "--format", "json", "--fresh").result
    assert (cut["total"], cut["triage"], cut["failures"][0]["kind"]) == (5, None, "truncated")
    spent = audited.run("todo-audit", "--triage", "true", "--format", "json", "--fresh", "--budget", "200").result
    assert (spent["total"], spent["triage"], spent["failures"][0]["kind"]) == (5, None, "budget_exceeded")


def test_it_audits_the_catalog_itself(audited: Catalog) -> None:
    audited.project.write("own.py", (BUILTIN_FOLDER / "todo_audit.py").read_text())
    assert audited.run("todo-audit", "--path", "own.py", "--format", "json").result["total"] == 0
