"""Ask about each file, and decide by the kind of each failure what to do about it.

Shows `on_error="return"`: an element of the result is an answer or the error of that branch, with `.kind` and
`.message`. Where every branch failed, the first error is raised, with all of them as `.results`. Retries (`retries=`)
were made before. Here, an answer that was cut off is asked for again, shorter; a refusal is final.

    vibe run examples/workflows/errors_as_values.py --pattern "src/**/*.py"
"""

from vibe_workflows.script import AgentError, Refused, Truncated, agent, log, parallel, phase, tool

meta = {
    "phases": ["Ask", "Again"],
    "args": {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "default": "**/*.py", "description": "which files"},
            "question": {
                "type": "string",
                "default": "Which inputs would make this code fail?",
                "description": "what to ask about each",
            },
        },
    },
    "budget": {"tokens": 500_000},
}


def about(path, question, words):
    return agent(f"Read {path}. {question}\nAt most {words} words.", tools=["read"], label=path, retries=1)


async def settled(steps):
    try:
        return await parallel(steps, on_error="return")
    except AgentError as error:
        return error.results


async def main(args):
    phase("Ask")
    paths = (await tool("glob", pattern=args.pattern))["paths"][:20]
    answers = await settled(about(path, args.question, 300) for path in paths)
    found = dict(zip(paths, answers))

    phase("Again")
    cut_off = [path for path, answer in found.items() if isinstance(answer, Truncated)]
    shorter = await settled(about(path, args.question, 60) for path in cut_off)
    found.update(zip(cut_off, shorter))

    failures = [
        {"path": path, "kind": error.kind, "message": error.message, "final": isinstance(error, Refused)}
        for path, error in found.items()
        if isinstance(error, AgentError)
    ]
    if failures:
        log("some files have no answer", kinds=sorted({failure["kind"] for failure in failures}))
    return {
        "answers": {path: answer for path, answer in found.items() if isinstance(answer, str)},
        "failures": failures,
    }
