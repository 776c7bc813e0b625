"""The sandbox's helper process, for the time of one command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vibe_workflows.engine.errors import SandboxError

if TYPE_CHECKING:
    from vibe_workflows.sandbox.launcher import Zygote


@contextmanager
def open_zygote() -> Iterator[Zygote]:
    """A helper process that forks locked children. Raises SandboxError where this system can have none."""
    from vibe_workflows.sandbox.errors import SandboxUnavailable
    from vibe_workflows.sandbox.launcher import start_zygote

    try:
        zygote = start_zygote()
        try:
            yield zygote
        finally:
            zygote.close()
    except SandboxUnavailable as error:
        raise SandboxError(str(error)) from error
