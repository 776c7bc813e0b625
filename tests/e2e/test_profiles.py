"""Agents made for another tool, taken as they are: what of them arrives at the model, and what a rerun costs.

Every invocation is a process of its own, and model calls are counted where they arrive: at the server.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.exchanges import SeenRequest
from tests.support.field_project import FieldProject, prompt_of

CLAUDE = """\
---
name: code-reviewer
description: Use this agent when code was written. Examples: user: "I wrote it" assistant: "Then I review"
tools: Read, Grep, Glob, Bash, TodoWrite
model: sonnet
color: purple
---

You are a senior reviewer.
Never praise.
"""
MINE = "---\nmodel: openai/mine\n---\nYou are my tester.\n"
SCRIPT = """\
async def main(args):
    return await parallel([
        agent("Review a.py", profile="code-reviewer", retries=0),
        agent("Test a.py", profile="tester", retries=0),
        agent("Sum up", retries=0),
    ])
"""


def by_prompt(requests: tuple[SeenRequest, ...]) -> Mapping[str, SeenRequest]:
    return {prompt_of(request): request for request in requests}


def tools_of(request: SeenRequest) -> list[str]:
    return sorted(tool.name for tool in request.conversation().tools)


def test_profiles_of_project_and_person_arrive_at_the_model_and_a_change_runs_one_step(project: FieldProject) -> None:
    project.write(".claude/agents/code-reviewer.md", CLAUDE)
    project.write("../home/.config/vibe/agents/tester.md", MINE)
    project.write("flow.py", SCRIPT)
    first = project.run("flow.py", "--allow", "command", "--model", "openai/usual", "--model", "sonnet=openai/strong")
    asked = by_prompt(first.requests)
    review, test, rest = asked["Review a.py"], asked["Test a.py"], asked["Sum up"]
    assert (review.body["model"], test.body["model"], rest.body["model"]) == ("strong", "mine", "usual")
    assert review.conversation().system == "You are a senior reviewer.\nNever praise."
    assert test.conversation().system == "You are my tester."
    assert "one step of a larger workflow" in rest.conversation().system
    assert tools_of(review) == ["glob", "grep", "read_file", "run_command"]
    assert tools_of(test) == []
    told = first.err.count("`tools`: not available here, and left out: TodoWrite")
    assert told == 1, first.err
    assert (
        project.run(
            "flow.py", "--allow", "command", "--model", "openai/usual", "--model", "sonnet=openai/strong"
        ).requests
        == ()
    )

    project.write(".claude/agents/code-reviewer.md", CLAUDE.replace("Never", "Seldom"))
    again = project.run("flow.py", "--allow", "command", "--model", "openai/usual", "--model", "sonnet=openai/strong")
    assert again.prompts == ["Review a.py"]

    no_alias = project.run("flow.py", "--allow", "command", "--model", "openai/usual")
    assert [request.body["model"] for request in no_alias.requests] == ["usual"]
    assert "`model: sonnet` is ignored: no alias says which model that is here" in no_alias.err
    why = project.vibe("why", "1")
    assert "chosen then by profile code-reviewer, alias sonnet, now by --model" in why.out


def test_a_profile_that_edits_needs_the_persons_word(project: FieldProject) -> None:
    project.write(
        ".claude/agents/fixer.md", "---\ntools: Read, Edit\npermissionMode: bypassPermissions\n---\nFix it.\n"
    )
    project.write("flow.py", 'async def main(args):\n    return await agent("Fix", profile="fixer", retries=0)\n')
    denied = project.run("flow.py", code=1)
    assert denied.requests == ()
    assert "needs the grant `write`" in denied.err
    granted = project.run("flow.py", "--allow", "write")
    assert tools_of(granted.requests[0]) == ["edit_file", "read_file"]
