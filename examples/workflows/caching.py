"""Ask several questions about one long text, and say of each step when its stored answer still counts.

Shows what shapes reuse. `context=` is text that many steps share: it is sent first, so that the provider can cache it.
`ttl=` lets an answer age, `cache="v2"` sets answers apart from earlier ones, `cache=False` asks in each run. Run it
twice: only the step with `cache=False` runs again.

    vibe run examples/workflows/caching.py --path docs/guide.md && vibe why
"""

from vibe_workflows.script import agent, now, parallel, phase, tool

meta = {
    "phases": ["Read", "Ask"],
    "args": {
        "type": "object",
        "properties": {
            "path": {"type": "string", "default": "README.md", "description": "the text"},
            "questions": {
                "type": "array",
                "items": {"type": "string"},
                "default": ["What does it promise?", "What does it leave open?", "Who is it for?"],
                "description": "what to ask about it",
            },
        },
    },
    "budget": {"tokens": 200_000},
}


async def main(args):
    phase("Read")
    text = (await tool("read_file", path=args.path))["text"]

    phase("Ask")
    # The prompts hold no counter and no time: equal prompts are what makes a rerun free.
    answers = await parallel(
        agent(f"{question}\nAnswer from the text alone, in two sentences.", context=text, label=f"ask:{number + 1}")
        for number, question in enumerate(args.questions)
    )
    aged, apart, anew = await parallel(
        [
            # The date is part of this prompt: tomorrow it is another step. The time of day would make it one each run.
            agent(f"Today is {now():%Y-%m-%d}. Which of its dates are past?", context=text, ttl="24h", label="dates"),
            # A new word here asks once more, and leaves the answers to the other prompts alone.
            agent("Give it a title.", context=text, cache="v2", label="title"),
            # A sample that is to differ from run to run.
            agent("Which question would you ask about it?", context=text, cache=False, label="question"),
        ]
    )
    return {"answers": dict(zip(args.questions, answers)), "dates": aged, "title": apart, "question": anew}
