"""What the digest of a project costs, in a process of its own: python -m tests.benchmarks.tree_costs ROOT CACHE.

Prints the seconds of one digest by a process that knows only what the cache holds, beside those of hashing the same
files plainly, as JSON.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import trio

from vibe_workflows.cli.main import COLLECT_AFTER
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.tree import ProjectTree, TreeCache
from vibe_workflows.sandbox.checker import open_checker
from vibe_workflows.sandbox.launcher import start_zygote


async def _digest_s(root: Path, cache: Path) -> float:
    zygote = start_zygote()
    try:
        async with open_checker(zygote) as checker:
            await checker.match_paths("*", ["a"])  # a worker is up
            started = time.perf_counter()
            workspace = Workspace(root, checker)
            await ProjectTree(workspace, TreeCache(cache, workspace.root), time.time).digest()
            return time.perf_counter() - started
    finally:
        zygote.close()


def plain_hash_s(root: Path) -> float:
    """Seconds to read and hash all files below `root`, of which none is ignored."""
    started = time.perf_counter()
    digest = hashlib.blake2b()
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb", buffering=0) as file:
                digest.update(file.read())
    return time.perf_counter() - started


def main() -> None:
    gc.set_threshold(COLLECT_AFTER)  # as the command itself does
    root, cache = map(Path, sys.argv[1:])
    print(json.dumps({"digest_s": trio.run(_digest_s, root, cache), "plain_s": plain_hash_s(root)}))


if __name__ == "__main__":
    main()
