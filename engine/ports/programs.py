"""Programs of the person's own, which run with the person's rights for as long as a run needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import trio  # who reads a store needs no loop


class KeptProgram(Protocol):
    """A running program. The one that started it owns the streams."""

    @property
    def stdin(self) -> trio.abc.SendStream: ...
    @property
    def stdout(self) -> trio.abc.ReceiveStream: ...
    @property
    def stderr(self) -> trio.abc.ReceiveStream: ...
    @property
    def problem(self) -> str:
        """Why it did not start; empty where it did."""
        ...

    @property
    def status(self) -> int | None:
        """How it ended, negative for a signal; None while it runs, and where it had to be killed."""
        ...


class Programs(Protocol):
    def find(self, program: str) -> str | None:
        """Where this machine has it: an absolute path, and for a bare name never one of the project's files."""
        ...

    def keep(
        self, argv: Sequence[str], *, cwd: str, environ: Mapping[str, str]
    ) -> AbstractAsyncContextManager[KeptProgram]:
        """A program that runs within this block, and of which nothing is left after it, nor after this process.

        The end takes bounded time, also when cancelled. Raises SandboxError where none can be kept here.
        """
        ...
