"""What the wiring answers to the commands that look and do not run.

Named tuples, since `vibe list` has 0.15 s, and a dataclass takes one of its milliseconds to define.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vibe_workflows.catalog.discovery import SkippedFile, WorkflowFile
    from vibe_workflows.catalog.metadata import Metadata
    from vibe_workflows.engine.agents.profiles import Hiding
    from vibe_workflows.engine.trust import ConfigOffer


class ListedWorkflow(NamedTuple):
    """A workflow file that can be named, with what it says of itself; `problem` is why it cannot be run by its name."""

    file: WorkflowFile
    metadata: Metadata
    problem: str = ""


class WorkflowList(NamedTuple):
    workflows: tuple[ListedWorkflow, ...]
    skipped: tuple[SkippedFile, ...]
    switched_off: tuple[str, ...] = ()  # names of built-in ones ...
    switched_off_by: str = ""  # ... and the setting, with its place


class WorkflowOffer(NamedTuple):
    """A project's workflow that takes somebody else's name. `digest` is that of the content shown."""

    file: WorkflowFile
    digest: str


class TrustReport(NamedTuple):
    """What `vibe trust` would let count."""

    project: Path
    config: ConfigOffer | None = None  # None: no file, none of its keys needs trust, or it is trusted already
    workflows: tuple[WorkflowOffer, ...] = ()
    profiles: tuple[Hiding, ...] = ()
    store: Path | None = None  # set where its answers are not reused ...
    store_problem: str = ""  # ... and why
    trusted: tuple[str, ...] = ()  # paths of this project that are trusted already

    @property
    def nothing_to_decide(self) -> bool:
        return self.config is None and not self.workflows and not self.profiles and self.store is None


class AgentStanding(NamedTuple):
    """A configured agent CLI, looked at without starting it."""

    name: str
    enabled: bool
    program: str  # its path, or what is not there
    problem: str  # why it cannot be started; empty where nothing is known against it


class McpStanding(NamedTuple):
    """A configured MCP server, looked at without starting it."""

    name: str
    target: str  # the program's path, or the address
    problem: str  # why it cannot be used; empty where nothing is known against it
    tools: tuple[str, ...] | None  # as it listed them last; None: never
