"""What a container takes away: other uids, /proc, Landlock, handles on processes. Runs work, and the level is told."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers of Linux")

SCRIPT = '"""Say hello."""\nreturn await agent("Say hello.")\n'
#: One uid is mapped, root's, as in a rootless container without a range of its own.
ONE_UID = ("unshare", "--user", "--map-root-user", "--")
NO_PROC = (
    "unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c",
    'mount -t tmpfs none /proc && exec "$@"', "sh",
)  # fmt: skip


def can(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


def lacking(*layers: str) -> tuple[str, ...]:
    return (sys.executable, str(ROOT / "tests/support/older_kernel.py"), *layers, "--")


def inside(machine: Machine, *before: str) -> dict[str, Any]:
    """The doctor's report of a container that `before` makes; a workflow ran there at the level that it found."""
    machine.before = before
    machine.write("hello.py", SCRIPT)
    report: dict[str, Any] = machine.vibe("doctor", "--json").document
    ran = machine.vibe("run", "hello.py", "--sandbox-accept", report["level"])
    assert ran.code == 0, ran.err
    assert ran.out.startswith("[offline]")
    return report


def through(report: dict[str, Any]) -> set[str]:
    return {probe["name"] for probe in report["probes"] if not probe["blocked"]}


@pytest.mark.skipif(not can(*ONE_UID), reason="no user namespaces here")
def test_root_of_a_rootless_container_has_a_strong_sandbox(machine: Machine) -> None:
    report = inside(machine, *ONE_UID)
    assert (report["level"], report["runs"], through(report)) == ("strong", True, set())
    assert report["layers"]["privileges"] == "root without capabilities"
    assert report["facts"]["user"] == "uid 0"


@pytest.mark.skipif(not can(*NO_PROC), reason="no user and mount namespaces here")
def test_a_container_without_proc_has_a_strong_sandbox(machine: Machine) -> None:
    report = inside(machine, *NO_PROC)
    assert (report["level"], through(report)) == ("strong", set())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("ENOSYS", "the kernel has none"), ("EPERM", "the container's seccomp profile forbids it")],
)
def test_a_container_that_hides_landlock_has_a_good_sandbox_and_is_told_why(
    machine: Machine, answer: str, reason: str
) -> None:
    report = inside(machine, *lacking(f"landlock={answer}"))
    assert (report["level"], report["runs"], through(report)) == ("good", False, set())
    assert reason in report["layers"]["no landlock"]


@pytest.mark.parametrize("answer", ["ENOSYS", "EPERM"])
def test_a_container_that_gives_no_handle_on_a_process_has_a_strong_sandbox(machine: Machine, answer: str) -> None:
    report = inside(machine, *lacking(f"pidfd={answer}"))
    assert (report["level"], through(report)) == ("strong", set())


@pytest.mark.skipif(not can(*NO_PROC), reason="no user and mount namespaces here")
def test_a_container_that_takes_all_of_this_at_once_is_weak_and_still_runs(machine: Machine) -> None:
    report = inside(machine, *NO_PROC, *lacking("landlock=EPERM", "seccomp=EPERM", "pidfd=EPERM"))
    assert report["level"] == "weak"
    assert not report["runs"]
    assert "seccomp" in report["layers"]["no seccomp"]
    held = {"read_file", "create_file", "tcp_socket", "udp_socket", "unix_socket", "raise_limit", "environment"}
    assert not through(report) & held
