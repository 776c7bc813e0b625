"""What a rerun of steps that edited files looks at."""

from __future__ import annotations

import pytest
import trio

from tests.support.dict_project import DictFiles
from tests.support.rules_world import world
from tests.support.script_trees import Call, Several

STEPS = 30


def test_a_rerun_looks_at_each_edited_file_as_often_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = DictFiles.digest
    looked: list[str] = []

    async def counted(files: DictFiles, path: str) -> str | None:
        looked.append(path)
        return await digest(files, path)

    tree = Several(False, tuple(Call(f"S{n}", ((("edit", f"{n}.py"),),)) for n in range(STEPS)))

    async def main() -> None:
        with world({}) as project:
            await project.run(tree)
            monkeypatch.setattr(DictFiles, "digest", counted)
            again = await project.run(tree)
            assert again.turns == 0

    trio.run(main)
    assert len(looked) == 2 * STEPS, "when the run opens the project, and before its first decision"
