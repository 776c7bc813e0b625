"""Explain each file for a newcomer, check the explanation against the code, and mend it where it is wrong.

Shows `pipeline`: each file goes through the stages on its own, so that one is mended while another is still being
read. A stage takes `(value)`, `(value, item)` or `(value, item, index)`; None ends its item.

    vibe run examples/workflows/stages.py --pattern "src/**/*.py"
"""

from vibe_workflows.script import agent, phase, pipeline, tool

meta = {
    "phases": ["Explain", "Check", "Mend"],
    "args": {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "default": "**/*.py", "description": "which files to explain"},
            "max_files": {"type": "integer", "minimum": 1, "default": 5, "description": "files at most"},
        },
    },
    "budget": {"tokens": 500_000},
}

CHECKED = {
    "type": "object",
    "properties": {
        "wrong": {"type": "array", "items": {"type": "string"}, "description": "each statement that the code denies"},
    },
    "required": ["wrong"],
}


async def explain(path):
    phase("Explain")
    return await agent(
        f"Read {path}. Explain to a newcomer what it is for and how it is used, in at most 100 words.",
        tools=["read"],
        label=f"explain:{path}",
    )


async def check(text, path):
    phase("Check")
    found = await agent(
        f"Read {path}. Which statements of this explanation does the code deny? Name only what you can show; an empty "
        f"list is a good answer.\n\n<explanation>\n{text}\n</explanation>",
        tools=["read"],
        schema=CHECKED,
        label=f"check:{path}",
    )
    return {"path": path, "text": text, "wrong": found["wrong"]}


async def mend(checked, path, index):
    if not checked["wrong"]:
        return checked
    phase("Mend")
    listed = "\n".join(f"- {statement}" for statement in checked["wrong"])
    text = await agent(
        f"Read {path}. Mend its explanation, at most 100 words. These statements are wrong:\n{listed}\n\n"
        f"<explanation>\n{checked['text']}\n</explanation>",
        tools=["read"],
        label=f"mend:{index + 1}",
    )
    return {**checked, "text": text}


async def main(args):
    paths = (await tool("glob", pattern=args.pattern))["paths"][: args.max_files]
    explained = await pipeline(paths, explain, check, mend)
    return [found for found in explained if found is not None]
