"""Paths that a script attaches become files with a digest, and contents that must still have it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.checking import PlainChecker
from tests.support.sample_files import PDF, PNG, SAMPLES
from vibe_workflows.engine import attachments as module
from vibe_workflows.engine.agents.tools import known_files
from vibe_workflows.engine.agents.tools.workspace import INLINE_BYTES, Workspace
from vibe_workflows.engine.attachments import MAX_BYTES, MIB, Attachments, Looked
from vibe_workflows.engine.errors import Conflict, SetupError, StepFault, ToolDenied
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import FilePart

AN_HOUR_LATER = time.time() + 3_600


class Desk:
    """A project, and the attachments of one run in it, whose clock stands at `now`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = AN_HOUR_LATER
        self.files = Attachments(Workspace(root, PlainChecker()), lambda: self.now)

    def write(self, path: str, content: bytes | str = b"text\n") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def look(self, *paths: str) -> Looked:
        (found,) = trio.run(self.files.look, [paths])
        return found

    def parts(self, *paths: str) -> tuple[FilePart, ...]:
        found = self.look(*paths)
        assert not isinstance(found, StepFault), found.message
        return found

    def fault(self, kind: type[StepFault], *paths: str) -> str:
        found = self.look(*paths)
        assert type(found) is kind, found
        return found.message


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "project").mkdir()
    (tmp_path / "outside.txt").write_text("outside")
    return Desk(tmp_path / "project")


