"""The doctor judges by attacks: it finds the holes that are there, and none that are not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import trio

from vibe_workflows.sandbox.doctor import DoctorReport, probe
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, PIDFD, PRIVILEGES, SECCOMP
from vibe_workflows.sandbox.report import level_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers of Linux")


@pytest.fixture(scope="module")
def reports() -> dict[frozenset[str], DoctorReport]:
    async def main() -> None:
        zygote = start_zygote()
        try:
            for layers in (ALL_LAYERS, ALL_LAYERS - {LANDLOCK}, ALL_LAYERS - {SECCOMP}, frozenset({PIDFD})):
                found[layers] = await probe(zygote, layers=layers)
        finally:
            zygote.close()

    found: dict[frozenset[str], DoctorReport] = {}
    trio.run(main)
    return found


def through(report: DoctorReport) -> set[str]:
    return {found.name for found in report.open}


def test_behind_all_layers_no_attack_gets_through(reports: dict[frozenset[str], DoctorReport]) -> None:
    report = reports[ALL_LAYERS]
    assert through(report) == set()
    assert report.level == level_of(dict(report.layers))


def test_without_landlock_the_filter_holds_alone_and_the_level_says_good(
    reports: dict[frozenset[str], DoctorReport],
) -> None:
    report = reports[ALL_LAYERS - {LANDLOCK}]
    assert through(report) == set()
    assert report.level == "good"


def test_without_the_filter_the_doctor_finds_ways_and_the_level_says_weak(
    reports: dict[frozenset[str], DoctorReport],
) -> None:
    report = reports[ALL_LAYERS - {SECCOMP}]
    assert "ptrace" in through(report)
    assert "create_file" not in through(report)
    assert report.level == "weak"


def test_with_every_layer_off_what_is_left_is_the_floor(reports: dict[frozenset[str], DoctorReport]) -> None:
    report = reports[frozenset({PIDFD})]
    assert {"make_folder", "change_mode", "exec", "kill_engine"} <= through(report)
    # No room for a file descriptor, memory that is measured and an empty environment hold everywhere.
    floor = {
        "much_memory",
        "read_file",
        "list_folder",
        "create_file",
        "tcp_socket",
        "udp_socket",
        "unix_socket",
        "environment",
    }
    assert not floor & through(report)
    assert report.layers[PRIVILEGES] == ""


def test_a_report_is_json_and_says_what_was_tried_in_words(reports: dict[frozenset[str], DoctorReport]) -> None:
    document = json.loads(json.dumps(reports[ALL_LAYERS].to_json()))
    assert document["level"] in ("strong", "good")
    assert document["facts"]["python"]
    assert {"name", "words", "critical", "blocked", "outcome"} == set(document["probes"][0])


def test_only_the_doctor_asks_for_a_child_with_all_builtins() -> None:
    root = Path(__file__).parents[2]
    asking = {
        str(path.relative_to(root))
        for room in ("catalog", "cli", "sandbox")  # the engine knows nothing of the sandbox
        for path in (root / room).rglob("*.py")
        if '"native"' in path.read_text(encoding="utf-8")
    }
    assert asking == {"sandbox/boot.py", "sandbox/doctor.py"}
