"""Compare modules by several questions: a fan-out of modules, and in each a fan-out of questions.

Shows that fan-outs nest: a branch is a function of your own, or another fan-out, and has its own phase, budget and
random. `limit=` bounds the branches of one fan-out; how many steps run at once is the engine's matter.

    vibe run examples/workflows/nested_fanout.py --path src
"""

import json

from vibe_workflows.script import AgentError, agent, log, parallel, phase, tool

meta = {
    "phases": ["Questions", "Table"],
    "args": {
        "type": "object",
        "properties": {
            "path": {"type": "string", "default": ".", "description": "a folder with modules in folders of their own"},
            "max_modules": {"type": "integer", "minimum": 1, "default": 6, "description": "modules at most"},
        },
    },
    "budget": {"tokens": 500_000},
}

QUESTIONS = {
    "purpose": "What is it for, in one sentence?",
    "surface": "What do others use of it?",
    "risk": "What would be the hardest to change?",
}


async def main(args):
    entries = (await tool("list_files", path=args.path))["entries"]
    modules = [entry["name"] for entry in entries if entry["type"] == "folder"][: args.max_modules]

    async def look(module):
        phase("Questions")
        answers = await parallel(
            agent(f"Look at the files in {args.path}/{module}. {question}", tools=["read"], label=f"{module}:{name}")
            for name, question in QUESTIONS.items()
        )
        return {name: answer for name, answer in zip(QUESTIONS, answers) if answer is not None}

    looked = await parallel((look(module) for module in modules), limit=3)
    table = {module: answers for module, answers in zip(modules, looked) if answers}

    phase("Table")
    try:
        summary = await agent(f"Which of these fit together, and which do not?\n{json.dumps(table)}", label="summary")
    except AgentError as error:
        log("no summary", error=error.message)
        summary = None
    return {"modules": table, "summary": summary}
