"""A project that nobody has edited yet, and the hands of one step in it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.events import ScriptRestarted
from vibe_workflows.engine.journal import Journal
from vibe_workflows.engine.model import RunId, StepId
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.timeline.epochs import Epochs
from vibe_workflows.engine.timeline.hands import StepHands
from vibe_workflows.engine.timeline.order import NOTHING_YET
from vibe_workflows.engine.timeline.own_edits import OwnEdits
from vibe_workflows.engine.timeline.project import Project
from vibe_workflows.engine.timeline.timeline import Timeline, Witness

from .checking import PlainChecker


def _never(told: ScriptRestarted) -> None:
    raise AssertionError(f"nothing was answered that could be wrong: {told}")


def new_project(journal: Journal, root: Path = Path("."), clock: Callable[[], float] = lambda: 0.0) -> Project:
    workspace = Workspace(root, PlainChecker())
    state = FileState(workspace, FileDigests(workspace, clock))
    return Project(
        run_id=RunId("r1"),
        timeline=Timeline(OwnEdits({}, {}), Replayer([state])),
        epochs=Epochs(clock, 0),
        files=WorkspaceFiles(workspace, state),
        contents=lambda digest: None,
        journal=journal,
        start_over=_never,
    )


_numbers = count(1)


def new_witness(step: str | None = None) -> Witness:
    return Witness(StepId(step or f"w{next(_numbers)}"), NOTHING_YET)


def hands(project: Project) -> StepHands:
    return StepHands(project, new_witness(), 1)
