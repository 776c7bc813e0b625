"""Answer a question from documents and pictures: one agent looks at each file, another one writes the answer.

Shows `files=`: what is in a file goes along with the step, and is part of what the step is. Run it again after editing
one file, and only that file is looked at again. A file is text, a PDF or a picture by its contents, not by its name.

    vibe run examples/workflows/ask_documents.py --question "Which deadlines are named?" --pattern "docs/**/*.pdf"
"""

from vibe_workflows.script import agent, log, parallel, phase, tool

meta = {
    "phases": ["Look", "Answer"],
    "args": {
        "type": "object",
        "properties": {
            "question": {
                "type": "string",
                "default": "What does a newcomer have to know first?",
                "description": "what to look for",
            },
            "pattern": {"type": "string", "default": "**/*", "description": "which files, as a glob"},
            "max_files": {"type": "integer", "default": 20, "minimum": 1, "description": "files to look at, at most"},
        },
    },
    "budget": {"tokens": 500_000},
}

KINDS = (".gif", ".jpeg", ".jpg", ".md", ".pdf", ".png", ".py", ".rst", ".txt", ".webp")

NOTES = {
    "type": "object",
    "properties": {
        "relevant": {"type": "boolean", "description": "whether the file says anything that bears on the question"},
        "notes": {"type": "array", "items": {"type": "string"}, "description": "what it says, each with its place"},
    },
    "required": ["relevant", "notes"],
}


async def main(args):
    phase("Look")
    found = (await tool("glob", pattern=args.pattern))["paths"]
    paths = [path for path in found if path.lower().endswith(KINDS)][: args.max_files]
    if not paths:
        return f"No document or picture matches {args.pattern}."
    looked = await parallel(
        agent(
            f"Question: {args.question}\n\nNote what the attached file says about it: facts, figures and wording that "
            "an answer must rest on, each with the page, heading or line where it stands. Note nothing else.",
            files=[path],
            schema=NOTES,
            label=path,
        )
        for path in paths
    )
    unread = [path for path, notes in zip(paths, looked) if notes is None]
    if unread:
        log("some files were not looked at", paths=unread)

    phase("Answer")
    noted = [
        "\n".join([f"## {path}", *(f"- {note}" for note in notes["notes"])])
        for path, notes in zip(paths, looked)
        if notes is not None and notes["relevant"]
    ]
    return await agent(
        f"Question: {args.question}\n\nNotes from {len(noted)} of {len(paths)} files follow.\n\n"
        + "\n\n".join(noted)
        + "\n\n"
        "Answer the question from these notes alone. Name the file behind every statement, say where files contradict "
        "each other, and say plainly what none of them answers. At most 250 words.",
        label="answer",
    )
