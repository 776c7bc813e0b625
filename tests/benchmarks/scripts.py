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
