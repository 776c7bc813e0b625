"""A machine whose kernel lacks a wall: `vibe run` refuses, says why and what accepts it, and the run remembers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT, Machine

SCRIPT = '"""Say hello."""\nreturn await agent("Say hello.")\n'


def lacking(machine: Machine, *layers: str) -> Machine:
    machine.before = (sys.executable, str(ROOT / "tests/support/older_kernel.py"), *layers, "--")
    machine.write("hello.py", SCRIPT)
    return machine


@pytest.mark.parametrize(("layers", "level"), [(("landlock",), "good"), (("landlock", "seccomp"), "weak")])
def test_a_weaker_machine_refuses_until_its_level_is_accepted(
    machine: Machine, layers: tuple[str, ...], level: str
) -> None:
    lacking(machine, *layers)
    refused = machine.vibe("run", "hello.py")
    assert refused.code == 8
    assert refused.out == ""
    assert f"the sandbox of this machine is {level}, and strong is asked for" in refused.err
    assert f"--sandbox-accept {level}" in refused.err
    assert not (machine.project / ".vibe").exists(), "a refused run leaves nothing behind"

    accepted = machine.vibe("run", "hello.py", "--sandbox-accept", level, "--json")
    assert accepted.code == 0, accepted.err
    trace = machine.vibe("trace", "--json").document
    assert trace["sandbox_level"] == level
    assert any(f"the sandbox of this run is {level}, which was accepted: no landlock" in w for w in trace["warnings"])
    assert f"sandbox {level}" in machine.vibe("trace").out


def test_a_project_cannot_accept_a_weaker_machine_but_its_person_can(machine: Machine) -> None:
    lacking(machine, "landlock")
    machine.write("vibe.yaml", "sandbox: {accept: weak}\n")
    refused = machine.vibe("run", "hello.py")
    assert refused.code == 8
    assert "sandbox.accept" in refused.err, "what was ignored is said"
    config = machine.project.parent / "home" / ".config" / "vibe" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("sandbox: {accept: good}\n")
    assert machine.vibe("run", "hello.py").code == 0


def test_doctor_says_which_wall_is_missing_and_why(machine: Machine) -> None:
    lacking(machine, "landlock")
    told = machine.vibe("doctor", "--json")
    assert told.code == 8
    report = told.document
    assert (report["level"], report["accepted"], report["runs"]) == ("good", "strong", False)
    assert "older than 5.13" in report["layers"]["no landlock"]
    assert "no landlock" in report["commands"]["layers"]
    words = machine.vibe("doctor").out
    assert words.startswith("sandbox: good (one wall is missing")
    assert "--sandbox-accept good" in words


def test_a_machine_without_a_filter_lets_attacks_through_and_doctor_says_which(machine: Machine) -> None:
    lacking(machine, "landlock", "seccomp")
    report = machine.vibe("doctor", "--json").document
    assert report["level"] == "weak"
    through = {probe["name"] for probe in report["probes"] if not probe["blocked"]}
    assert "executable_memory" in through
    # What no filter is needed for: limits on descriptors and processes, and another uid.
    held = {"read_file", "create_file", "tcp_socket", "udp_socket", "unix_socket", "fork", "kill_engine", "environment"}
    assert not through & held


@pytest.mark.parametrize("command", ["run hello.py", "doctor"])
def test_windows_is_told_in_one_sentence_where_to_go(machine: Machine, command: str) -> None:
    machine.write("hello.py", SCRIPT)
    without = "for name in ('fcntl', 'grp', 'pwd', 'resource', 'termios'): sys.modules[name] = None"
    run = f"from vibe_workflows.cli.main import main; sys.exit(main({command.split()!r}))"
    there = f"import os, sys; del os.fork\n{without}\n{run}"
    command_line = [sys.executable, "-c", there]
    ran = subprocess.run(
        command_line, cwd=machine.project, env=machine.environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert ran.stdout == ""
    assert [line for line in ran.stderr.splitlines() if "Windows" in line] == ran.stderr.splitlines()
    assert "the sandbox needs Linux or macOS; on Windows, run vibe inside WSL 2" in ran.stderr
