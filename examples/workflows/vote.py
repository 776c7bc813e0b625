"""Put a claim about a project to several voters, and count only those who could tell.

Shows `majority` with a quorum: a voter who failed, or who could not tell, abstains. Too few votes, or a draw, are
"unverified", which is neither "yes" nor "no".

    vibe run examples/workflows/vote.py --claim "No request is sent without a timeout." --voters 5
"""

from vibe_workflows.patterns import majority
from vibe_workflows.script import AgentError, agent, parallel, phase

meta = {
    "phases": ["Vote"],
    "args": {
        "type": "object",
        "properties": {
            "claim": {
                "type": "string",
                "default": "Every public function of this project has a test.",
                "description": "what to vote on",
            },
            "voters": {"type": "integer", "minimum": 1, "maximum": 15, "default": 3, "description": "how many"},
            "quorum": {"type": "integer", "minimum": 1, "default": 2, "description": "votes that must be cast"},
        },
    },
    "budget": {"tokens": 300_000},
}

BALLOT = {
    "type": "object",
    "properties": {
        "evidence": {"type": "string", "description": "what you saw, with paths and lines"},
        "vote": {"enum": ["true", "false", "cannot_tell"], "description": "cannot_tell if nothing you saw decides it"},
    },
    "required": ["evidence", "vote"],
}


def says_yes(ballot):
    return None if ballot["vote"] == "cannot_tell" else ballot["vote"] == "true"


async def main(args):
    phase("Vote")
    voters = [
        agent(
            f"Is this true of the project here?\n\n{args.claim}\n\nLook for what would refute it first.",
            tools=["read"],
            schema=BALLOT,
            label=f"voter:{number + 1}",
        )
        for number in range(args.voters)  # equal steps are separate samples
    ]
    try:
        ballots = await parallel(voters, on_error="return")
    except AgentError as error:  # every voter failed
        ballots = error.results
    cast = [ballot for ballot in ballots if isinstance(ballot, dict)]
    return {
        "verdict": majority(ballots, says_yes, quorum=args.quorum),
        "votes": [ballot["vote"] for ballot in cast],
        "failed": [ballot.kind for ballot in ballots if not isinstance(ballot, dict)],
        "evidence": [ballot["evidence"] for ballot in cast],
    }
