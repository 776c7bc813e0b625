"""Which file a name means."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vibe_workflows.catalog.discovery import BUILTIN_FOLDER, Origin, discover, read_source, workflow_name
from vibe_workflows.engine.errors import TrustNeeded, WorkflowError
from vibe_workflows.engine.trust import TrustKind, TrustStore

from .conftest import House

Put = Callable[[str], Path]


def trusts_nothing(path: Path, content: bytes) -> bool:
    return False


def test_the_nearer_workflow_wins_and_knows_what_it_hides(house: House, builtins: Put) -> None:
    near = house.write(".vibe/workflows/a_b.py")
    far = house.write("workflows/a-b.py")
    user, built = house.write("~a_b.py"), builtins("a_b.py")
    house.write("~mine.py")
    found = discover(house.settings()).workflows
    assert list(found) == ["a-b", "mine"]
    assert found["a-b"].path == near
    assert [hidden.path for hidden in found["a-b"].hides] == [far, user, built]
    assert found["a-b"].needs_trust
    assert found["mine"].origin is Origin.USER
    assert not found["mine"].needs_trust


def test_a_users_workflow_may_hide_a_built_in_one_and_a_projects_its_own(house: House, builtins: Put) -> None:
    builtins("x.py")
    house.write("~x.py")
    house.write(".vibe/workflows/y.py")
    house.write("workflows/y.py")
    found = discover(house.settings()).workflows
    assert not found["x"].needs_trust
    assert not found["y"].needs_trust


def test_a_taken_name_runs_only_once_its_content_is_trusted(house: House, builtins: Put) -> None:
    built = builtins("audit.py")
    file = house.write("workflows/audit.py", "return 'mine'\n")
    settings = house.settings()
    catalog, store = discover(settings), TrustStore(settings.state_dir)

    def trusts(path: Path, content: bytes) -> bool:
        return store.trusts(TrustKind.WORKFLOW, path, content)

    with pytest.raises(TrustNeeded) as caught:
        catalog.load("audit", house.project, trusts)
    assert caught.value.message == (
        f"{file} takes the name of a built-in workflow, `audit`; read it and run `vibe trust` to let it have that "
        f"name, or run either by its path (the other one is {built})"
    )
    assert catalog.load("workflows/audit.py", house.project, trusts).text == "return 'mine'\n"
    store.grant(TrustKind.WORKFLOW, file, read_source(catalog.workflows["audit"]).digest)
    assert catalog.load("audit", house.project, trusts).file.path == file
    file.write_text("return 'changed'\n")
    with pytest.raises(TrustNeeded):
        catalog.load("audit", house.project, trusts)


def test_a_project_that_switches_built_ins_off_does_not_own_their_names(house: House, builtins: Put) -> None:
    for name in ("audit.py", "other.py", "third_one.py"):
        builtins(name)
    house.write("workflows/audit.py")
    house.write("vibe.yaml", "catalog: {hide: [third_one, audit]}\n")
    found = discover(house.settings()).workflows
    assert list(found) == ["audit", "other"]
    assert discover(house.settings()).switched_off == ("third-one",)
    assert found["audit"].needs_trust
    house.write("vibe.yaml", "catalog: {builtin: false}\n")
    found = discover(house.settings()).workflows
    assert list(found) == ["audit"]
    assert found["audit"].needs_trust


def test_configured_folders_belong_to_the_project_or_the_user(house: House, builtins: Put) -> None:
    house.write("tools/flows/one.py")
    (house.home / "flows").mkdir()
    (house.home / "flows" / "two.py").write_text("return 2\n")
    house.write("vibe.yaml", "workflows: [tools/flows, workflows]\n")
    (house.user_flows.parent / "config.yaml").write_text("workflows: [~/flows]\n")
    found = discover(house.settings()).workflows
    assert (found["one"].origin, found["two"].origin) == (Origin.PROJECT, Origin.USER)
    assert found["one"].hides == ()


def test_what_cannot_be_a_command_is_skipped_with_a_reason(house: House, builtins: Put) -> None:
    house.write("workflows/a-b.py")
    house.write("workflows/a_b.py")
    house.write("workflows/ok 2.py")
    house.write("workflows/_private.py")
    house.write("workflows/notes.txt")
    (house.project / "workflows" / "folder.py").mkdir()
    (house.project / "workflows" / "gone.py").symlink_to("nowhere")
    catalog = discover(house.settings())
    assert list(catalog.workflows) == ["a-b"]
    assert {skipped.path.name: skipped.reason.partition(";")[0] for skipped in catalog.skipped} == {
        "a_b.py": "`a-b` is a-b.py already (`-` and `_` are the same)",
        "ok 2.py": "its name is no command's: letters, digits, `-` and `_` are",
        "folder.py": "not a regular file",
        "gone.py": "not a regular file",
    }


def test_a_file_that_cannot_be_a_workflow_costs_the_others_of_its_folder_nothing(house: House, builtins: Put) -> None:
    house.write("workflows/good.py")
    folder = house.project / "workflows"
    (folder / "circle.py").symlink_to("circle.py")
    os.mkfifo(folder / "pipe.py")
    os.close(os.open(os.fsencode(folder) + b"/caf\xe9.py", os.O_CREAT | os.O_WRONLY))
    catalog = discover(house.settings())
    assert list(catalog.workflows) == ["good"]
    assert sorted(skipped.reason.partition(";")[0] for skipped in catalog.skipped) == [
        "cannot be read: Too many levels of symbolic links",
        "its name is no command's: letters, digits, `-` and `_` are",
        "not a regular file",
    ]


def test_a_projects_link_out_of_it_is_no_name_of_a_workflow(house: House, builtins: Put) -> None:
    outside = house.home / "other.py"
    outside.write_text("return 1\n")
    house.write("workflows/real.py")
    (house.project / "workflows/out.py").symlink_to(outside)
    (house.project / "workflows/in.py").symlink_to("real.py")
    (house.project / ".vibe").mkdir(exist_ok=True)
    (house.project / ".vibe/workflows").symlink_to(house.home)
    catalog = discover(house.settings())
    assert list(catalog.workflows) == ["in", "real"]
    told = f"a link out of the project, to {outside}; run it by its path, or name its folder in your own config"
    assert [(skipped.path.name, skipped.reason) for skipped in catalog.skipped] == [
        ("other.py", told),
        ("out.py", told),
    ]
    house.user_flows.mkdir(parents=True, exist_ok=True)
    (house.user_flows / "mine.py").symlink_to(outside)
    assert discover(house.settings()).workflows["mine"].origin is Origin.USER


def test_a_name_is_resolved_whichever_dash_it_is_written_with(house: House, builtins: Put) -> None:
    house.write("workflows/one_two.py")
    catalog = discover(house.settings())
    assert catalog.resolve("one-two", house.project) is catalog.resolve("one_two", house.project)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("reviw", "no workflow is named `reviw`; did you mean `review`?"),
        ("zzz", "no workflow is named `zzz`; `vibe list` shows all"),
        ("find bugs in src", "what is run is a workflow, and no prompt; to ask one agent, run a script of one line"),
        ("src", "src: a folder; name a workflow file in it"),
        ("loose", "no workflow is named `loose`; did you mean the file `loose.py`?"),
        ("README", "README: a workflow is a Python file; rename it to `README.py`"),
        ("workflows/reviw.py", "reviw.py: no such file; did you mean `review.py`?"),
        ("src/x.py", "x.py: no such file: no Python file lies in"),
        ("nowhere/x.py", "x.py: no such file: there is no folder"),
        ("src/", "src: a folder; name a workflow file in it"),
        ("./README", "a workflow is a Python file, and its name ends in `.py`"),
        ("folder.py", "folder.py: a folder"),
        ("latin.py", "latin.py:2: not UTF-8 text; save the file as UTF-8"),
        ("large.py", "larger than 1 MB"),
        ("endless.py", "not a regular file; use `vibe run -`"),
    ],
)
def test_what_cannot_be_run_is_named_with_the_next_move(house: House, builtins: Put, given: str, message: str) -> None:
    house.write("workflows/review.py")
    house.write("loose.py")
    house.write("README")
    (house.project / "src").mkdir()
    (house.project / "folder.py").mkdir()
    (house.project / "latin.py").write_bytes(b"x = 1\ny = '\xe9'\n")
    house.write("large.py", "#" * (1024 * 1024 + 1))
    (house.project / "endless.py").symlink_to("/dev/zero")
    with pytest.raises(WorkflowError) as caught:
        discover(house.settings()).load(given, house.project, trusts_nothing)
    assert message in caught.value.message


def test_a_file_that_cannot_be_read_says_why(house: House, builtins: Put) -> None:
    (house.project / "circle.py").symlink_to("circle.py")
    with pytest.raises(WorkflowError, match="cannot be read: Too many levels of symbolic links"):
        discover(house.settings()).load("./circle.py", house.project, trusts_nothing)


def test_a_byte_order_mark_is_no_part_of_the_text(house: House, builtins: Put) -> None:
    (house.project / "bom.py").write_bytes(b"\xef\xbb\xbfreturn 1\n")
    assert discover(house.settings()).load("./bom.py", house.project, trusts_nothing).text == "return 1\n"


def test_the_built_in_folder_ships_multi_review(house: House) -> None:
    found = discover(house.settings()).workflows[workflow_name("multi_review")]
    assert found.origin is Origin.BUILTIN
    assert found.path.parent == BUILTIN_FOLDER
