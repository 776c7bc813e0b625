"""A command on a copy-on-write view: it sees the project, changes what it likes, and the project stays as it is."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.attacks.overlay_harness import kinds, state
from tests.support.confined import run, running, shell
from vibe_workflows.sandbox.confine import (
    ALL_LAYERS,
    FLOOR_LAYERS,
    CommandEnd,
    CommandLimits,
    Confinement,
    ConfinementRefused,
    Level,
    NoOverlay,
    removal,
    run_confined,
)
from vibe_workflows.sandbox.confine.layers import LANDLOCK, MOUNTS, OVERLAY
from vibe_workflows.sandbox.confine.upper import WrittenKind, put, read, take_away, written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
FILE, FOLDER, OPAQUE, GONE = WrittenKind.FILE, WrittenKind.FOLDER, WrittenKind.OPAQUE, WrittenKind.GONE
MIB = 1 << 20


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return make(tmp_path / "project")


def make(folder: Path) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src/a").write_text("a\n")
    (folder / "src/b").write_text("b\n")
    return folder


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    return tmp_path / "upper"


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """On a disk that hardly anybody else uses."""
    folder = Path(f"/dev/shm/vibe-test-{os.getpid()}")
    yield folder
    take_away(folder)


def on_view(script: str, project: Path, upper: Path, **more: Any) -> CommandEnd:
    options = {name: more.pop(name) for name in ("layers", "cwd") if name in more}
    return shell(script, project, policy=Confinement(project=project, upper=upper, **more), **options)


def test_what_a_command_writes_is_seen_by_it_and_told_and_the_project_stays(project: Path, upper: Path) -> None:
    before = state(project)
    end = on_view("echo new > src/a && rm src/b && mkdir out && echo x > out/x && cat src/a out/x", project, upper)
    assert (end.exit_code, end.stdout, end.level) == (0, b"new\nx\n", Level.STRONG), end.stderr
    assert end.layers[OVERLAY]
    assert state(project) == before
    assert kinds(upper, project) == {"out": FOLDER, "out/x": FILE, "src": FOLDER, "src/a": FILE, "src/b": GONE}
    assert read(upper, "src/a", most=100) == b"new\n"


def test_without_an_upper_folder_no_overlay_is_told_of(project: Path) -> None:
    assert OVERLAY not in shell("true", project).layers


def test_a_later_command_goes_on_from_what_lies_there(project: Path, upper: Path) -> None:
    on_view("rm src/a; mkdir made; echo one > made/x", project, upper)
    end = on_view("echo two >> x; ls ../src; cat x", project, upper, cwd=project / "made")
    assert end.stdout == b"b\none\ntwo\n", "where it begins is there in the view only"
    assert read(upper, "made/x", most=100) == b"one\ntwo\n"


def test_what_was_put_there_before_is_what_the_command_finds(project: Path, upper: Path) -> None:
    (project / "src").chmod(0o775)
    put(upper, "src/a", b"#!/bin/sh\necho put\n", executable=True, like=project)
    put(upper, "src/b", None, like=project)
    put(upper, "src/deep/er/c", b"c", like=project)
    end = on_view("src/a; ls src; cat src/deep/er/c; stat -c ' %a' src", project, upper)
    assert end.stdout.split() == [b"put", b"a", b"deep", b"c", b"775"], end.stderr


@pytest.mark.parametrize("present", [True, False], ids=["that are there", "that are not"])
def test_protected_names_stay_as_they_are_and_are_not_told_of(project: Path, upper: Path, present: bool) -> None:
    if present:
        for name in (".git", ".vibe", ".claude"):
            (project / name).mkdir()
        (project / "vibe.yaml").write_text("as it was")
    before = state(project)
    names = ".git .vibe .claude vibe.yaml"
    end = on_view(
        "for n in .git .vibe .claude; do echo x > $n/x; done; echo x > vibe.yaml; "
        f"for n in {names}; do rm -rf $n; mv $n moved; mv src $n; ln -sfn src $n; chmod 777 $n; touch $n; done; "
        f"ls -d {names} src",
        project,
        upper,
    )
    assert end.stdout.split() == [b".claude", b".git", b".vibe", b"src", b"vibe.yaml"]
    assert state(project) == before
    assert kinds(upper, project) == {}


def test_a_snapshot_is_shown_in_the_project_s_place(project: Path, upper: Path, tmp_path: Path) -> None:
    snapshot = make(tmp_path / "snapshot")
    (snapshot / "src/a").write_text("of the snapshot\n")
    (project / "only here").touch()
    before, of_snapshot = state(project), state(snapshot)
    end = on_view("pwd; echo *; cat src/a; echo x > src/a; rm src/b", project, upper, lower=snapshot)
    assert end.stdout.decode().splitlines() == [str(project), "src vibe.yaml", "of the snapshot"]
    assert (state(project), state(snapshot)) == (before, of_snapshot)
    assert kinds(upper, snapshot) == {"src": FOLDER, "src/a": FILE, "src/b": GONE}


def test_what_is_linked_is_the_project_s_own_and_read_only(project: Path, upper: Path, tmp_path: Path) -> None:
    snapshot = make(tmp_path / "snapshot")
    for name in (".git", ".venv", "web/node_modules"):
        (project / name).mkdir(parents=True)
        (project / name / "file").write_text(name)
    (project / "modules").symlink_to("web/node_modules")
    (project / "outside").symlink_to(snapshot)
    before, of_snapshot = state(project), state(snapshot)
    linked = (".git", ".venv", "web/node_modules", "modules", "not there", "outside/src")
    script = (
        "cat .git/file .venv/file web/node_modules/file modules/file; echo; ls -A; echo x > .venv/file; "
        "rm -rf .venv web; touch .git/new; mv .venv moved; chmod 777 web/node_modules; echo mine > web/mine"
    )
    end = on_view(script, project, upper, lower=snapshot, linked=linked)
    shown, *listed = end.stdout.decode().split()
    assert shown == ".git.venvweb/node_modulesweb/node_modules"
    assert listed == [".claude", ".git", ".venv", ".vibe", "modules", "src", "vibe.yaml", "web"]
    assert (state(project), state(snapshot)) == (before, of_snapshot)
    assert kinds(upper, project) == {"web": FOLDER, "web/mine": FILE}


def test_our_own_code_in_the_project_is_shown_beside_a_snapshot(
    project: Path, upper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "tools/venv").mkdir(parents=True)
    (project / "tools/venv/pyvenv.cfg").write_text("ours")
    monkeypatch.setattr(sys, "prefix", str(project / "tools/venv"))
    end = on_view("cat tools/venv/*; echo x > tools/venv/x", project, upper, lower=make(tmp_path / "snapshot"))
    assert (end.stdout, end.exit_code) == (b"ours", 2)
    assert not (project / "tools/venv/x").exists()


@pytest.mark.parametrize(
    "name", ["com,ma", "co:lon", "back\\slash", "sp ace", "new\nline", "\udcff\udc80", "=", "lowerdir=x,upperdir=y"]
)
def test_any_name_of_a_project_will_do(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project, upper = make(tmp_path / name / "project"), tmp_path / name / "upper"
    before = state(project)
    end = on_view("echo x > src/a", project, upper)
    assert end.exit_code == 0, end.stderr
    assert state(project) == before
    assert kinds(upper, project) == {"src": FOLDER, "src/a": FILE}


def test_an_upper_folder_may_lie_in_memory(project: Path, in_memory: Path) -> None:
    assert on_view("rm -r src; mkdir src; echo x > src/x", project, in_memory).exit_code == 0
    assert kinds(in_memory, project) == {"src": OPAQUE, "src/x": FILE}


def test_a_view_that_may_not_be_written_to_is_not(project: Path, upper: Path) -> None:
    put(upper, "src/a", b"put", like=project)
    end = on_view("cat src/a; echo x > src/a", project, upper, writable=False)
    assert (end.exit_code, end.stdout) == (2, b"put")
    assert kinds(upper, project) == {"src": FOLDER, "src/a": FILE}


def test_the_layers_themselves_cannot_be_reached(project: Path, upper: Path) -> None:
    on_view("echo secret > src/a", project, upper)
    script = (
        f"ls -A / /tmp; ls {upper} {upper}/files {upper}/work; cat /proc/*/mountinfo; "
        f"ls -l /proc/*/fd; cat {upper}/files/src/a; for n in 5 6 7 8; do ls /proc/1/fd/$n/; done"
    )
    end = on_view(script, project, upper)
    assert b"secret" not in end.stdout
    assert os.fsencode(upper) not in end.stdout


def test_even_shown_the_layers_cannot_be_written(project: Path, upper: Path) -> None:
    on_view("echo x > src/a", project, upper)
    end = on_view(f"echo y > {upper}/files/src/a; rm -rf {upper}/files/src", project, upper, readable=(upper.parent,))
    assert end.stderr.count(b"Read-only file system") >= 2
    assert read(upper, "src/a", most=10) == b"x\n"


@pytest.mark.parametrize(
    "layers", [FLOOR_LAYERS, ALL_LAYERS - {OVERLAY}, ALL_LAYERS - {MOUNTS}, ALL_LAYERS - {MOUNTS, LANDLOCK}]
)
def test_where_no_view_can_be_had_nothing_runs(project: Path, upper: Path, layers: frozenset[str]) -> None:
    before = state(project)
    with pytest.raises(NoOverlay, match="work on a copy"):
        on_view("echo x > src/a", project, upper, layers=layers)
    assert state(project) == before
    assert not upper.exists()


def refused(change: dict[str, Any], project: Path, upper: Path) -> str:
    before = state(project)
    with pytest.raises(ConfinementRefused) as caught:
        run(["touch", "src/ran"], project, policy=Confinement(project=project, **{"upper": upper, **change}))
    assert state(project) == before
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda project: {"upper": project / "src/upper"}, "outside of it"),
        (lambda project: {"upper": project.parent}, "outside of it"),
        (lambda project: {"upper": project}, "outside of it"),
        (lambda project: {"lower": project.parent}, "outside of it"),
        (lambda project: {"lower": project / "missing"}, "is no folder"),
        (lambda project: {"lower": project / "src", "upper": None}, "name that, too"),
        (lambda _: {"linked": ("../x",)}, "not inside of the project"),
        (lambda _: {"upper": Path("/proc/vibe")}, "NoOverlay"),
    ],
)
def test_folders_that_cannot_be_layers_are_refused_with_the_reason(
    project: Path, upper: Path, change: Callable[[Path], dict[str, Any]], why: str
) -> None:
    assert why in refused(change(project), project, upper)


def test_a_protected_name_that_is_a_link_is_no_view_s(project: Path, upper: Path) -> None:
    (project / ".claude").symlink_to("src")
    assert "NoOverlay" in refused({}, project, upper)


def test_a_name_that_an_earlier_command_hid_cannot_be_covered(project: Path, upper: Path) -> None:
    put(upper, ".claude", None)
    assert "NoOverlay" in refused({}, project, upper)


def test_one_command_works_on_an_upper_folder_at_a_time(
    project: Path, upper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_WAIT_S", 0.0)
    upper.mkdir()
    held = os.open(upper, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # as one does while it works there
    assert "one works there at a time" in refused({}, project, upper)
    with pytest.raises(BlockingIOError):
        take_away(upper)
    os.close(held)
    take_away(upper)
    assert not upper.exists()


def test_a_cancelled_command_has_let_go_of_its_folder_when_the_cancellation_goes_on(
    project: Path, upper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_WAIT_S", 0.0)
    before = state(project)

    async def main() -> None:
        with trio.move_on_after(30) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait_and_cancel, scope)
                policy = Confinement(project=project, upper=upper)
                await run_confined(["sh", "-c", "touch begun; sleep 305.1"], cwd=project, policy=policy)

    async def wait_and_cancel(scope: trio.CancelScope) -> None:
        while not (upper / "files/begun").exists():  # noqa: ASYNC110 - a pipe would be another one in the view
            await trio.sleep(0.01)
        scope.cancel()

    trio.run(main)
    assert not running("sleep 305.1")
    assert state(project) == before
    take_away(upper)
    assert not upper.exists()


def test_a_command_that_fills_the_disk_is_ended_with_the_reason(project: Path, in_memory: Path) -> None:
    limits = CommandLimits(written_bytes=8 * MIB)
    script = "i=0; while :; do i=$((i+1)); head -c 1M /dev/zero > src/$i; done"
    assert "8 MiB less room" in on_view(script, project, in_memory, limits=limits).over_limit
    take_away(in_memory)
    limits = CommandLimits(written_files=500)
    script = "i=0; while :; do i=$((i+1)); : > src/$i; done"
    assert "500 new files" in on_view(script, project, in_memory, limits=limits).over_limit


def test_the_upper_folder_has_the_mode_and_the_times_of_the_project(project: Path, upper: Path) -> None:
    project.chmod(0o750)
    os.utime(project, (1, 2))
    assert on_view("stat -c '%a %Y' .", project, upper).stdout == b"750 2\n"
    assert list(written(upper)) == []
