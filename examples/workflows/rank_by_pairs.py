"""Rank ideas by comparing two at a time, each pair in both orders.

Shows `pairings` and `rank`: a model that says which of two is better is surer than one that gives marks. It favours
what it reads first, so each pair is asked about twice; where the two answers differ, nobody won. `--rounds` limits the
comparisons: all pairs of 40 ideas would be 780.

    vibe run examples/workflows/rank_by_pairs.py --rounds 4
"""

from vibe_workflows.patterns import pairings, rank
from vibe_workflows.script import agent, parallel, phase

meta = {
    "phases": ["Compare"],
    "args": {
        "type": "object",
        "properties": {
            "ideas": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 2,
                "default": [
                    "Write a tutorial.",
                    "Make it twice as fast.",
                    "Mend the five oldest bugs.",
                    "Add a theme.",
                ],
                "description": "what to rank",
            },
            "by": {"type": "string", "default": "what helps users most", "description": "what makes one better"},
            "rounds": {"type": "integer", "minimum": 1, "default": 5, "description": "comparisons of each, at most"},
        },
    },
    "budget": {"tokens": 300_000},
}

BETTER = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "one sentence"},
        "better": {"enum": ["first", "second", "equal"]},
    },
    "required": ["reason", "better"],
}


async def main(args):
    phase("Compare")

    async def winner(i, j):
        said = await agent(
            f"Which is better, by {args.by}?\n\nFirst: {args.ideas[i]}\nSecond: {args.ideas[j]}",
            schema=BETTER,
            label=f"{i + 1} or {j + 1}",
        )
        return {"first": i, "second": j, "equal": None}[said["better"]]

    async def outcome(i, j):
        one, other = await parallel([winner(i, j), winner(j, i)], on_error="raise")
        return i, j, one if one == other else None

    outcomes = await parallel(outcome(i, j) for i, j in pairings(len(args.ideas), args.rounds))
    # A comparison that failed is None: it moves nobody.
    decided = [each for each in outcomes if each is not None and each[2] is not None]
    return {"ranking": rank(args.ideas, outcomes), "compared": len(outcomes), "decided": len(decided)}
