"""Copy-on-write views as others have them: an ordinary user, a container's root, and whoever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.overlay_harness import kinds, state
from tests.support.confined import ROOT, as_nobody, eventually, running, shell
from vibe_workflows.sandbox.confine import Confinement
from vibe_workflows.sandbox.confine.upper import WrittenKind, take_away

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")

_SCRIPT = (
    "echo new > src/a; rm src/b; rm -r deep; mkdir deep; echo x > deep/x; echo x > vibe.yaml; "
    "mkdir closed; echo x > closed/file; chmod 0 closed/file closed"
)
_TWICE = """\
import json, sys
from pathlib import Path
from tests.attacks.overlay_harness import kinds, state
from tests.support.confined import shell
from vibe_workflows.sandbox.confine import Confinement, NoOverlay
from vibe_workflows.sandbox.confine.upper import put, read, take_away
project, upper, script = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
policy = Confinement(project=project, upper=upper)
before = state(project)
try:
    end = shell(script, project, policy=policy)
    found = {
        "level": end.level, "user": end.layers["user"], "said": end.stderr.decode(), "written": kinds(upper, project),
        "closed": read(upper, "closed/file", most=9).decode(),
    }
    put(upper, "src/a", None)
    put(upper, "closed/new", b"put")
    found["second"] = shell("ls src; stat -c %a closed", project, policy=policy).stdout.decode()
    take_away(upper)
except NoOverlay as error:
    found = {"refused": str(error)}
print(json.dumps(found | {"unchanged": state(project) == before, "left": upper.exists()}))
"""


def make(folder: Path) -> Path:
    for name in ("src/a", "src/b", "deep/er/file"):
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text("as it was")
    return folder / "project"


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(found: dict[str, Any]) -> None:
    assert found["level"] == "strong", found
    assert found["unchanged"]
    assert found["written"] == {
        "closed": WrittenKind.FOLDER,
        "closed/file": WrittenKind.FILE,
        "deep": WrittenKind.OPAQUE,
        "deep/x": WrittenKind.FILE,
        "src": WrittenKind.FOLDER,
        "src/a": WrittenKind.FILE,
        "src/b": WrittenKind.GONE,
    }
    assert found["closed"] == "x\n"
    assert found["second"] == "0\n"
    assert not found["left"]


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    folder = Path(f"/tmp/vibe-nobody-overlay-{os.getpid()}")
    make(folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    yield folder
    shutil.rmtree(folder)


def for_nobody(folder: Path) -> dict[str, Any]:
    arguments = [str(folder / "project"), str(folder / "upper"), _SCRIPT]
    return told(as_nobody(f"import sys\nsys.argv[1:] = {arguments!r}\n{_TWICE}"))


@needs_root
def test_an_ordinary_user_has_views_too(nobodys_folder: Path) -> None:
    found = for_nobody(nobodys_folder)
    check(found)
    assert found["user"] == "private"


@needs_root
def test_of_a_project_of_another_user_or_group_there_is_no_view(nobodys_folder: Path) -> None:
    os.chown(nobodys_folder / "project", 65534, 0)
    found = for_nobody(nobodys_folder)
    assert "another group" in found["refused"]
    os.chown(nobodys_folder / "project", 0, 65534)
    (nobodys_folder / "project").chmod(0o777)
    found = for_nobody(nobodys_folder)
    assert "another user" in found["refused"]
    assert found["unchanged"]


def python(prefix: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-B", "-c", _TWICE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("prefix", "user"),
    [
        (["unshare", "-Ur"], "private"),
        (["unshare", "-Ur", "unshare", "-Ur"], "private"),
        (["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"], ""),
    ],
    ids=["root of a user namespace", "of one in another", "where no further one can be had"],
)
def test_inside_of_user_namespaces_there_are_views_too(
    tmp_path: Path, prefix: list[str], user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = told(python(prefix, str(make(tmp_path)), str(tmp_path / "upper"), _SCRIPT))
    check(found)
    assert found["user"] == user


@pytest.mark.parametrize(
    ("mounts", "why"),
    [
        ('mount -t tmpfs none "{project}/src"', "another file system is mounted at"),
        ('mount -t ramfs none "{base}/ram"', "without extended attributes"),
    ],
    ids=["inside of the project", "below the upper folder"],
)
def test_where_another_file_system_is_in_the_way_nothing_runs(
    tmp_path: Path, mounts: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    base = tmp_path / "new\nline"
    project = make(base)
    (base / "ram").mkdir()
    script = mounts.format(project=project, base=base) + ' && exec "$@"'
    found = told(python(["unshare", "-Urm", "sh", "-c", script, "sh"], str(project), str(base / "ram/upper"), _SCRIPT))
    assert why in found["refused"]
    assert found["unchanged"]


_ENGINE = """\
import sys
from pathlib import Path
from tests.support.confined import shell
from vibe_workflows.sandbox.confine import Confinement
project, upper, script = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
shell(script, project, policy=Confinement(project=project, upper=upper))
"""


def mounted(path: Path) -> list[str]:
    """Processes that have something mounted there."""
    found = []
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if str(path) in table.read_text():
                found.append(str(table))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("who", ["the engine", "the supervisor"])
def test_whoever_is_killed_nothing_runs_and_nothing_is_mounted(
    tmp_path: Path, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project, upper = make(tmp_path), tmp_path / "upper"
    before, serial = state(project), f"304.1{os.getpid()}"
    script = f"echo x > src/a; touch begun; setsid sleep {serial} & sleep {serial}"
    command = [sys.executable, "-c", _ENGINE, str(project), str(upper), script]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as engine:
        assert eventually((upper / "files/begun").exists)
        assert mounted(project)
        supervisor = subprocess.run(["pgrep", "-P", str(engine.pid)], capture_output=True, text=True, check=True)
        os.kill(engine.pid if who == "the engine" else int(supervisor.stdout), signal.SIGKILL)
    assert eventually(lambda: not running(f"sleep {serial}"))
    assert eventually(lambda: not mounted(project))
    assert state(project) == before
    assert kinds(upper, project) == {"begun": "file", "src": "folder", "src/a": "file"}
    again = shell("cat src/a begun", project, policy=Confinement(project=project, upper=upper))
    assert again.stdout == b"x\n"
    take_away(upper)
    assert not upper.exists()
