"""The doctor of commands judges by attacks: it finds the holes that are there, and none that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from vibe_workflows.sandbox.confine import (
    ALL_LAYERS,
    FLOOR_LAYERS,
    ConfineReport,
    Level,
    probe_confinement,
)
from vibe_workflows.sandbox.confine.layers import LANDLOCK, MOUNTS, NETWORK, OVERLAY, REAPER, SECCOMP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")


def report(layers: frozenset[str]) -> ConfineReport:
    async def main() -> ConfineReport:
        return await probe_confinement(layers=layers)

    return trio.run(main)


def through(found: ConfineReport) -> set[str]:
    return {probe.name for probe in found.open}


@pytest.mark.parametrize(
    ("layers", "level"), [(ALL_LAYERS, Level.STRONG), (FLOOR_LAYERS, Level.GOOD)], ids=["all", "floor"]
)
def test_behind_whole_walls_no_attack_gets_through(layers: frozenset[str], level: Level) -> None:
    found = report(layers)
    assert through(found) == set()
    assert found.level is level
    assert len(found.probes) >= 14


def test_a_view_that_can_be_had_is_attacked_and_one_that_cannot_is_told_with_the_reason() -> None:
    found = report(ALL_LAYERS)
    assert found.layers[OVERLAY]
    assert "write_view" in {probe.name for probe in found.probes}
    without = report(ALL_LAYERS - {MOUNTS})
    assert OVERLAY not in without.layers
    assert "copy-on-write" in without.layers[f"no {OVERLAY}"]
    assert "write_view" not in {probe.name for probe in without.probes}


@pytest.mark.parametrize(
    ("layers", "holes"),
    [
        (ALL_LAYERS - {NETWORK, SECCOMP, LANDLOCK}, {"tcp", "udp", "abstract_socket"}),
        (FLOOR_LAYERS - {LANDLOCK}, {"read_home", "write_outside", "write_protected", "make_protected"}),
        (FLOOR_LAYERS - {SECCOMP}, {"udp", "unix_socket", "chmod_outside", "user_namespace"}),
        (FLOOR_LAYERS - {REAPER}, {"leave_daemon"}),
    ],
)
def test_a_missing_wall_shows_as_its_holes_and_the_level_says_weak(layers: frozenset[str], holes: set[str]) -> None:
    found = report(layers)
    assert holes <= through(found)
    assert found.level is Level.WEAK


def test_a_report_is_json_in_the_shape_of_the_other_doctor() -> None:
    document = json.loads(json.dumps(report(ALL_LAYERS).to_json()))
    assert document["level"] == "strong"
    assert {"name", "words", "critical", "blocked", "outcome"} == set(document["probes"][0])


def test_a_hidden_process_shows_its_environment_to_nobody_of_its_user() -> None:
    code = (
        "import sys\nfrom vibe_workflows.sandbox.confine import hide_this_process\n"
        "hide_this_process() if sys.argv[1] == 'hide' else None\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    readable = {}
    for how in ("hide", "show"):
        with subprocess.Popen(
            [*drop, sys.executable, "-c", code, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            path = Path(f"/proc/{process.pid}/environ")
            readable[how] = subprocess.run([*drop, "cat", str(path)], capture_output=True, check=False).returncode == 0
    assert readable == {"hide": False, "show": True}
