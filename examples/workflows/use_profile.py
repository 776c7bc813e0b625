"""Have two agents with profiles look at one file: a careful reader and somebody who is new here.

Shows `profile=`: a file in `.vibe/agents` (or `.claude/agents`) says once what many calls leave open: who the agent is,
its model, its tools, its limits. What a call says itself goes before that. Copy the two of examples/agents:

    cp -r examples/agents .vibe/ && vibe run examples/workflows/use_profile.py --path README.md
"""

import json

from vibe_workflows.script import agent, parallel, phase

meta = {
    "phases": ["Read", "Compare"],
    "args": {
        "type": "object",
        "properties": {"path": {"type": "string", "default": "README.md", "description": "the file to look at"}},
    },
    "budget": {"tokens": 200_000},
}

NOTES = {
    "type": "object",
    "properties": {
        "notes": {
            "type": "array",
            "maxItems": 5,
            "items": {
                "type": "object",
                "properties": {"line": {"type": "integer", "minimum": 1}, "note": {"type": "string"}},
                "required": ["line", "note"],
            },
        },
    },
    "required": ["notes"],
}


async def main(args):
    phase("Read")
    careful, new = await parallel(
        [
            agent(f"Look at {args.path}.", profile="careful-reader", schema=NOTES, label="careful"),
            # What the call says itself counts: this one may take fewer turns than its profile allows.
            agent(f"Look at {args.path}.", profile="newcomer", schema=NOTES, label="newcomer", max_turns=5),
        ],
        on_error="raise",
    )
    phase("Compare")
    return await agent(
        "Two people looked at one file. What do both notice, and what should be mended first? At most 100 words.\n\n"
        + json.dumps({"careful reader": careful["notes"], "newcomer": new["notes"]}, indent=1),
        label="compare",
    )
