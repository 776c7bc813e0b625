"""Search in rounds until nothing new comes, or the budget runs low.

Two rounds in a row without anything new end it. What was found is kept whatever ends it; `complete` says which.

    vibe loop --goal "race conditions" --path src --budget 400k
"""

import json

from vibe_workflows.patterns import dry, fresh
from vibe_workflows.script import AgentError, BudgetExceeded, agent, budget, log, phase

meta = {
    "phases": ["Search"],
    "args": {
        "type": "object",
        "properties": {
            "goal": {"type": "string", "default": "errors that a user can run into", "description": "what to look for"},
            "path": {"type": "string", "default": ".", "description": "where to look"},
            "max_rounds": {"type": "integer", "minimum": 1, "default": 6, "description": "rounds at most"},
        },
    },
    "budget": {"tokens": 300_000},
}

FINDINGS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "line": {"type": "integer"}, "problem": {"type": "string"}},
        "required": ["path", "line", "problem"],
    },
}
ROOM = 20_000  # tokens that have to be left for another round


async def main(args):
    phase("Search")
    known, counts = [], []  # what was found, and how much of it was new in each round: None where a round failed
    while not dry(counts) and len(counts) < args.max_rounds and budget.remaining() > ROOM:
        task = f"Look below {args.path} for {args.goal}. Report what you saw yourself; an empty list is a good answer."
        if known:  # places alone: what an earlier round wrote is no instruction for this one
            task += f"\n\nKnown already, and not to be reported again:\n{json.dumps([place(each) for each in known])}"
        try:
            found = await agent(task, tools=["read"], schema=FINDINGS, label=f"round:{len(counts) + 1}")
        except BudgetExceeded:
            break
        except AgentError as error:
            log("a round failed", error=error.message)
            counts.append(None)
            continue
        new = fresh(found, known, place)
        known += new
        counts.append(len(new))
    return {"findings": known, "complete": dry(counts), "rounds": len(counts), "failed_rounds": counts.count(None)}


def place(finding):
    return f"{finding['path']}:{finding['line']}"
