"""Mend a failing test suite: agents try it in worktrees of their own, and the first green one is merged.

Shows `isolation="worktree"` (an agent edits a snapshot, not your files), `gate=` (an answer counts only if the command
succeeds, and the agent may mend what failed), and `merge` (what comes into the project, and when). Take it back with
`vibe undo`.

    vibe run examples/workflows/mend_tests.py --allow write,command:python3
"""

from vibe_workflows.script import AgentError, GateFailed, agent, merge, parallel, phase, tool

meta = {
    "phases": ["Look", "Mend", "Merge"],
    "args": {
        "type": "object",
        "properties": {
            "test": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["python3", "-m", "unittest", "discover"],
                "description": "the command that has to succeed",
            },
        },
    },
    "budget": {"tokens": 500_000},
    "permissions": ["write", "command:python3"],
}

WAYS = ("Mend the code, and leave the tests as they are.", "Find out what changed last, and mend that.")


async def main(args):
    phase("Look")
    before = await tool("run_command", argv=args.test)
    if before["exit_code"] == 0:
        return "All tests pass."

    phase("Mend")
    output = before["stderr"][-4_000:] or before["stdout"][-4_000:]
    ways = [
        agent(
            f"These tests fail:\n\n<output>\n{output}\n</output>\n\n{way} Make the smallest change that is right. "
            "Never weaken a test.",
            tools=["read", "write"],
            isolation="worktree",
            merge="manual",
            gate=args.test,
            detail=True,
            label=f"way:{number + 1}",
        )
        for number, way in enumerate(WAYS)
    ]
    try:
        tries = await parallel(ways, on_error="return")
    except AgentError as error:  # none of them came to an end
        tries = error.results
    green = [each for each in tries if not isinstance(each, AgentError) and each.files]
    if not green:
        red = [each.output[-500:] for each in tries if isinstance(each, GateFailed)]
        return {"mended": False, "last_outputs": red}

    phase("Merge")
    smallest = min(green, key=lambda each: len(each.patch))
    return {"mended": True, "files": await merge(smallest), "how": smallest.value}
