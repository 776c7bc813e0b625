"""Let one agent make the plan as data, and carry it out in code: what depends on nothing else runs at the same time.

Shows a plan that is not known beforehand. The schema says what a plan may be, the script checks what a schema cannot
(that each task waits only for tasks before it), and nothing that a model wrote is ever run as code.

    vibe run examples/workflows/dynamic_plan.py --goal "Explain how configuration is read, with an example."
"""

import json

from vibe_workflows.script import agent, log, parallel, phase

meta = {
    "phases": ["Plan", "Work", "Report"],
    "args": {
        "type": "object",
        "properties": {
            "goal": {
                "type": "string",
                "default": "Describe the parts of this project, and how they work together.",
                "description": "what to do",
            },
        },
    },
    "budget": {"tokens": 500_000},
}

PLAN = {
    "type": "array",
    "minItems": 1,
    "maxItems": 8,
    "items": {
        "type": "object",
        "properties": {
            "task": {"type": "string", "description": "what one reader of the files can do alone"},
            "after": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1},
                "description": "numbers of the tasks, counted from 1, whose results it needs",
            },
        },
        "required": ["task", "after"],
    },
}


async def main(args):
    phase("Plan")
    plan = await agent(
        f"Goal: {args.goal}\n\nSplit it into tasks for readers of the files here. Let as many as possible wait for "
        "nothing; a task may only wait for tasks that stand before it.",
        tools=["read"],
        schema=PLAN,
        label="plan",
    )

    phase("Work")
    done: dict[int, str] = {}
    waiting = dict(enumerate(plan, 1))
    while waiting:
        ready = {number: task for number, task in waiting.items() if all(other in done for other in task["after"])}
        if not ready:
            log("these wait for each other, or for nothing that there is", tasks=sorted(waiting))
            break
        results = await parallel(work(number, task, done) for number, task in ready.items())
        done.update(zip(ready, results))
        waiting = {number: task for number, task in waiting.items() if number not in ready}

    phase("Report")
    found = {f"{number}. {plan[number - 1]['task']}": result for number, result in done.items()}
    report = await agent(
        f"Goal: {args.goal}\n\nWrite the result from what was found, and say what is missing.\n\n{json.dumps(found)}",
        label="report",
    )
    failed = [number for number, result in done.items() if result is None]
    return {"plan": plan, "report": report, "failed": failed, "never_begun": sorted(waiting)}


def work(number, task, done):
    before = "".join(f"\n\n<result of={other}>\n{done[other]}\n</result>" for other in task["after"])
    return agent(f"{task['task']}{before}", tools=["read"], label=f"task:{number}")
