"""Ask for three views of a question at the same time, then merge them into one answer.

Shows the smallest useful workflow: a fan-out with `parallel`, a result that may be None because its step failed, and
a merge that uses what came back. Run it twice: the second time every step comes from the store.

    vibe run examples/workflows/quickstart.py --question "Should we move from REST to gRPC?"
"""

from vibe_workflows.script import agent, log, parallel, phase

meta = {
    "phases": ["Views", "Merge"],
    "args": {
        "type": "object",
        "properties": {
            "question": {
                "type": "string",
                "default": "When is a monorepo the better choice for a team of ten?",
                "description": "what to think about",
            },
        },
    },
    "budget": {"tokens": 60_000},
}

VIEWS = {
    "advocate": "Make the strongest honest case for it. Name the conditions under which the case holds.",
    "sceptic": "Make the strongest honest case against it. Name what would have to be true for you to be wrong.",
    "operator": "Say what it costs to live with for two years: people, money, migration, failure at three in the "
    "morning.",
}


async def main(args):
    phase("Views")
    answers = await parallel(
        agent(f"Question: {args.question}\n\n{task}\nAnswer in at most 150 words, in plain prose.", label=name)
        for name, task in VIEWS.items()
    )
    views = [f"## {name}\n{answer}" for name, answer in zip(VIEWS, answers) if answer is not None]
    if len(views) < len(VIEWS):
        log("some views are missing", answered=len(views), asked=len(VIEWS))

    phase("Merge")
    return await agent(
        f"Question: {args.question}\n\nIndependent views of it follow.\n\n" + "\n\n".join(views) + "\n\n"
        "Write the answer that someone who has to decide needs: a recommendation in one sentence, the two or three "
        "reasons that carry it, and the one fact that would change it. Where the views contradict each other, say "
        "which one you follow and why. At most 200 words.",
        label="merge",
    )
