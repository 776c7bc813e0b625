"""The workflows that are measured. A step is 200 characters in and, from the scripted model, 200 out."""

from __future__ import annotations

ONE_STEP = 'async def main(args):\n    return await agent("x" * 200)\n'

FAN_OUT = """\
meta = {"args": {"type": "object", "properties": {"n": {"type": "integer", "default": 1000}}}}

async def main(args):
    texts = [(str(number) + " " + "x" * 200)[:200] for number in range(args.n)]
    return len(await parallel(agent(text) for text in texts))
"""

IN_SEQUENCE = """\
meta = {"args": {"type": "object", "properties": {"n": {"type": "integer", "default": 300}}}}

async def main(args):
    for number in range(args.n):
        await agent((str(number) + " " + "x" * 200)[:200])
    return args.n
"""

NOTHING = "async def main(args):\n    return 1\n"

#: A step asks in its prompt for what it wants to look at, as the model of `looking.py` does.
_LOOKING = """\
async def main(args):
    looks = [%s for n in range(1000)]
    prompts = [("x" * 200) + "\\nlook:" + json.dumps(each) for each in looks]
    return len(await parallel(agent(prompt, tools=["read"]) for prompt in prompts))
"""

#: Of 1,000 files, each read by three steps, and a search by name and one by text: in a folder of 50 files that many
#: steps share, or, one of 20 steps, in all.
SHARED_LOOKS = _LOOKING % (
    '[["read_file", {"path": f"src/p{f // 50}/f{f}.py"}] for f in (n, (n + 1) % 1000, (n + 7) % 1000)]'
    ' + [["glob", {"pattern": "**/*.py", "path": f"src/p{n % 20}" if n % 20 else "."}],'
    ' ["grep", {"pattern": "def find_me", "path": f"src/p{n % 20}" if n % 20 else "."}]]'
)

#: Of 5,000 files, each read by one step.
OWN_LOOKS = _LOOKING % '[["read_file", {"path": f"src/p{f // 50}/f{f}.py"}] for f in range(5 * n, 5 * n + 5)]'
