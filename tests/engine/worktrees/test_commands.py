"""Commands of a step in a worktree: they see it with the step's own changes, and change it alone."""

from __future__ import annotations

from tests.support.deeds import isolated, read, write
from vibe_workflows.engine.launch import RunReport
from vibe_workflows.engine.model import Role

from .conftest import Lab


def run(lab: Lab, *lines: str) -> RunReport:
    return lab.run(*lines, flags={"allow": ("write", "command")})


def sh(script: str) -> list[object]:
    return ["run_command", {"argv": ["sh", "-c", script]}]


def told(lab: Lab) -> list[str]:
    return [message.text for message in lab.project.backend.requests[-1].messages if message.role is Role.TOOL]


def test_a_command_sees_what_the_step_changed_and_what_it_makes_lands_with_it(lab: Lab) -> None:
    lab.write("a.txt", "one\n")
    lab.write("gone.txt", "gone\n")
    lab.write(".gitignore", "build/\n")
    turns = (
        [write("a.txt", "two\n")],
        [sh("cat a.txt; echo three >> a.txt; rm gone.txt; mkdir -p build new; echo x > build/x; echo n > new/n.txt")],
        [read("a.txt"), read("gone.txt"), sh("cat build/x; ln -s a.txt link; cat a.txt")],
    )
    call = isolated(*turns, tools=["read", "write", "command"])
    assert run(lab, f"return await {call}").result == b'"done"'
    shown = told(lab)
    assert "two" in shown[1]
    assert "three" in shown[2]
    assert "no such file" in shown[3]
    assert "link" in shown[4].partition("not kept")[2]
    assert (lab.read("a.txt"), lab.read("new/n.txt")) == ("two\nthree\n", "n\n")
    assert [lab.lies(path) for path in ("gone.txt", "build", "link")] == [False, False, False]
    run(lab, f"return await {call}")
    assert lab.asked == 0
    lab.write("unrelated.txt", "a command may have seen it\n")
    run(lab, f"return await {call}")
    assert lab.asked > 0


def test_steps_that_only_edit_beside_one_with_commands_are_reused_with_it(lab: Lab) -> None:
    lab.write("a.txt", "one\n")
    calls = [
        isolated([sh("ls; cat a.txt")], [write("b.txt", "b\n")], tools=["read", "write", "command"]),
        isolated([read("a.txt")], [write("c.txt", "c\n")]),
    ]
    source = f"return await parallel([{', '.join(calls)}])"
    run(lab, source)
    run(lab, source)
    assert lab.asked == 0
