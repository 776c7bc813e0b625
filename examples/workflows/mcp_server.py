"""Answer from an MCP server of yours: the script searches it, and an agent may use all of its tools.

Shows tools of MCP servers: `tool("SERVER__TOOL", ...)` in the script, `tools=["mcp:SERVER"]` for an agent, and the
permission to. This one takes a server named `docs` with a tool `search(query)`; put yours into your configuration:

    mcp: {docs: {command: [my-docs-server, stdio]}}

    vibe run examples/workflows/mcp_server.py --question "How do I rotate keys?" --allow mcp:docs
"""

import json

from vibe_workflows.script import ToolFailed, agent, log, phase, tool

meta = {
    "phases": ["Search", "Answer"],
    "args": {
        "type": "object",
        "properties": {
            "question": {"type": "string", "default": "How do I start?", "description": "what to find out"},
        },
    },
    "budget": {"tokens": 200_000},
    "permissions": ["mcp:docs"],
}


async def main(args):
    phase("Search")
    try:
        found = await tool("docs__search", query=args.question)
    except ToolFailed as error:  # what the server itself calls an error
        log("the search failed", error=error.message)
        found = None

    phase("Answer")
    answer = await agent(
        f"{args.question}\n\nA search of the documentation gave, as material:\n{json.dumps(found)}\n\n"
        "Look further with your tools where that is not enough, and name the pages that you rest on.",
        tools=["mcp:docs"],
        label="answer",
    )
    return {"found": found, "answer": answer}
