"""vibe list as a person reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.command import FLOW, CommandHere
from vibe_workflows.catalog.discovery import Origin, SkippedFile, WorkflowFile
from vibe_workflows.catalog.metadata import Metadata, MetadataProblem
from vibe_workflows.cli.answers import ListedWorkflow, WorkflowList
from vibe_workflows.cli.render.listing import list_text


def described(name: str, description: str, origin: Origin = Origin.PROJECT) -> ListedWorkflow:
    file = WorkflowFile(name=name, path=Path(f"/p/workflows/{name}.py"), origin=origin)
    return ListedWorkflow(file=file, metadata=Metadata(name=name, description=description))


def shown(*workflows: ListedWorkflow, skipped: tuple[SkippedFile, ...] = (), width: int | None = 80) -> list[str]:
    found = WorkflowList(workflows=workflows, skipped=skipped)
    return list_text(found, width=width, colour=False, cwd=Path("/p")).splitlines()


def test_workflows_stand_by_their_origin_and_the_last_line_says_what_to_type(here: CommandHere) -> None:
    here.command.write("workflows/my_flow.py", FLOW)
    here.command.write("../home/.config/vibe/workflows/daily.py", '"""My own daily."""\nreturn 2\n')
    lines = here("list").stdout.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["Project"],
        ["my-flow", "Asks", "about", "each", "item,", "then", "merges."],
        [],
        ["Yours"],
        ["daily", "My", "own", "daily."],
    ]
    assert lines[6] == "Built-in"
    begins = {len(name) for line in lines for name in re.findall(r"^  \S+ +", line)}
    assert len(begins) == 1, "all descriptions begin in one column"
    assert any(line.startswith("  multi-review ") for line in lines)
    assert lines[-1] == "`vibe my-flow` runs it, `vibe my-flow --help` shows what it takes"


def test_in_an_empty_folder_it_offers_the_built_in_ones_and_a_template(here: CommandHere) -> None:
    lines = here("list").stdout.splitlines()
    assert lines[0] == "Built-in"
    assert lines[-1].endswith("`vibe new NAME` writes one of your own")


def test_what_cannot_run_is_told_with_file_line_and_reason(here: CommandHere) -> None:
    here.command.write("workflows/broken.py", '"""Broken."""\nimport os\nimport sys\n')
    here.command.write("workflows/run.py", "return 1\n")
    here.command.write("workflows/daily.py", "return 1\n")
    here.command.write("workflows/same.py", "return 1\n")
    here.command.write(".vibe/workflows/same.py", "return 1\n")
    here.command.write("workflows/no name.py", "return 1\n")
    (here.project / "workflows/latin.py").write_bytes(b"x = 1\n# \xe9\n")
    here.command.write("../home/.config/vibe/workflows/daily.py", "return 2\n")
    text = here("list").stdout
    assert "Names that are taken (2)\n" in text
    assert (
        "  run is a command of vibe; the workflow of that name is run by its path: vibe run workflows/run.py\n" in text
    )
    assert "  same is .vibe/workflows/same.py, and hides workflows/same.py\n" in text
    lines = text[text.index("Cannot run (4)") :].splitlines()
    assert lines[1] == "  workflows/daily.py: takes a name that is not the project's; `vibe trust` lets it have it"
    assert lines[2].startswith("  workflows/broken.py:2:")
    assert lines[2].endswith("(and 1 more)")
    assert lines[3] == "  workflows/latin.py:2: not UTF-8 text; save the file as UTF-8"
    assert lines[4].startswith("  workflows/no name.py: its name is no command's")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            "catalog:\n  hide: [multi_review]\n",
            "1 built-in workflow is switched off by catalog.hide of vibe.yaml:2: multi-review",
        ),
        ("catalog: {builtin: false}\n", " switched off by catalog.builtin of vibe.yaml:1: "),
    ],
)
def test_built_in_workflows_that_are_switched_off_are_told(here: CommandHere, config: str, told: str) -> None:
    here.command.write("vibe.yaml", config)
    text = here("list").stdout
    assert told in text
    assert "  multi-review  Review" not in text


def test_descriptions_are_cut_at_the_width_and_names_never() -> None:
    long = "word " * 40
    lines = shown(described("a", long), described("b" * 60, long), described("c" * 90, long))
    assert [len(line) for line in lines[1:4]] == [80, 79, 92]
    assert lines[1].startswith("  a" + " " * 29 + "word")
    assert lines[1].endswith("…")
    assert lines[3] == "  " + "c" * 90
    assert shown(described("a", long), width=None)[1] == f"  a  {long.rstrip()}"


def test_many_broken_files_are_counted_and_the_first_ten_shown() -> None:
    broken = [
        described(f"flow-{number:03}", "")._replace(
            problem=f"flow-{number:03}.py:1:1: no", metadata=Metadata(name="x", problems=(MetadataProblem(1, 1, "no"),))
        )
        for number in range(200)
    ]
    lines = shown(*broken, skipped=(SkippedFile(path=Path("/p/workflows/x y.py"), reason="a name"),))
    assert lines[0] == "Cannot run (201)"
    assert lines[1:3] == ["  workflows/flow-000.py:1:1: no", "  workflows/flow-001.py:1:1: no"]
    assert lines[11] == "  and 191 more; `vibe list --json` has all"
    assert len(lines) == 14


def test_a_hostile_description_or_file_name_stays_on_its_line() -> None:
    hostile = "a\x1b[2Jb\nc\u202ed"
    lines = shown(described("a", hostile), skipped=(SkippedFile(path=Path(f"/p/{hostile}.py"), reason=hostile),))
    assert lines[1] == "  a  ab cd"
    assert lines[4] == "  ab cd.py: ab cd"
