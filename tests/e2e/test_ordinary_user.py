"""Everything as an ordinary user, from the command down: nothing here needs root, and the walls are as strong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import PATIENCE_S, ROOT, Machine

UID = 54_321

CORPUS = """\
import json, os
from tests.attacks.harness import bait, load, run_all
attacks = load("native_*.py")
with bait() as trap:
    reports = run_all(trap, attacks)
    outside = trap.outside_signs()
wrong = {
    each.name: [reports[each.name].end, reports[each.name].signs]
    for each in attacks
    if reports[each.name].signs or not each.ends_as_expected(reports[each.name].ended)
}
print(json.dumps({"uid": os.getresuid(), "attacks": len(attacks), "wrong": wrong, "outside": outside}))
"""


def as_user(*kept: Path) -> tuple[str, ...]:
    script = ROOT / "tests/support/ordinary_user.py"
    return (sys.executable, str(script), str(UID), *map(str, (ROOT, *kept)), "--")


def can_be_another() -> bool:
    done = subprocess.run([*as_user(), sys.executable, "-c", ""], capture_output=True, check=False)
    return os.geteuid() == 0 and done.returncode == 0


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not can_be_another(),
    reason="needs root with a mount namespace, to open the way for another user; run by one, all tests are this one",
)


@pytest.fixture
def user(machine: Machine, tmp_path: Path) -> Machine:
    """A machine whose home and project belong to an ordinary user, who runs all commands."""
    machine.before = as_user(tmp_path)
    shutil.copy(ROOT / "catalog/workflows/todo_audit.py", machine.project)
    tmp_path.chmod(0o755)
    for folder, _, files in os.walk(tmp_path):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, UID, UID)
    return machine


def test_the_doctor_finds_a_strong_sandbox(user: Machine) -> None:
    told = user.vibe("doctor", "--json")
    assert told.code == 0, told.err
    report = told.document
    assert report["facts"]["user"] == f"uid {UID}"
    assert report["layers"]["privileges"] == "ordinary user"
    assert (report["level"], report["runs"]) == ("strong", True)
    assert [probe["name"] for probe in report["probes"] if not probe["blocked"]] == []


def test_a_workflow_runs_and_its_store_is_the_users_own(user: Machine) -> None:
    ran = user.vibe("run", "todo_audit.py", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["status"] == "completed"
    made = list((user.project / ".vibe").rglob("*"))
    assert {path.stat().st_uid for path in made} == {UID}
    assert user.vibe("trace", "--json").document["sandbox_level"] == "strong"


def test_a_hostile_workflow_is_refused_as_for_root(user: Machine) -> None:
    user.write("hostile.py", "import os\nos.kill(1, 9)\n").chmod(0o644)
    ran = user.vibe("run", "hostile.py")
    assert ran.code != 0
    assert "hostile.py:1" in ran.err


def test_attacks_behind_the_process_wall_alone_get_nowhere(user: Machine) -> None:
    done = subprocess.run(
        [*user.before, sys.executable, "-c", CORPUS],
        cwd=user.project,
        env=user.environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["uid"] == [UID] * 3
    assert found["attacks"] > 30
    assert (found["wrong"], found["outside"]) == ({}, [])
