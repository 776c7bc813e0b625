"""Let agents add what is missing at the top of each file: one sentence that says what it is for.

Shows agents that edit files: `tools=["read", "write"]` with the permission to. Each file is edited by one step only, so
that they may all run at the same time. A rerun edits nothing twice, and `vibe undo` takes the edits back.

    vibe run examples/workflows/edit_files.py --pattern "src/**/*.py" --allow write
"""

from vibe_workflows.script import agent, parallel, phase, tool

meta = {
    "phases": ["Look", "Edit"],
    "args": {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "default": "**/*.py", "description": "which files"},
            "max_files": {"type": "integer", "minimum": 1, "default": 10, "description": "files at most"},
        },
    },
    "budget": {"tokens": 300_000},
    "permissions": ["write"],
}


async def is_bare(path):
    """Whether a Python file begins without a docstring. The script looks by itself: no model is needed for that."""
    top = (await tool("read_file", path=path, end=5))["text"]
    lines = [line for line in top.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and not lines[0].startswith(('"""', "'''", 'r"""'))


async def main(args):
    phase("Look")
    paths = (await tool("glob", pattern=args.pattern))["paths"]
    bare = await parallel(is_bare(path) for path in paths)
    chosen = [path for path, without in zip(paths, bare) if without][: args.max_files]

    phase("Edit")
    results = await parallel(
        agent(
            f"{path} begins without a docstring. Read it, and add one line at the top that says what the file is for, "
            "as its own code shows. Change nothing else.",
            tools=["read", "write"],
            label=path,
            detail=True,
        )
        for path in chosen
    )
    edited = [path for result in results if result is not None for path in result.files]
    return {"looked_at": len(paths), "without": chosen, "edited": edited}