@pytest.fixture
def digested(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were read to be digested."""
    sizes: list[int] = []
    real = module._digest

    def counting(file: int) -> Any:
        sizes.append(os.fstat(file).st_size)
        return real(file)

    monkeypatch.setattr(desk.files._known, "_digest", counting)
    return sizes


# ---------------------------------------------------------------- what they are


@pytest.mark.parametrize("media_type", SAMPLES)
def test_a_file_is_described_by_its_contents_and_never_by_its_name(desk: Desk, media_type: str) -> None:
    contents = SAMPLES[media_type]
    desk.write("docs/thing.exe", contents)
    assert desk.parts("docs/thing.exe") == (
        FilePart(path="docs/thing.exe", media_type=media_type, digest=content_digest(contents), size=len(contents)),
    )


def test_another_kind_is_an_error_that_names_the_kinds(desk: Desk) -> None:
    desk.write("picture.png", b"PK\x03\x04 an archive\0")
    message = desk.fault(SetupError, "picture.png")
    assert "picture.png" in message
    assert "png, jpg, gif, webp, pdf, or UTF-8 text" in message


def test_a_large_file_is_read_in_pieces_and_described_the_same(desk: Desk) -> None:
    contents = ("ü" * (2 * MIB)).encode() + b"end"  # a character lies across every odd cut
    desk.write("large.txt", b"x" + contents)
    (part,) = desk.parts("large.txt")
    assert part.digest == content_digest(b"x" + contents)
    assert part.media_type == "text/plain"
    desk.write("large.txt", b"x" + contents + b"\xff")
    desk.fault(SetupError, "large.txt")


def test_files_keep_their_order_and_one_that_is_named_twice_goes_along_once(desk: Desk) -> None:
    for name in "abc":
        desk.write(f"{name}.txt", name)
    assert [part.path for part in desk.parts("c.txt", "a.txt", "./c.txt", "b.txt", "a.txt")] == [
        "c.txt",
        "a.txt",
        "b.txt",
    ]


def test_an_empty_file_goes_along(desk: Desk) -> None:
    desk.write("__init__.py", b"")
    (part,) = desk.parts("__init__.py")
    assert (part.size, part.media_type) == (0, "text/plain")


def test_a_link_inside_of_the_project_is_followed(desk: Desk) -> None:
    desk.write("real.png", PNG)
    (desk.root / "link.txt").symlink_to("real.png")
    (part,) = desk.parts("link.txt")
    assert (part.path, part.media_type) == ("link.txt", "image/png")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside.txt",
        "docs/../../outside.txt",
        ".env",
        "config/.env.production",
        "id_rsa",
        "keys/server.pem",
        ".git/config",
        ".GIT/config",
        ".vibe/vibe.db",
        "link-out",
        "folder-out/outside.txt",
        "link-to-secret",
        "a\0b",
    ],
)
def test_what_no_tool_may_read_is_denied(desk: Desk, path: str) -> None:
    for name in (".env", "config/.env.production", "id_rsa", "keys/server.pem", ".git/config", ".vibe/vibe.db"):
        desk.write(name, "TOKEN=secret")
    (desk.root / "link-out").symlink_to("../outside.txt")
    (desk.root / "folder-out").symlink_to("..")
    (desk.root / "link-to-secret").symlink_to(".env")
    assert "secret\n" not in desk.fault(ToolDenied, path)


def test_pipes_and_devices_are_denied_and_not_opened(desk: Desk) -> None:
    os.mkfifo(desk.root / "pipe")
    assert "not a regular file" in desk.fault(ToolDenied, "pipe")
    (desk.root / "zero").symlink_to("/dev/zero")
    assert "leads out of the project" in desk.fault(ToolDenied, "zero")
    (desk.root / "circle").symlink_to("circle")
    assert "not a regular file" in desk.fault(ToolDenied, "circle")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.png", "no such file"),
        ("text.txt/below", "no such file"),
        ("docs", "a folder"),
        (".", "a folder"),
        ("dangling", "no such file"),
        ("x" * 300, "File name too long"),
        ("caf\udce9.txt", "not a path in UTF-8"),
        ("\ud800", ""),
    ],
)
def test_what_is_not_there_is_for_the_author_to_mend(desk: Desk, path: str, said: str) -> None:
    desk.write("text.txt")
    desk.write("docs/inner.txt")
    desk.write(os.fsdecode(b"caf\xe9.txt"))
    (desk.root / "dangling").symlink_to("nothing")
    found = desk.look("text.txt", path)
    assert isinstance(found, SetupError | ToolDenied)
    assert isinstance(found, SetupError) or path == "\ud800", "a path that no system call takes is denied"
    assert said in found.message
    found.message.encode()  # can be told to anyone


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_for_the_author_to_mend(desk: Desk) -> None:
    desk.write("closed.txt").chmod(0)
    assert "permission denied" in desk.fault(SetupError, "closed.txt")


def test_twenty_megabytes_go_along_in_all_and_not_a_byte_more(desk: Desk, digested: list[int]) -> None:
    desk.write("half.txt", b"x" * (MAX_BYTES // 2))
    desk.write("other.txt", b"y" * (MAX_BYTES // 2))
    assert sum(part.size for part in desk.parts("half.txt", "other.txt")) == MAX_BYTES
    desk.write("one.txt", b"z")
    digested.clear()
    message = desk.fault(SetupError, "one.txt", "other.txt", "half.txt")
    assert "20 MB at most" in message
    assert "half.txt (10.0 MB), " in message
    assert not digested, "nothing was read for that"


def test_a_huge_file_is_refused_by_its_size(desk: Desk, digested: list[int]) -> None:
    with desk.write("sparse.bin").open("wb") as file:
        file.truncate(1 << 40)
    assert "1,048,576.0 MB in all" in desk.fault(SetupError, "sparse.bin")
    assert not digested


def test_a_file_that_grows_beyond_the_limit_while_it_is_read_is_not_followed_to_its_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = desk.write("log.txt", b"x" * MIB)
    read = os.read

    def growing(file: int, size: int) -> bytes:
        with target.open("ab") as more:
            more.write(b"x" * MIB)
        return read(file, size)

    monkeypatch.setattr(os, "read", growing)
    assert "changes while it is read" in desk.fault(Conflict, "log.txt")
    assert target.stat().st_size < 2 * MAX_BYTES


def test_files_that_grew_after_they_were_measured_are_counted_as_they_were_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt"):
        desk.write(name, b"x" * (MAX_BYTES // 2 + 1))
    small = desk.write("c.txt", b"").stat()
    monkeypatch.setattr(desk.files, "_stat", lambda _place: small)
    assert "20.0 MB in all" in desk.fault(SetupError, "a.txt", "b.txt")


def test_one_step_s_error_is_not_another_s(desk: Desk) -> None:
    desk.write("a.txt")
    good, bad, again = trio.run(desk.files.look, [("a.txt",), ("a.txt", "b.txt"), ("a.txt",)])
    assert isinstance(bad, SetupError)
    assert good == again == desk.parts("a.txt")


# ---------------------------------------------------------------- how often they are read


def test_a_thousand_steps_over_the_same_files_read_each_once(desk: Desk, digested: list[int]) -> None:
    paths = tuple(f"{number}.txt" for number in range(5))
    for path in paths:
        desk.write(path, path)
    desk.now = 0.0  # the files are as young as can be
    wanted = [paths] * 500 + [paths[::-1]] * 500
    looked = trio.run(desk.files.look, wanted)
    assert len(looked) == 1_000
    assert len(digested) == 5


def test_a_file_that_rests_is_read_once_a_run(desk: Desk, digested: list[int]) -> None:
    desk.write("a.txt", "one")
    assert desk.parts("a.txt") == desk.parts("a.txt")
    assert len(digested) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("two"),
        lambda path: (path.with_name("new").write_text("two"), path.with_name("new").rename(path)),
    ],
    ids=["written", "replaced"],
)
def test_a_change_shows_even_if_size_and_modification_time_are_set_back(
    desk: Desk, change: Callable[[Path], object]
) -> None:
    path = desk.write("a.txt", "one")
    os.utime(path, (1, 1))
    before = desk.parts("a.txt")
    change(path)
    os.utime(path, (1, 1))
    (after,) = desk.parts("a.txt")
    assert after.digest == content_digest(b"two")
    assert before != (after,)


def test_the_digest_of_a_file_that_has_just_changed_is_not_kept(
    desk: Desk, digested: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a file system whose clock stands still between two changes.
    monkeypatch.setattr(known_files, "_signature", lambda found: (0, 0, found.st_size, 0, 0))
    path = desk.write("a.txt", "one")
    desk.now = time.time()
    first = desk.parts("a.txt")
    path.write_text("two")
    assert desk.parts("a.txt") != first
    assert len(digested) == 2


def test_a_file_that_changes_while_it_is_read_is_a_conflict(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.write("a.txt", "one")
    real = module._digest

    def interrupted(file: int) -> Any:
        found = real(file)
        path.write_text("another one")
        return found

    monkeypatch.setattr(desk.files._known, "_digest", interrupted)
    assert "a.txt: it changes while it is read" in desk.fault(Conflict, "a.txt")


# ---------------------------------------------------------------- what is in them


def test_contents_are_those_of_the_key_and_let_go_at_the_end(desk: Desk) -> None:
    desk.write("a.pdf", PDF)
    desk.write("large.txt", b"y" * (INLINE_BYTES + 1))
    parts = desk.parts("a.pdf", "large.txt")

    async def main() -> None:
        assert not desk.files._held, "a digest keeps no contents"
        async with desk.files.held(parts) as contents:
            assert dict(contents) == {parts[0].digest: PDF, parts[1].digest: b"y" * (INLINE_BYTES + 1)}
        assert not desk.files._held

    trio.run(main)


def test_steps_that_run_at_the_same_time_share_the_contents(desk: Desk) -> None:
    desk.write("a.txt", b"z" * (INLINE_BYTES + 1))
    (part,) = desk.parts("a.txt")
    seen: list[bytes] = []

    async def step(let_go: trio.Event) -> None:
        async with desk.files.held((part, part)) as contents:
            seen.append(contents[part.digest])
            await let_go.wait()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            ends = [trio.Event() for _ in range(10)]
            for end in ends:
                nursery.start_soon(step, end)
            while len(seen) < len(ends):
                await trio.testing.wait_all_tasks_blocked()
            assert len({id(contents) for contents in seen}) == 1
            for end in ends[:-1]:
                end.set()
            await trio.testing.wait_all_tasks_blocked()
            assert list(desk.files._held) == [part.digest], "the last one still has it"
            ends[-1].set()
        assert not desk.files._held

    trio.run(main)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("two"),
        lambda path: path.write_text("one and more"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.with_name("b.txt").write_text("two"), path.unlink(), path.symlink_to("b.txt")),
    ],
    ids=["changed", "grown", "gone", "a folder", "a link to another"],
)
def test_a_file_that_changed_before_its_step_began_is_a_conflict(desk: Desk, change: Callable[[Path], object]) -> None:
    path = desk.write("a.txt", "one")
    parts = desk.parts("a.txt")
    change(path)

    async def main() -> None:
        with pytest.raises(Conflict, match=r"a\.txt: it changed between"):
            async with desk.files.held(parts):
                pass
        assert not desk.files._held

    trio.run(main)


def test_a_link_that_was_put_in_place_of_a_file_meanwhile_leads_nowhere(desk: Desk) -> None:
    path = desk.write("a.txt", "one")
    desk.write(".env", "one")
    parts = desk.parts("a.txt")
    path.unlink()
    path.symlink_to(".env")

    async def main() -> None:
        with pytest.raises(ToolDenied):
            async with desk.files.held(parts):
                pass

    trio.run(main)


def test_a_step_that_is_cut_off_lets_go_of_what_it_had(desk: Desk) -> None:
    desk.write("a.txt", "one")
    parts = desk.parts("a.txt")

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with desk.files.held(parts):
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert not desk.files._held

    trio.run(main)
