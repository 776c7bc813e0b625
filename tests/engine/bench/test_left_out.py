"""What is left out of copies, by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vibe_workflows.engine.bench.left_out import LeftOut
from vibe_workflows.engine.errors import ToolFailed


def _files(top: Path) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir() or path.is_symlink())


def test_a_name_counts_in_any_folder_and_case_and_what_only_looks_like_it_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    top = tmp_path / "top"
    for path in ("a/.Tool/x", ".tool", ".tools", "b/.ENV.local", "env", "c/tool", ".t\u200cool/y"):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text("")
    (top / "b/.tool").symlink_to(outside)
    (top / "b/link").symlink_to(outside)
    LeftOut([".tool", ".Env*"]).remove_from(str(top))
    assert _files(top) == [".tools", "b/link", "c/tool", "env"]
    assert _files(outside) == ["kept"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks through every folder")
@pytest.mark.parametrize("hidden", ["sub", "."])
def test_a_folder_whose_files_open_but_which_cannot_be_listed_is_refused(tmp_path: Path, hidden: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / hidden / ".tool").write_text("")
    (tmp_path / hidden).chmod(0o111)
    try:
        with pytest.raises(ToolFailed, match="cannot be listed"):
            LeftOut([".tool"]).remove_from(str(tmp_path))
    finally:
        (tmp_path / hidden).chmod(0o755)
