"""Every path is confined below the root, and only regular files are opened."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest
import trio

from tests.support.checking import PlainChecker
from tests.support.projects import Project
from vibe_workflows.engine.agents.tools.workspace import INLINE_BYTES, Place, Workspace, visible
from vibe_workflows.engine.errors import ToolDenied, ToolFailed

SECRET = "the-secret-outside"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (tmp_path / "project").mkdir()
    (tmp_path / "project-sibling").mkdir()
    (tmp_path / "project-sibling" / "a.txt").write_text(SECRET)
    project = Project(tmp_path / "project")
    project.write("a.txt", "inside\n")
    project.write("src/b.txt", "b\n")
    return project


def _link(project: Project, name: str, target: str | Path) -> None:
    (project.root / name).symlink_to(target)


@pytest.mark.parametrize("tool", ["read_file", "list_files", "glob", "grep"])
@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/",
        "//etc/passwd",
        "..",
        "../outside/secret.txt",
        "../project-sibling/a.txt",
        "src/../../outside",
        "src/../a.txt",  # inside, but refused as well: with a link in it `..` means something else
        "a\0b",
        "src/\0",
        "/proc/self/root/etc",
    ],
)
def test_a_path_that_is_not_plainly_below_the_root_is_denied(project: Project, tool: str, path: str) -> None:
    with pytest.raises(ToolDenied):
        project.call(tool, path=path, **({"pattern": "x"} if tool in ("glob", "grep") else {}))


@pytest.mark.parametrize("path", ["x" * 10_000_000, "\x01" * 5_000, "a/" * 2_049])
def test_a_path_without_end_is_refused_in_few_words(project: Project, path: str) -> None:
    with pytest.raises(ToolFailed, match="at most 4,096 characters") as failed:
        project.call("read_file", path=path)
    assert len(failed.value.message) < 300


@pytest.mark.parametrize(
    "target",
    ["../outside", "/", "/etc", "/proc/self/root", "/proc/self/cwd", "/dev", "../project-sibling", "src/../.."],
)
def test_a_link_that_leads_out_is_denied_and_not_followed(project: Project, target: str) -> None:
    _link(project, "link", target)
    for path in ("link", "link/secret.txt", "link/passwd", "link/a.txt", "link/nothing-there"):
        for tool in ("read_file", "list_files", "glob", "grep"):
            with pytest.raises(ToolDenied) as denied:
                project.call(tool, path=path, **({"pattern": "."} if tool in ("glob", "grep") else {}))
            assert SECRET not in denied.value.message
            assert str(project.root) not in denied.value.message


def test_a_chain_of_links_is_judged_by_its_end(project: Project) -> None:
    _link(project, "one", "two")
    _link(project, "two", "../outside/secret.txt")
    _link(project, "three", "src/four")
    _link(project, "src/four", "../a.txt")
    with pytest.raises(ToolDenied):
        project.call("read_file", path="one")
    assert project.data("read_file", path="three")["text"] == "inside\n"


def test_a_link_that_leads_nowhere_or_to_itself_is_an_error_and_no_hang(project: Project) -> None:
    _link(project, "dangling", "nothing")
    _link(project, "circle", "circle")
    for path in ("dangling", "circle", "circle/x"):
        with pytest.raises((ToolDenied, ToolFailed)):
            project.call("read_file", path=path)


def test_a_link_put_in_place_after_the_check_is_not_followed(project: Project) -> None:
    inside = project.workspace.locate("src/b.txt")
    (project.root / "src" / "b.txt").unlink()
    (project.root / "src").rmdir()
    _link(project, "src", "../outside")
    (project.root.parent / "outside" / "b.txt").write_text(SECRET)

    with pytest.raises(ToolFailed):
        trio.run(lambda: project.workspace.read(inside, limit=100))
    file = Place(path="a.txt", parts=("a.txt",))
    (project.root / "a.txt").unlink()
    _link(project, "a.txt", "../outside/secret.txt")
    with pytest.raises(ToolDenied):
        trio.run(lambda: project.workspace.read(file, limit=100))


def test_pipes_sockets_and_devices_are_denied_at_once(project: Project, tmp_path: Path) -> None:
    os.mkfifo(project.root / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(project.root)  # the address of a Unix socket is short
    try:
        listener.bind("socket")
    finally:
        os.chdir(before)
    with listener:
        for path in ("pipe", "socket"):
            for tool in ("read_file", "grep"):
                with pytest.raises(ToolDenied):
                    project.call(tool, path=path, **({"pattern": "x"} if tool == "grep" else {}))
    _link(project, "null", "/dev/null")
    with pytest.raises(ToolDenied):
        project.call("read_file", path="null")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_inside_of_the_project_is_denied_unopened(project: Project) -> None:
    try:
        os.mknod(project.root / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("devices cannot be made here")
    with pytest.raises(ToolDenied):
        project.call("read_file", path="zero")


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".env.local",
        ".ENV",
        ".envrc",
        "deploy/.env.production",
        "server.pem",
        "tls/private.KEY",
        "id_rsa",
        "id_rsa.pub",
        "keys/id_ed25519",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        "credentials.json",
        "client_secret_1.json",
        ".aws/credentials",
        ".aws/config",
        "home/.ssh/known_hosts",
        ".gnupg/pubring.kbx",
        ".docker/config.json",
        ".config/gcloud/token",
        ".git/config",
        ".GIT/config",
        "sub/.git/HEAD",
        ".git",
        ".hg/hgrc",
        ".vibe/vibe.db",
        ".vibe/agents/a.md",
    ],
)
def test_secrets_and_private_folders_are_denied_by_name_and_through_links(project: Project, path: str) -> None:
    if path != ".git":
        project.write(path, SECRET)
        _link(project, "harmless.txt", path)
        with pytest.raises(ToolDenied):
            project.call("read_file", path="harmless.txt")
    with pytest.raises(ToolDenied):
        project.call("read_file", path=path)
    assert project.data("grep", pattern=SECRET)["matches"] == []


@pytest.mark.parametrize("path", ["environment.py", "keys.py", "pem.md", "service_account.py", "src/key/a.py", "git/x"])
def test_names_that_only_resemble_secrets_are_read(project: Project, path: str) -> None:
    project.write(path, "fine")
    assert project.data("read_file", path=path)["text"] == "fine"


def test_a_secret_name_is_refused_even_where_it_links_to_something_harmless(project: Project) -> None:
    _link(project, ".env", "a.txt")
    with pytest.raises(ToolDenied):
        project.call("read_file", path=".env")


def test_denials_do_not_tell_whether_something_exists_outside(project: Project) -> None:
    _link(project, "out", "../outside")
    messages = set()
    for name in ("secret.txt", "nothing.txt"):
        with pytest.raises(ToolDenied) as denied:
            project.call("read_file", path=f"out/{name}")
        messages.add(denied.value.message.replace(name, "NAME"))
    assert len(messages) == 1


def test_a_root_that_is_itself_a_link_works(project: Project, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(project.root)
    workspace = Workspace(tmp_path / "alias", PlainChecker())
    assert trio.run(lambda: workspace.read(workspace.locate("a.txt"), limit=100)) == b"inside\n"


def test_the_root_of_the_file_system_can_be_a_root() -> None:
    workspace = Workspace(Path("/"), PlainChecker())
    assert workspace.locate("etc/hosts").real_path == "etc/hosts"
    assert workspace.locate(".").real_path == "."


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, 3 * INLINE_BYTES])
def test_a_file_is_read_whole_in_place_and_in_a_thread(project: Project, size: int) -> None:
    content = os.urandom(size)
    project.write("big", content)
    place = project.workspace.locate("big")
    assert trio.run(lambda: project.workspace.read(place, limit=size)) == content
    if size:
        assert trio.run(lambda: project.workspace.read_small(place, limit=size - 1)) is None
        with pytest.raises(ToolFailed, match="larger than"):
            trio.run(lambda: project.workspace.read(place, limit=size - 1))


def test_no_descriptor_is_left_open_whatever_happens(project: Project) -> None:
    os.mkfifo(project.root / "pipe")
    _link(project, "out", "/etc")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a.txt", "src/b.txt", "src", "pipe", "out/passwd", "nothing/at/all", "a.txt/b"):
        for tool in ("read_file", "list_files", "grep"):
            with contextlib.suppress(ToolDenied, ToolFailed):
                project.call(tool, path=path, **({"pattern": "x"} if tool == "grep" else {}))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_cancelled_read_of_a_large_file_closes_it(project: Project) -> None:
    project.write("big", bytes(4 * INLINE_BYTES))
    place = project.workspace.locate("big")
    before = len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await project.workspace.read(place, limit=1 << 30)
        assert scope.cancelled_caught
        await trio.to_thread.run_sync(lambda: None)

    trio.run(main)
    assert len(os.listdir("/proc/self/fd")) == before


def test_names_are_shown_on_one_line() -> None:
    assert visible("a\nb\x1b[31m\u202e") == "a\\nb\\x1b[31m\\u202e"
    assert visible("ä/日本.py") == "ä/日本.py"
