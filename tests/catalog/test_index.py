"""The index is a cache: right where it knows, silent where it does not."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vibe_workflows.catalog import index as index_module
from vibe_workflows.catalog.index import Index

REPORT = {"docstring": "Hi.", "meta": {"phases": ["ä"]}, "problems": []}


def test_what_was_kept_is_known_to_the_next_process(tmp_path: Path) -> None:
    with Index(tmp_path / "vibe") as index:
        assert index.reports(["a"]) == {}
        index.keep_reports({"a": REPORT, "b": {}})
        index.keep_memo("args", "a", "[1]")
    with Index(tmp_path / "vibe") as index:
        assert index.reports(["a", "b", "c"]) == {"a": REPORT, "b": {}}
        assert index.memo("args", "a") == "[1]"
        assert index.memo("other", "a") is None
    assert stat.S_IMODE((tmp_path / "vibe" / "index.db").stat().st_mode) == 0o600


def test_looking_makes_no_file(tmp_path: Path) -> None:
    with Index(tmp_path / "vibe") as index:
        assert index.memo("args", "a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_new_format_of_reports_knows_none_of_the_old(tmp_path: Path) -> None:
    with Index(tmp_path, report_format=1) as index:
        index.keep_reports({"a": REPORT})
    with Index(tmp_path, report_format=2) as index:
        assert index.reports(["a"]) == {}


@pytest.mark.parametrize("damage", ["garbage", "other tables", "newer", "cut"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "index.db"
    with Index(tmp_path) as index:
        index.keep_reports({str(number): REPORT for number in range(2000)})
    if damage == "garbage":
        file.write_bytes(b"no database at all" * 100)
    elif damage == "cut":
        os.truncate(file, file.stat().st_size // 2)
    else:
        file.unlink()
        other = sqlite3.connect(file)
        other.execute("CREATE TABLE reports (x)" if damage == "other tables" else "PRAGMA user_version = 9")
        other.commit()
        other.close()
    with Index(tmp_path) as index:
        index.reports(["a"])
        index.keep_reports({"a": REPORT})
        index.keep_reports({"a": REPORT})
        assert index.reports(["a"]) == {"a": REPORT}


def test_a_cache_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Index(tmp_path / "file" / "vibe") as index:
        index.keep_reports({"a": REPORT})
        assert index.reports(["a"]) == {}
        index.keep_memo("args", "a", "1")
        assert index.memo("args", "a") is None


def test_an_index_that_another_process_holds_is_no_error(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        index.keep_memo("args", "a", "1")
    other = sqlite3.connect(tmp_path / "index.db")
    other.execute("BEGIN EXCLUSIVE")
    with Index(tmp_path) as index:
        index.keep_memo("args", "b", "2")
        assert index.memo("args", "a") is None
    other.close()
    with Index(tmp_path) as index:
        assert index.memo("args", "a") == "1"


def test_the_oldest_memos_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_MOST_MEMOS", 3)
    with Index(tmp_path) as index:
        for number in range(6):
            index.keep_memo("args", str(number), "1")
        index.keep_memo("args", "4", "2")
        assert [index.memo("args", str(number)) for number in range(6)] == [None, None, None, None, "2", "1"]


def test_text_that_no_database_can_hold_is_not_kept(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        index.keep_memo("args", "a", "\ud800")
        assert index.memo("args", "a") is None
        index.keep_memo("args", "b", "1")
        assert index.memo("args", "b") == "1"


def test_listing_with_a_warm_index_imports_nothing_heavy() -> None:
    heavy = {"msgspec", "trio", "asyncio", "rich", "jsonschema", "yaml", "vibe_workflows.sandbox"}
    script = (
        "import sys\nfrom vibe_workflows.catalog import arguments, discovery, metadata\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
