"""Runs `vibe` for a fork server: it imports the product with litellm once, and each invocation is a process of its own.

Such a process is like that of `python -m vibe_workflows.cli.main`, but for the modules that it has already: it takes a
tenth of a second instead of three. A module that each of them had to import by itself would be paid by each.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from functools import partial
from typing import NoReturn

import msgspec

import vibe_workflows.cli
import vibe_workflows.engine
import vibe_workflows.sandbox.confine
from tests.support.fork_server import serve
from vibe_workflows.cli.main import main as vibe

#: What runs import on their way, beside all of `_PACKAGES`: the client of models does so at its first call.
_MODULES = (
    "vibe_workflows.engine.backends.litellm_setup",  # the first: it keeps litellm from fetching prices
    *("anyio._backends._asyncio", "anyio.streams.tls", "encodings.utf_8_sig", "h11", "openai.resources.chat"),
    *("litellm._service_logger", "litellm.llms.litellm_proxy.chat.transformation"),
    *("litellm.llms.openai.chat.gpt_audio_transformation", "litellm.llms.openai_like.dynamic_config"),
    "litellm.llms.vertex_ai.vertex_ai_partner_models.anthropic.transformation",
    *("litellm.proxy._experimental.mcp_server.utils", "litellm.proxy.openai_files_endpoints.common_utils"),
    *("litellm.responses.mcp.chat_completions_handler", "vibe_workflows.sandbox.attendant"),
    *("vibe_workflows.sandbox.doctor", "vibe_workflows.sandbox.landlock", "vibe_workflows.sandbox.seccomp"),
)
_PACKAGES = (vibe_workflows.cli, vibe_workflows.engine, vibe_workflows.sandbox.confine)


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    argv: tuple[str, ...]
    cwd: str
    environ: dict[str, str]
    out: str  # file of its standard output ...
    err: str  # ... and of its standard error


def invoke(kept: dict[str, str], work: object) -> NoReturn:
    """Become that invocation; `kept` are the variables that imports have set."""
    code = 70
    try:
        invocation = msgspec.convert(work, Invocation)
        os.setsid()
        os.chdir(invocation.cwd)
        os.environ.clear()
        os.environ.update(kept | invocation.environ)
        _redirect(0, os.devnull, os.O_RDONLY)
        for number, path in ((1, invocation.out), (2, invocation.err)):
            _redirect(number, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        code = vibe(invocation.argv)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(number: int, path: str, flags: int) -> None:
    opened = os.open(path, flags, 0o600)
    os.dup2(opened, number)
    os.close(opened)


def main() -> None:
    before = dict(os.environ)
    found = [each.name for of in _PACKAGES for each in pkgutil.walk_packages(of.__path__, f"{of.__name__}.")]
    for name in (*_MODULES, *found):
        importlib.import_module(name)
    serve(partial(invoke, {name: value for name, value in os.environ.items() if before.get(name) != value}))


if __name__ == "__main__":
    main()
