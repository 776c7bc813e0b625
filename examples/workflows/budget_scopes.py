"""Summarize files within a budget of their own, and end well when it runs out.

Shows scopes: `with budget(...)` limits a part of a run, and the rest of the money is still there afterwards. A fan-out
that runs out raises `BudgetExceeded` once what is under way has ended; its `.results` have all that was done. The
result says that it is not complete: nothing is reported as done that was not.

    vibe run examples/workflows/budget_scopes.py --reading 20000 --budget 60k
"""

from vibe_workflows.script import AgentError, BudgetExceeded, agent, budget, log, parallel, phase, tool

meta = {
    "phases": ["Read", "Sum up"],
    "args": {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "default": "**/*", "description": "which files"},
            "reading": {"type": "integer", "minimum": 1, "default": 100_000, "description": "tokens for reading"},
        },
    },
    "budget": {"tokens": 150_000},
}


async def main(args):
    phase("Read")
    paths = (await tool("glob", pattern=args.pattern))["paths"]
    try:
        with budget(tokens=args.reading):
            log("what this part may spend", tokens=budget.remaining(), steps=budget.remaining("steps"))
            notes = await parallel(
                (
                    agent(f"Read {path} and say in one sentence what it holds.", tools=["read"], label=path)
                    for path in paths
                ),
                limit=4,
            )
        complete = True
    except BudgetExceeded as error:
        log("the budget for reading is spent", needed=error.needed, left=error.left)
        notes, complete = error.results, False

    held = {path: note for path, note in zip(paths, notes) if note is not None}
    result = {
        "complete": complete,
        "files": held,
        "left_out": [path for path in paths if path not in held],
        "summary": None,
    }
    if not held:
        return result
    phase("Sum up")
    listed = "\n".join(f"- {path}: {note}" for path, note in held.items())
    try:
        result["summary"] = await agent(f"What is this project, in three sentences?\n\n{listed}", budget="20k")
    except (AgentError, BudgetExceeded) as error:
        log("no summary", error=error.message)
    return result
