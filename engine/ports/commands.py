"""Programs of this machine, confined: those that Vibe runs to look, and those that agents run to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct


class Command(Struct, frozen=True, kw_only=True):
    """One program to run in the project, of which it may write nothing; it reaches no network and starts no shell."""

    argv: tuple[str, ...]
    readable: tuple[str, ...] = ()  # absolute paths that it may read beside the project and the system
    environment: Mapping[str, str] = {}  # added to the few variables that every command gets
    timeout_s: float
    output_bytes: int  # kept of each stream; the rest is counted


class CommandEnd(Protocol):
    """How a command ended. `exit_code` is None where it was killed: by a signal, at its time limit, for its memory."""

    @property
    def exit_code(self) -> int | None: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...
    @property
    def stdout_dropped(self) -> int:
        """Bytes beyond what is kept."""
        ...

    @property
    def stderr_dropped(self) -> int: ...
    @property
    def timed_out(self) -> bool: ...
    @property
    def over_limit(self) -> str:
        """The limit that it was killed for, in words; empty for none."""
        ...

    @property
    def level(self) -> str:
        """strong, good or weak: what held it."""
        ...


class CommandRunner(Protocol):
    """Runs programs behind the walls of the operating system."""

    def find(self, program: str) -> str | None:
        """Where this machine has `program`: an absolute path, and never one of the project's files."""
        ...

    async def run(self, command: Command) -> CommandEnd:
        """Returns when nothing of it is left; its working directory is the project. Cancelled, it is killed first.

        Raises CommandUnavailable where it cannot be run here, or not held well enough.
        """
        ...


# ---------------------------------------------------------------- commands of agents, and what they change


#: Of the contents, before and after, that `Worked.files` may hold; what is beyond is `beside`.
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_FILES_BYTES = 64 * 1024 * 1024
MAX_FILES = 5_000


class OwnProgram(Struct, frozen=True, kw_only=True):
    """What a program of the person's own gets, which runs without walls in a copy of the workspace."""

    environ: Mapping[str, str]  # holds secrets
    stdin: bytes = b""  # after it comes the end of the file
    keeps: bool = True  # False: what it changed is thrown away
    leaves_out: tuple[str, ...] = ()  # names, in any folder: see `bench.left_out`. It finds none, and changes none

    def __repr__(self) -> str:
        return "OwnProgram(...)"


class Job(Struct, frozen=True, kw_only=True):
    """One program to run in a workspace, of which it may write all but what is protected."""

    argv: tuple[str, ...]
    timeout_s: float
    network: bool = False
    output_bytes: int = 8 * 1024 * 1024  # kept of each stream; the rest is counted
    own: OwnProgram | None = None  # None: a stranger's wish, behind walls


class Ground(Struct, frozen=True, kw_only=True):
    """Where a job runs. Without an `upper` it writes to `folder` itself, of which then nothing is protected.

    With one, `folder` stays as it is: what the job writes goes to the upper layer, which outlives it.
    """

    folder: str  # an absolute real path: the root of what the job works on, and its working directory
    readable: tuple[str, ...] = ()  # absolute paths that it may read beside the folder and the system
    upper: str | None = None  # absolute
    lower: str | None = None  # absolute: what lies at `folder` for the job, instead of the folder itself
    linked: tuple[str, ...] = ()  # paths from the root: folders of `folder` that it sees and cannot write


class JobRunner(Protocol):
    """Runs jobs, behind walls or without any: whoever makes one says which."""

    async def run(self, job: Job, ground: Ground) -> CommandEnd:
        """Returns when nothing of it is left. Cancelled, it is killed first.

        Raises CommandUnavailable where it cannot be run here, or not held well enough: OverlayUnavailable, if it could
        be run without an upper layer.
        """
        ...


class LayerEntry(Struct, frozen=True, kw_only=True):
    """One name that lies in an upper layer."""

    path: str  # from the root
    kind: str  # file, folder, opaque (a folder that hides what lies below it), link, gone, other
    mode: int  # permission bits


class UpperLayers(Protocol):
    """What commands wrote into upper layers. All methods block. Nobody calls one while a job runs on the same layer."""

    def files(self, upper: str) -> str:
        """The folder in which what was written lies by its path."""
        ...

    def written(self, upper: str) -> Sequence[LayerEntry]:
        """Parents first. Raises ToolFailed where it is more than can be handled."""
        ...

    def put(self, upper: str, lower: str, path: str, data: bytes | None, *, executable: bool) -> None:
        """Make a file of the layer, and the layer; None hides what `lower` has. Raises OSError."""
        ...


class FileMade(Struct, frozen=True, kw_only=True):
    """What became of one file, by its path from the root; None: there is no such file."""

    path: str
    before: bytes | None
    after: bytes | None


class Worked(Protocol):
    """A job that is over: how it ended, and what it did to the workspace, of which nothing has happened yet."""

    @property
    def end(self) -> CommandEnd: ...

    @property
    def files(self) -> tuple[FileMade, ...]:
        """Files that git does not ignore and that are other than before, by path: in this order they can be made.

        At most MAX_FILES of them, of MAX_FILE_BYTES each and MAX_FILES_BYTES together.
        """
        ...

    @property
    def beside(self) -> tuple[str, ...]:
        """Changes that `files` cannot hold, by path: links, modes, empty folders, what is too large to be kept."""
        ...

    @property
    def refused(self) -> tuple[str, ...]:
        """What the job changed and nobody does, by path: secrets, version control, what decides what runs here."""
        ...

    async def put_beside(self) -> None:
        """Make the changes of `beside` in the workspace, and those of what git ignores. To be called after `files`
        were made: some lie where a file of them was.

        Nothing of `files`; what cannot be made is left out.
        """
        ...


class Workbench(Protocol):
    """Where the jobs of one workspace run, on it as it lies. The workspace itself never changes while they do."""

    def working(self, job: Job, over: Mapping[str, bytes | None]) -> AbstractAsyncContextManager[Worked]:
        """Run a job to its end, with some files otherwise (None: absent), which count as what was there before.

        Nobody may edit the workspace until the job is over. Nothing of the job is left after the block, nor after this
        process. Cancelled, the job is killed first. Raises CommandUnavailable where it cannot be run here, and of these
        CommandsRefused where no job is held well enough.
        """
        ...


class Worktree(Protocol):
    """A snapshot of the project for one step: the files that git did not ignore, as they were when it was taken."""

    @property
    def root(self) -> str:
        """Where the files of the snapshot lie. Nobody writes there: changes of the step are kept beside it."""
        ...

    @property
    def tree(self) -> str:
        """The digest of all of them, as `FILE_TREE` gives it."""
        ...

    @property
    def bench(self) -> Workbench:
        """For jobs on the snapshot, one at a time; what they made of ignored files is there for the next one."""
        ...


class Worktrees(Protocol):
    def open(self) -> AbstractAsyncContextManager[Worktree]:
        """A snapshot of the project as it lies now, with edits that nobody has committed. Nobody may edit until it is
        open. Nothing of it is left when the benches are closed, nor after the next start, should this process die.
        """
        ...
