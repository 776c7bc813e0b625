"""The command lines of agent CLIs."""

from __future__ import annotations

import pytest

from vibe_workflows.engine.clis.description import AgentMode
from vibe_workflows.engine.clis.prompting import MAX_ARGUMENT_BYTES, Invocation, invocation
from vibe_workflows.engine.clis.shipped import SHIPPED
from vibe_workflows.engine.errors import ContextTooLong, SetupError
from vibe_workflows.engine.model import Message, ModelRequest, Role


def invoked(agent: str, mode: str, prompt: str = "Do it.", system: str = "", model: str = "") -> Invocation:
    messages = [Message(role=Role.SYSTEM, text=system)] if system else []
    request = ModelRequest(
        model=f"{agent}/{model}" if model else agent,
        messages=(*messages, Message(role=Role.USER, text=prompt)),
        max_tokens=1,
        timeout_s=1,
    )
    described = SHIPPED[agent]
    return invocation(described, described.modes.get(mode, AgentMode()), request)


CLAUDE = "claude -p --output-format json --permission-mode"
LOOKS, EDITS = "Read,Glob,Grep", "Edit,Write,NotebookEdit"


@pytest.mark.parametrize(
    ("agent", "mode", "argv"),
    [
        ("claude-code", "read", f"{CLAUDE} default --allowedTools {LOOKS} --disallowedTools {EDITS},Bash"),
        ("claude-code", "write", f"{CLAUDE} acceptEdits --allowedTools {LOOKS},{EDITS} --disallowedTools Bash"),
        ("claude-code", "command", f"{CLAUDE} acceptEdits --allowedTools {LOOKS},{EDITS},Bash"),
        ("codex", "read", "codex exec --json --color never --skip-git-repo-check --sandbox read-only -"),
        ("codex", "write", "codex exec --json --color never --skip-git-repo-check --sandbox workspace-write -"),
        ("codex", "command", "codex exec --json --color never --skip-git-repo-check --sandbox workspace-write -"),
        ("gemini-cli", "read", "gemini --output-format json --approval-mode default"),
        ("gemini-cli", "write", "gemini --output-format json --approval-mode auto_edit"),
        ("gemini-cli", "command", "gemini --output-format json --approval-mode yolo"),
        ("opencode", "read", "opencode run --format json --agent plan"),
        ("opencode", "write", "opencode run --format json --agent build"),
    ],
)
def test_flags_say_what_the_step_may_do(agent: str, mode: str, argv: str) -> None:
    found = invoked(agent, mode)
    assert " ".join(found.argv) == argv
    assert found.argv == found.shown
    assert found.stdin == b"Do it."


def test_a_prompt_as_an_argument_cannot_be_taken_for_a_flag_and_is_not_shown() -> None:
    found = invoked("paseo", "read", "--help {model}", model="claude/opus")
    assert found.argv[-4:] == ("--provider", "claude/opus", "--", "--help {model}")
    assert found.shown[-2:] == ("--", "{prompt}")
    assert found.stdin == b""
    with pytest.raises(ContextTooLong, match="takes its prompt as an argument"):
        invoked("paseo", "read", "x" * MAX_ARGUMENT_BYTES)
    with pytest.raises(ContextTooLong, match=r"\(others count as six\)"):
        invoked("paseo", "read", "é" * 20_000)


def test_the_system_text_is_an_argument_where_there_is_one_and_it_fits() -> None:
    assert invoked("claude-code", "read", system="Be {prompt}.").argv[4:6] == ("--append-system-prompt", "Be {prompt}.")
    for found in (invoked("codex", "read", system="Be brief."), invoked("claude-code", "read", system="x" * 20_000)):
        assert found.stdin.endswith(b"\n\nDo it.")
        assert "--append-system-prompt" not in found.argv


def test_a_nul_is_refused() -> None:
    with pytest.raises(SetupError, match="NUL"):
        invoked("codex", "read", "a\0b")
