"""Puts together what takes edits back: the store and the files, without a sandbox."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from vibe_workflows.engine import undo
from vibe_workflows.engine.agents.tools.file_state import FileDigests, FileState
from vibe_workflows.engine.agents.tools.project_files import WorkspaceFiles
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.errors import TrustNeeded
from vibe_workflows.engine.island import open_island
from vibe_workflows.engine.model import Run
from vibe_workflows.engine.ports import StoreReader
from vibe_workflows.engine.store.looking import StoreLook, open_look
from vibe_workflows.engine.store.origin import StoreOrigins
from vibe_workflows.engine.store.sqlite import SqliteStore, open_store


def take_back(settings: Settings, find: Callable[[StoreReader], Run], *, dry_run: bool) -> undo.Undo:
    """See `engine.undo`. A kill, or Ctrl-C, leaves each file as it was or as it is to be."""
    return trio.run(_take_back, settings, find, dry_run)


async def _take_back(settings: Settings, find: Callable[[StoreReader], Run], dry_run: bool) -> undo.Undo:
    workspace = Workspace(settings.project_root, None)
    files = WorkspaceFiles(workspace, FileState(workspace, FileDigests(workspace, time.time)))
    origins = StoreOrigins(settings.state_dir)
    if dry_run:
        with open_look(settings.db_path, origins) as look:
            return await _look(look, files, find)
    async with open_island() as island, open_store(settings.db_path, island, origins=origins) as store:
        return await undo.take_back(await _look(store, files, find), store, files)


async def _look(store: SqliteStore | StoreLook, files: WorkspaceFiles, find: Callable[[StoreReader], Run]) -> undo.Undo:
    if not store.reusable:
        raise TrustNeeded(f"{store.warning}. Nothing was taken back: what it says of your files may be anyone's word")
    return await undo.look(find(store.reader), store.reader, files)
