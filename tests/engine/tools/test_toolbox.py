"""Tools by name and group."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.projects import Project
from vibe_workflows.engine.agents.tools.read_file import ReadFile
from vibe_workflows.engine.agents.tools.registry import ToolBox
from vibe_workflows.engine.agents.tools.run_command import RunCommand
from vibe_workflows.engine.errors import SetupError, ToolDenied
from vibe_workflows.engine.ports import Tool


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_group_stands_for_its_tools_and_order_and_repetition_do_not_matter(project: Project) -> None:
    everything = project.tools.select(["read"])
    assert [tool.spec.name for tool in everything] == ["read_file", "list_files", "glob", "grep", "git_diff"]
    assert project.tools.select(["grep", "read", "glob", "grep"]) == everything
    assert [tool.spec.name for tool in project.tools.select(["grep", "read_file"])] == ["read_file", "grep"]
    assert project.tools.select([]) == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gerp",
            r"no tool `gerp`; did you mean `grep`\? tools here: read_file, .*, edit_file; groups: read, write$",
        ),
        ("raed", r"did you mean `read`\?"),
        ("zzz", "no tool `zzz`; tools here"),
        ("write_fiel", r"did you mean `write_file`\?"),
        ("spawn_subagent", "not available in this version"),
        ("web", "`web` is not available in this version"),
    ],
)
def test_an_unknown_tool_is_a_setup_error_that_names_the_nearest(project: Project, name: str, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        project.tools.select(["read", name])
    with pytest.raises(SetupError, match=message):
        project.tools.get(name)


@pytest.mark.parametrize("granted", [(), ("write",), ("reads",), ("write:read",), ("read:src",)])
def test_a_tool_whose_grant_is_missing_is_denied_by_name_and_by_group(
    project: Project, granted: tuple[str, ...]
) -> None:
    tools = ToolBox(project.tools.by_name.values(), granted)
    for use in (lambda: tools.get("grep"), lambda: tools.select(["grep"]), lambda: tools.select(["read"])):
        with pytest.raises(ToolDenied, match=r"needs the grant `read`.*--allow read"):
            use()


def test_a_grant_of_a_part_lets_the_tools_of_its_group_be_used_where_they_know_of_parts(project: Project) -> None:
    class Commanding(ReadFile):
        group = "command"

    tool: Tool = Commanding(project.workspace)
    for granted in ("command", "command:pytest"):
        assert ToolBox([tool], [granted]).get("read_file") is tool
    for granted in ("commands:pytest", "command_", "read"):
        with pytest.raises(ToolDenied):
            ToolBox([tool], [granted]).get("read_file")


def test_writing_is_granted_as_a_whole_or_not_at_all(project: Project) -> None:
    tools = ToolBox(project.tools.by_name.values(), ["read", "write:src"])
    for use in (lambda: tools.get("edit_file"), lambda: tools.select(["write"]), lambda: tools.get("write_file")):
        with pytest.raises(ToolDenied, match="needs the grant `write`"):
            use()
    granted = ToolBox(project.tools.by_name.values(), ["write"])
    assert [tool.spec.name for tool in granted.select(["write"])] == ["write_file", "edit_file"]


@pytest.mark.parametrize(
    ("granted", "held"),
    [
        (["command", "command:pytest"], {"read", "command"}),
        (["command:ruff", "command:pytest", "web"], {"read", "command:pytest", "command:ruff"}),
        (["command:ruff", "net"], {"read", "command:ruff", "net"}),
    ],
)
def test_what_may_be_run_is_part_of_what_a_step_is(project: Project, granted: list[str], held: set[str]) -> None:
    """So that a step which was denied a program is not answered from then when that is granted."""
    run = RunCommand(granted, lambda name: None)
    tools = ToolBox([*project.tools.by_name.values(), run], granted)
    assert tools.grants_of({"read", run.group}) == held
    assert tools.grants_of({"read"}) == {"read"}
