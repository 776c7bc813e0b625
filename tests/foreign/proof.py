"""Runs inside of the virtual machine: attacks locked processes as root, then as an ordinary user, and tells.

The last line is `PROVEN` where everything was as it has to be.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import trio

from tests.attacks.harness import LIMITS, bait, load, run_all
from tests.support.sandbox import running_forker
from tests.support.syscall_sweep import DENIED, LET_THROUGH, sweep
from tests.support.syscall_table import CLOCKS, FREE, NEVER_EXECUTABLE, PROBES, SOCKET_ONLY, names_of
from vibe_workflows.catalog.discovery import BUILTIN_FOLDER
from vibe_workflows.sandbox.doctor import DoctorReport, probe
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.limits import ALL_LAYERS, LANDLOCK, SECCOMP, ChildLimits

ORDINARY = 1000
#: An emulated processor takes many times as long: for what ends by itself, too.
_SLOW = LIMITS._replace(child=ChildLimits(cpu_s=20), stall_s=60.0, wall_s=300.0)
_WORKFLOW = BUILTIN_FOLDER / "todo_audit.py"


class Findings:
    def __init__(self) -> None:
        self.wrong = 0
        self._since = time.monotonic()

    def tell(self, what: str, holds: bool, detail: object = "") -> None:
        now = time.monotonic()
        self.wrong += not holds
        print(f"{'ok   ' if holds else 'WRONG'} {what} {detail} ({now - self._since:.1f} s)", flush=True)
        self._since = now


def main() -> int:
    level = os.environ.get("EXPECTED_LEVEL", "strong")
    system = os.uname()
    print(f"{system.sysname} {system.release} {system.machine}, Python {sys.version.split()[0]}, uid {os.getuid()}")
    if os.getuid() == 0:
        print("security modules:", Path("/sys/kernel/security/lsm").read_text(encoding="ascii"))
    findings = Findings()
    _doctor(findings, level)
    _attacks(findings)
    if os.getuid() == 0:
        _sweep(findings, system.machine)
    _command(findings, level)
    if os.getuid() != 0:
        return findings.wrong
    become = "import os; os.setgroups([]); os.setresgid(*[{0}] * 3); os.setresuid(*[{0}] * 3); os.chdir('/tmp')"
    code = f"{become.format(ORDINARY)}; from tests.foreign.proof import main; raise SystemExit(main())"
    wrong = findings.wrong + subprocess.run([sys.executable, "-c", code], check=False).returncode
    print("PROVEN" if wrong == 0 else f"NOT PROVEN: {wrong} findings")
    return wrong


def _doctor(findings: Findings, level: str) -> None:
    report = _probed(ALL_LAYERS)
    layers = ", ".join(f"{name}: {detail or 'none'}" for name, detail in report.layers.items())
    findings.tell("the doctor's level", report.level == level, f"{report.level}; {layers}")
    for found in report.probes:
        findings.tell(f"  {found.words}:", found.blocked, found.outcome)
    bare = _probed(ALL_LAYERS - {SECCOMP, LANDLOCK})
    through = sorted(found.name for found in bare.open)
    findings.tell("with filter and Landlock off it finds ways:", {"ptrace", "make_folder"} <= {*through}, through)


def _probed(layers: frozenset[str]) -> DoctorReport:
    async def work() -> DoctorReport:
        zygote = start_zygote()
        try:
            return await probe(zygote, layers=layers)
        finally:
            zygote.close()

    return trio.run(work)


def _attacks(findings: Findings) -> None:
    attacks = load("*.py")
    with bait() as trap:
        reports = run_all(trap, attacks, _SLOW)
        for attack in attacks:
            report = reports[attack.name]
            # A limit of time may come first here, before what ends it elsewhere.
            ended = attack.ends_as_expected(report.ended) or report.ended.reason in ("cpu", "stalled", "timeout")
            if report.signs or not ended:
                findings.tell(f"attack {attack.name}", False, f"{report.signs} {report.ended}")
        natives = sum(attack.role == "native" for attack in attacks)
        count = f"{len(attacks)} attacks, {natives} of them native"
        findings.tell(f"{count}; nothing outside was touched", not trap.outside_signs(), trap.outside_signs())


def _sweep(findings: Findings, machine: str) -> None:
    names = names_of(machine)
    numbers = range(max(names) + 20)

    async def work() -> dict[int, str]:
        async with running_forker() as forker:
            return await sweep(forker, numbers, layers=ALL_LAYERS - {LANDLOCK})

    found = trio.run(work)
    let_through = {names.get(number, str(number)) for number in numbers if found[number] == LET_THROUGH}
    denied = {names.get(number, str(number)) for number in numbers if found[number] == DENIED}
    wanted = SOCKET_ONLY | NEVER_EXECUTABLE | FREE
    findings.tell(f"of {len(numbers)} system calls these pass:", let_through == wanted, sorted(let_through))
    refused = CLOCKS | (PROBES & {*names.values()})  # the sweep asks for clock -1
    findings.tell("and these are answered with an error:", denied == refused, sorted(denied))


def _command(findings: Findings, level: str) -> None:
    home = Path(f"/tmp/home-{os.getuid()}")
    home.mkdir()
    (home / "vibe.yaml").touch()
    shutil.copy(_WORKFLOW, home)
    doctor = _vibe(home, "doctor", "--json")
    findings.tell("vibe doctor says so, too:", json.loads(doctor.stdout)["level"] == level, f"exit {doctor.returncode}")
    ran = _vibe(home, "run", _WORKFLOW.name)
    wanted = 0 if level == "strong" else 8
    findings.tell(f"vibe run ends with {wanted}:", ran.returncode == wanted, _last_line(ran.stdout or ran.stderr))
    accepted = _vibe(home, "run", _WORKFLOW.name, "--new", "--sandbox-accept", level)
    findings.tell("vibe run where that level is accepted:", accepted.returncode == 0, _last_line(accepted.stdout))


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _vibe(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vibe_workflows.cli.main", *arguments]
    environ = {**os.environ, "HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    raise SystemExit(main())
