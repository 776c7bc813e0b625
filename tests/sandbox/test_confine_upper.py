"""The upper layer, read and written from outside: nothing that lies in it is a trap."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from vibe_workflows.sandbox.confine import upper as module
from vibe_workflows.sandbox.confine.upper import (
    TooMuchWritten,
    Written,
    WrittenKind,
    folder_of,
    put,
    read,
    take_away,
    target,
    written,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="overlays are mounted on Linux only")


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    (tmp_path / "upper/files").mkdir(parents=True)
    return tmp_path / "upper"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    (folder / "secret").write_text("secret")
    (folder / "inner/file").write_text("x")
    return folder


def kinds(upper: Path) -> dict[str, WrittenKind]:
    return {found.path: found.kind for found in written(upper)}


def test_a_layer_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list(written(tmp_path / "none")) == []
    (tmp_path / "upper").mkdir()
    assert list(written(tmp_path / "upper")) == []
    take_away(tmp_path / "none")


def test_what_was_put_is_told_parents_first_with_its_mode_and_size(upper: Path) -> None:
    put(upper, "z/y/file", b"four")
    put(upper, "z/run", b"#!", executable=True)
    put(upper, "gone", None)
    assert list(written(upper)) == [
        Written("gone", WrittenKind.GONE, 0, 0),
        Written("z", WrittenKind.FOLDER, 0o755, 0),
        Written("z/run", WrittenKind.FILE, 0o755, 2),
        Written("z/y", WrittenKind.FOLDER, 0o755, 0),
        Written("z/y/file", WrittenKind.FILE, 0o644, 4),
    ]
    assert read(upper, "z/y/file", most=4) == b"four"


def test_a_put_takes_the_place_of_whatever_is_there(upper: Path, outside: Path) -> None:
    files = upper / "files"
    (files / "folder/in/it").mkdir(parents=True)
    (files / "link").symlink_to(outside / "secret")
    os.mkfifo(files / "pipe")
    put(upper, "gone", None)
    for name in ("folder", "link", "pipe", "gone"):
        put(upper, name, b"put")
        assert read(upper, name, most=3) == b"put"
    put(upper, "folder", None)
    assert kinds(upper)["folder"] is WrittenKind.GONE
    assert (outside / "secret").read_text() == "secret"


def test_a_put_below_what_hides_a_folder_hides_it_still(upper: Path, outside: Path) -> None:
    (upper / "files/link").symlink_to(outside)
    put(upper, "gone", None)
    put(upper, "link/secret", b"put")
    put(upper, "gone/file", b"put")
    assert kinds(upper) == {
        "gone": WrittenKind.OPAQUE,
        "gone/file": WrittenKind.FILE,
        "link": WrittenKind.OPAQUE,
        "link/secret": WrittenKind.FILE,
    }
    assert (outside / "secret").read_text() == "secret"


def test_folders_on_the_way_get_the_modes_that_they_have_below(upper: Path, outside: Path) -> None:
    lower = outside / "lower"
    (lower / "a/b").mkdir(parents=True)
    (lower / "a").chmod(0o750)
    (lower / "a/b").chmod(0o700)
    (lower / "a/link").symlink_to(outside / "inner")
    outside.joinpath("inner").chmod(0o711)
    put(upper, "a/b/c/d", b"", like=lower)
    put(upper, "a/link/x", b"", like=lower)
    modes = {found.path: found.mode for found in written(upper)}
    assert [modes[name] for name in ("a", "a/b", "a/b/c", "a/link")] == [0o750, 0o700, 0o755, 0o755]


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../outside/secret", "a/../../outside/secret", "a//b", "a/.", "a\0"]
)
def test_a_path_that_leads_elsewhere_is_no_path(upper: Path, outside: Path, path: str) -> None:
    for call in (lambda: read(upper, path, most=9), lambda: put(upper, path, b""), lambda: target(upper, path)):
        with pytest.raises(ValueError, match="no path"):
            call()


def test_no_link_is_followed(upper: Path, outside: Path) -> None:
    (upper / "files/link").symlink_to(outside / "secret")
    (upper / "files/folder").symlink_to(outside)
    for path in ("link", "folder/secret"):
        with pytest.raises(OSError, match=r"no file|Not a directory|symbolic links"):
            read(upper, path, most=100)
    assert kinds(upper) == {"folder": WrittenKind.LINK, "link": WrittenKind.LINK}
    assert target(upper, "link") == str(outside / "secret")
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"), folder_of(upper, "folder/secret"):
        pass
    take_away(upper)
    assert (outside / "secret").exists()


def test_a_layer_that_is_a_link_is_not_entered(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "upper").symlink_to(outside)
    for call in (lambda: list(written(tmp_path / "upper")), lambda: take_away(tmp_path / "upper")):
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            call()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/files").symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        list(written(tmp_path / "other"))
    take_away(tmp_path / "other")
    assert (outside / "inner/file").exists()


def test_what_is_no_file_is_not_read_nor_waited_for(upper: Path) -> None:
    os.mkfifo(upper / "files/pipe")
    (upper / "files/folder").mkdir()
    put(upper, "gone", None)
    for name in ("pipe", "folder", "gone"):
        with pytest.raises(OSError, match="no file"):
            read(upper, name, most=100)
    with pytest.raises(FileNotFoundError):
        read(upper, "none", most=100)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a device")
def test_a_device_is_not_taken_for_what_was_removed(upper: Path) -> None:
    os.mknod(upper / "files/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert kinds(upper) == {"null": WrittenKind.OTHER}
    with pytest.raises(OSError, match="no file"):
        read(upper, "null", most=100)


def test_no_more_is_read_than_asked_for(upper: Path) -> None:
    put(upper, "file", b"12345")
    assert read(upper, "file", most=5) == b"12345"
    put(upper, "sparse", b"")
    os.truncate(upper / "files/sparse", 1 << 40)
    for name, most in (("file", 4), ("sparse", 1 << 20), ("file", 0)):
        with pytest.raises(TooMuchWritten, match="more than"):
            read(upper, name, most=most)


def test_no_more_names_are_told_than_a_bound(upper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WRITTEN", 6)
    for number in range(6):
        put(upper, f"{number % 2}/{number}", b"")
    with pytest.raises(TooMuchWritten, match="more than 6"):
        list(written(upper))
    for number in range(7):
        put(upper, f"0/{number}", b"")
    with pytest.raises(TooMuchWritten, match="one folder"):
        list(written(upper))


def test_folders_that_nest_without_end_are_refused_and_removed() -> None:
    upper = Path(f"/dev/shm/vibe-test-deep-{os.getpid()}")  # elsewhere it takes seconds
    (upper / "files").mkdir(parents=True)
    here = os.open(upper / "files", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("n", dir_fd=here)
        inner = os.open("n", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(TooMuchWritten, match="deep"):
        list(written(upper))
    take_away(upper)
    assert not upper.exists()


def test_names_that_are_no_text_are_told_and_read(upper: Path) -> None:
    name = os.fsdecode(b"\xff\n\\x")
    put(upper, f"{name}/{name}", b"x")
    assert list(kinds(upper)) == [name, f"{name}/{name}"]
    assert read(upper, f"{name}/{name}", most=1) == b"x"


def test_nothing_stays_open(upper: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    put(upper, "a/b/c", b"x")
    next(iter(written(upper)))
    list(written(upper))
    read(upper, "a/b/c", most=1)
    with pytest.raises(FileNotFoundError):
        read(upper, "a/b/d", most=1)
    take_away(upper)
    assert sorted(os.listdir("/proc/self/fd")) == before
