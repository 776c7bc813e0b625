"""What importing and calling litellm does to a process: seen from outside, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.behaviours import Fail
from tests.support.model_server import ModelServer

ROOT = Path(__file__).parents[3]


def _python(code: str, *, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH"), str(ROOT)) if part)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )


LIGHT = """
import sys
import vibe_workflows.engine.backends.router, vibe_workflows.engine.backends.offline
import vibe_workflows.engine.backends.scripted, vibe_workflows.engine.backends.litellm
heavy = {"litellm", "openai", "httpx", "aiohttp", "asyncio", "pydantic", "jsonschema", "tiktoken"}
print(sorted(heavy & set(sys.modules)))
"""


def test_importing_the_backends_imports_neither_litellm_nor_asyncio() -> None:
    done = _python(LIGHT)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


CALLS = """
import json, os, sys, threading
import trio
from tests.support.model_calls import ask, open_litellm
from vibe_workflows.engine.errors import ProviderError

places = set()

def watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        places.add(str(args[1][0]))
    if event == "socket.getaddrinfo":
        places.add(str(args[0]))
    if event == "open" and str(args[0]).endswith(".env"):
        places.add("the file .env")

sys.addaudithook(watch)

async def main():
    async with open_litellm(os.environ["URL"]) as backend:
        await backend.info("openai/gpt-4o")
        reply = await backend.complete(ask())
        try:
            await backend.complete(ask())
        except ProviderError:
            pass
    return reply.text

text = trio.run(main)
threads = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
print(json.dumps({"text": text, "places": sorted(places), "planted": os.environ.get("PLANTED"), "threads": threads}))
"""


def test_a_live_call_is_quiet_asks_nobody_else_reads_no_dotenv_and_leaves_nothing_behind(
    model_server: ModelServer, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PLANTED=by a stranger's project\nOPENAI_API_KEY=sk-of-a-stranger\n")
    model_server.handler = lambda seen: Fail(status=500) if seen.number == 2 else None
    done = _python(
        CALLS,
        cwd=tmp_path,
        URL=model_server.url,
        OPENAI_API_KEY="sk-test-0123456789abcdef",
        PYTHONWARNINGS="error::ResourceWarning",
        LITELLM_MODE="DEV",
    )
    assert done.stderr == ""
    seen = json.loads(done.stdout)  # one line: nothing else is on stdout
    assert seen["text"].startswith("answer ")
    assert seen["places"] == ["127.0.0.1"]
    assert seen["planted"] is None
    assert [name for name in seen["threads"] if not name.startswith("Trio thread")] == []
