"""Nothing of a command is left, whoever dies: stand-ins for protected names, processes, folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.confined import ROUTES, as_nobody, eventually, running, shell
from vibe_workflows.sandbox.confine import Confinement
from vibe_workflows.sandbox.confine.placeholders import Placeholders

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
_DEADLINE_S = 30.0
ROOT = Path(__file__).parents[2]
_ENGINE = """\
import sys
from pathlib import Path
from tests.support.confined import shell
shell("echo begun > src/begun; setsid sleep %s & sleep %s", Path(sys.argv[1]), route=sys.argv[2])
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    os.mkfifo(folder / "src/begun")
    return folder


def engine(project: Path, route: str, serial: str) -> subprocess.Popen[bytes]:
    """Another process that runs a command, which has begun."""
    source = _ENGINE % (serial, serial)
    process = subprocess.Popen([sys.executable, "-c", source, str(project), route], cwd=ROOT)
    (project / "src/begun").read_text()
    return process


def supervisor_of(process: subprocess.Popen[bytes]) -> int:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])


def scratch_folders() -> set[Path]:
    return set(Path("/tmp").glob("vibe-command-*"))


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_when_the_engine_is_killed_nothing_of_its_command_is_left(project: Path, route: str) -> None:
    serial = f"302.1{os.getpid()}"
    before = scratch_folders()
    process = engine(project, route, serial)
    made = scratch_folders() - before  # its own, and it may be those of other tests, whose commands end, too
    assert made or route != "floor"  # in namespaces it lies where nobody else sees it
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not running(f"sleep {serial}"))
    assert eventually(lambda: os.listdir(project) == ["src"])
    assert eventually(lambda: not any(folder.exists() for folder in made))


def test_when_the_supervisor_is_killed_its_command_ends_and_the_next_one_cleans_up(project: Path) -> None:
    serial = f"302.2{os.getpid()}"
    process = engine(project, "namespaces", serial)
    assert sorted(os.listdir(project)) == [".claude", ".git", ".vibe", "src", "vibe.yaml"]
    os.kill(supervisor_of(process), signal.SIGKILL)
    assert process.wait(_DEADLINE_S) == 0
    assert eventually(lambda: not running(f"sleep {serial}"))
    assert sorted(os.listdir(project)) == [".claude", ".git", ".vibe", "src", "vibe.yaml"]
    assert shell("echo x > vibe.yaml", project).exit_code != 0
    assert os.listdir(project) == ["src"]


def test_protected_names_that_are_not_there_are_not_there_afterwards(project: Path) -> None:
    end = shell("mkdir .vibe/x; echo x > vibe.yaml; ln -s src .claude; ls -A", project)
    assert end.stdout.split() == [b".claude", b".git", b".vibe", b"src", b"vibe.yaml"]
    assert os.listdir(project) == ["src"]


def test_two_commands_at_once_protect_the_same_names(project: Path) -> None:
    """The first one to end must not take the stand-ins of the other away."""
    first, second = Placeholders(), Placeholders()
    path = str(project / ".claude")
    assert first.cover(path)
    assert second.cover(path)
    first.remove()
    assert os.path.isdir(path)
    second.remove()
    assert not os.path.exists(path)


def test_a_stand_in_that_somebody_filled_is_theirs(project: Path) -> None:
    held = Placeholders()
    held.cover(str(project / ".vibe"))
    held.cover(str(project / "vibe.yaml"))
    (project / ".vibe/workflows").mkdir()
    (project / "vibe.yaml").write_text("model: x\n")
    held.remove()
    assert (project / ".vibe/workflows").is_dir()
    assert (project / "vibe.yaml").read_text() == "model: x\n"


def test_what_was_there_before_stays_even_if_it_is_empty(project: Path) -> None:
    (project / ".claude").mkdir()
    (project / "vibe.yaml").touch()
    assert shell("echo x > vibe.yaml", project).exit_code != 0
    assert sorted(os.listdir(project)) == [".claude", "src", "vibe.yaml"]


def test_a_protected_path_deep_inside_cannot_be_moved_away_with_its_folder(project: Path) -> None:
    (project / "src/tools/venv/bin").mkdir(parents=True)
    policy = Confinement(project=project, protected=("src/tools/venv",))
    for route in ROUTES:
        end = shell(
            "mv src/tools src/moved || mv src moved || touch src/tools/venv/x", project, route=route, policy=policy
        )
        assert end.exit_code != 0
        assert (project / "src/tools/venv/bin").is_dir()


def test_the_interpreter_that_runs_here_is_protected_inside_of_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "src/venv").mkdir()
    monkeypatch.setattr(sys, "prefix", str(project / "src/venv"))
    for route in ROUTES:
        assert shell("touch src/venv/evil.pth", project, route=route).exit_code != 0


def test_a_protected_name_that_is_a_link_is_refused_or_held(project: Path) -> None:
    (project / "src/settings").mkdir()
    (project / ".claude").symlink_to("src/settings")
    end = shell("ln -sfn src .claude; rm .claude", project)
    assert (project / ".claude").readlink() == Path("src/settings")
    assert end.level != "strong"


@pytest.fixture
def nobodys_project() -> Iterator[Path]:
    folder = Path(f"/tmp/vibe-nobody-{os.getpid()}")
    (folder / "src").mkdir(parents=True)
    for path in (folder, folder / "src"):
        os.chown(path, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@needs_root
@pytest.mark.parametrize(("route", "level"), [("namespaces", "strong"), ("floor", "good")])
def test_an_ordinary_user_is_confined_as_root_is(nobodys_project: Path, route: str, level: str) -> None:
    script = "touch src/mine; chmod +x src/mine; mkdir .git; echo x > vibe.yaml; cat /etc/shadow; id -u"
    done = as_nobody(
        "from pathlib import Path\nfrom tests.support.confined import shell\n"
        f"end = shell({script!r}, Path({str(nobodys_project)!r}), route={route!r})\n"
        "print(end.level, end.exit_code, end.stdout.decode(), end.stderr.decode())\n"
    )
    assert done.stdout.startswith(f"{level} 0"), done.stdout + done.stderr
    assert "65534" in done.stdout
    assert (nobodys_project / "src/mine").stat().st_uid == 65534
    assert (nobodys_project / "src/mine").stat().st_mode & 0o100
    assert os.listdir(nobodys_project) == ["src"]


@needs_root
@pytest.mark.parametrize(
    ("drop", "told"),
    [
        (["setpriv", "--bounding-set=-all"], "good 0 floor: unshare"),
        ([], "strong 0 no user: refused"),
    ],
    ids=["without privileges: the floor", "as root: the other namespaces"],
)
def test_where_user_namespaces_are_used_up_the_next_best_holds_and_says_why(
    project: Path, drop: list[str], told: str
) -> None:
    source = (
        "from pathlib import Path\nfrom tests.support.confined import shell\n"
        f"end = shell('true', Path({str(project)!r}))\n"
        "floor, user = end.layers.get('no namespaces', ''), end.layers.get('no user', '')\n"
        "print(end.level, end.exit_code, f'floor: {floor}' if floor else f'no user: {user}')\n"
    )
    # In a user namespace of its own, whose limit is its own to set.
    exhaust = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "-Ur", "sh", "-c", exhaust, "sh", *drop, sys.executable, "-B", "-c", source]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith(told), done.stdout + done.stderr
