"""file_state: one whole file as a digest, and what happens where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from tests.support.checking import PlainChecker
from vibe_workflows.engine.agents.tools.file_state import MAX_FILE_BYTES, FileDigests, FileState
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.errors import StepFault, ToolDenied, ToolFailed
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import JSON
from vibe_workflows.engine.observe import file_observation, observation_of
from vibe_workflows.engine.ports import Footprint


@pytest.fixture
def state(tmp_path: Path) -> FileState:
    workspace = Workspace(tmp_path, PlainChecker())
    return FileState(workspace, FileDigests(workspace, lambda: 0.0))


def digest(state: FileState, path: str) -> JSON:
    data = trio.run(state.run, {"path": path}).data
    assert isinstance(data, dict)
    return data["digest"]


def test_a_file_is_its_digest_whatever_is_in_it(state: FileState, tmp_path: Path) -> None:
    for contents in (b"", b"text", b"\0\xff" * 300_000):
        (tmp_path / "a").write_bytes(contents)
        assert digest(state, "a") == content_digest(contents)


def test_where_there_is_no_file_there_is_no_digest(state: FileState, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "dangling").symlink_to("nothing")
    assert [digest(state, path) for path in ("none", "none/below", "dangling")] == [None] * 3


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("folder", ToolFailed, "a folder"),
        (".", ToolFailed, "a folder"),
        (".env", ToolDenied, "looks like a secret"),
        ("../x", ToolDenied, "no `..`"),
        ("pipe", ToolDenied, "not a regular file"),
        ("huge", ToolFailed, "larger than"),
        ("huge/below", ToolFailed, "a file lies where one of its folders should be"),
        ("x" * 300, ToolFailed, "too long"),
    ],
)
def test_what_is_no_file_to_digest_is_an_error(
    state: FileState, tmp_path: Path, path: str, kind: type[StepFault], said: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / ".env").write_text("A=1")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(kind, match=said):
        trio.run(state.run, {"path": path})


def test_its_observation_is_the_same_whoever_took_the_look(state: FileState, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    for path, held in (("a", content_digest(b"a")), ("none", None)):
        result = trio.run(state.run, {"path": path})
        assert observation_of(state, {"path": path}, result) == file_observation(path, held)


def test_it_depends_on_the_file_where_it_really_lies(state: FileState, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a")
    (tmp_path / "link").symlink_to("real")
    assert state.footprint({"path": "link"}) == Footprint(path="real")
    assert state.footprint({"path": "../x"}) == Footprint(path="../x")
