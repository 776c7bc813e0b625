"""Confined commands behave like commands: output, exit codes, signals, limits, environment, and the usual tools."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.confined import PYTHON, ROUTES, run, shell
from vibe_workflows.sandbox.confine import (
    ALL_LAYERS,
    FLOOR_LAYERS,
    CommandLimits,
    CommandNotStarted,
    Confinement,
    ConfinementRefused,
    Level,
    probe_confinement,
    run_confined,
)
from vibe_workflows.sandbox.confine.layers import LANDLOCK, SCOPE, SECCOMP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are confined on Linux only")
MIB = 1 << 20


@pytest.fixture(params=sorted(ROUTES))
def route(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder that both routes may write to."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    return folder


def test_a_command_returns_its_output_and_its_exit_code(project: Path, route: str) -> None:
    end = shell("echo out; echo err >&2; exit 7", project, route=route)
    assert (end.exit_code, end.signal, end.stdout, end.stderr) == (7, None, b"out\n", b"err\n")
    assert not end.timed_out
    assert end.level is (Level.STRONG if route == "namespaces" else Level.GOOD)


def test_a_command_that_dies_of_a_signal_says_which(project: Path, route: str) -> None:
    end = shell("kill -SEGV $$", project, route=route)
    assert (end.exit_code, end.signal) == (None, signal.SIGSEGV)


def test_input_reaches_the_command_and_without_any_it_reads_an_end(project: Path, route: str) -> None:
    data = bytes(range(256)) * 4096
    assert run(["cat"], project, route=route, stdin=data).stdout == data
    assert run(["cat"], project, route=route).stdout == b""


def test_input_that_nobody_reads_holds_nothing_up(project: Path, route: str) -> None:
    assert run(["true"], project, route=route, stdin=bytes(MIB)).exit_code == 0


def test_output_beyond_the_cap_is_counted_and_the_command_goes_on(project: Path, route: str) -> None:
    end = shell("head -c 3000000 /dev/zero; echo done >&2", project, route=route, output_bytes=1000)
    assert (len(end.stdout), end.stdout_dropped, end.stderr, end.exit_code) == (1000, 2_999_000, b"done\n", 0)


def test_a_command_that_closes_its_output_and_goes_on_is_waited_for(project: Path, route: str) -> None:
    end = shell("exec >&- 2>&-; sleep 0.2; exit 3", project, route=route)
    assert end.exit_code == 3


def test_a_project_that_is_only_read_cannot_be_written_to_in_any_way(project: Path, route: str) -> None:
    (project / "src/file").write_text("as it was")
    before = (project / "src/file").stat()
    policy = Confinement(project=project, writable=False)
    end = shell(
        "for each in 'echo x > new' 'echo x > src/new' 'echo x > src/file' 'rm src/file' 'chmod 777 src/file' "
        "'touch -d 2001-01-01 src/file' 'mv src moved' 'ln -s x link' 'mkdir .git'; do "
        'sh -c "$each" 2>/dev/null && echo "through: $each"; done; cat src/file; echo x > "$TMPDIR/own"',
        project,
        route=route,
        policy=policy,
    )
    assert (end.exit_code, end.stdout) == (0, b"as it was")
    assert end.level is (Level.STRONG if route == "namespaces" else Level.GOOD)
    after = (project / "src/file").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert sorted(path.name for path in project.rglob("*")) == ["file", "src"]


def test_a_home_can_be_read_as_a_project_but_not_written_to(
    project: Path, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(project))
    with pytest.raises(ConfinementRefused, match="own folder"):
        run(["true"], project, route=route)
    policy = Confinement(project=project, writable=False)
    assert run(["ls"], project, route=route, policy=policy).stdout == b"src\n"


def test_at_the_time_limit_everything_is_killed(project: Path, route: str) -> None:
    said = b""
    for timeout_s in (1.0, 20.0):  # on a busy machine the first may be up before the command begins
        end = shell("echo begun; sleep 301.1 & sleep 301.1", project, route=route, timeout_s=timeout_s)
        assert end.timed_out
        said = said or end.stdout
        if said:
            break
    assert said == b"begun\n"
    assert "301.1" not in processes()


def processes() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_what_a_command_starts_in_the_background_ends_with_it(project: Path, route: str) -> None:
    end = shell("sleep 301.2 & (setsid sleep 301.2 &) ; echo done", project, route=route)
    assert (end.exit_code, end.stdout) == (0, b"done\n")
    assert "301.2" not in processes()


def test_a_cancelled_command_is_gone_before_the_cancellation_goes_on(project: Path, route: str) -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait_and_cancel, scope)
                await run_confined(
                    ["sh", "-c", "echo begun > src/begun; sleep 301.3"],
                    cwd=project,
                    policy=Confinement(project=project),
                    at_least=Level.WEAK,
                    layers=ROUTES[route],
                )
        assert scope.cancelled_caught
        assert "301.3" not in processes()

    async def wait_and_cancel(scope: trio.CancelScope) -> None:
        await trio.lowlevel.wait_readable(begun)
        scope.cancel()

    os.mkfifo(project / "src/begun")
    begun = os.open(project / "src/begun", os.O_RDONLY | os.O_NONBLOCK)
    try:
        trio.run(main)
    finally:
        os.close(begun)


def test_a_command_gets_an_allowlist_of_the_environment_and_what_it_is_given(
    project: Path, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("LC_TIME", "C")
    policy = Confinement(project=project, environment={"CI": "1"})
    end = run(["env"], project, route=route, policy=policy)
    found = dict(line.split("=", 1) for line in end.stdout.decode().splitlines())
    allowed = {"PATH", "LANG", "LANGUAGE", "TERM", "TZ", "NO_COLOR", "SOURCE_DATE_EPOCH", "LC_TIME", "LC_ALL", "CI"}
    assert set(found) <= allowed | {
        "USER",
        "LOGNAME",
        "HOME",
        "TMPDIR",
        "GIT_CONFIG_NOSYSTEM",
        "PYTHONDONTWRITEBYTECODE",
    }
    assert (found["CI"], found["LC_TIME"]) == ("1", "C")
    assert found["HOME"] != os.environ["HOME"]


def test_python_runs_what_a_file_holds_and_not_what_it_held_in_the_same_second(project: Path, route: str) -> None:
    said = []
    for source in ("answer = 1\n", "answer = 2\n"):  # of one size
        (project / "src/judged.py").write_text(source)
        os.utime(project / "src/judged.py", (1_000_000_000, 1_000_000_000))
        end = shell(f"cd src && {sys.executable} -c 'import judged; print(judged.answer)'", project, route=route)
        said.append(end.stdout)
    assert said == [b"1\n", b"2\n"]


def test_home_and_temporary_folder_are_writable_and_leave_nothing(project: Path, route: str) -> None:
    end = shell('echo "$TMPDIR"; touch "$HOME/x" "$TMPDIR/x"; mkdir -m 0 "$TMPDIR/closed"', project, route=route)
    assert end.exit_code == 0
    left = Path(end.stdout.decode().strip())
    assert left == Path("/tmp") or not left.parent.exists()


def test_files_of_a_command_belong_to_who_runs_it(project: Path, route: str) -> None:
    assert shell("echo x > src/new", project, route=route).exit_code == 0
    assert (project / "src/new").stat().st_uid == os.geteuid()


def test_a_program_that_is_not_there_is_an_error_of_its_own(project: Path, route: str) -> None:
    with pytest.raises(CommandNotStarted, match="No such file"):
        run(["no-such-program"], project, route=route)


def test_nothing_is_left_open_in_this_process(project: Path, route: str) -> None:
    run(["true"], project, route=route)
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run(["true"], project, route=route, stdin=b"x")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_too_many_processes_end_the_command_with_the_reason(project: Path, route: str) -> None:
    policy = Confinement(project=project, limits=CommandLimits(processes=20))
    end = shell("for i in $(seq 60); do sleep 301.4 & done; wait", project, route=route, policy=policy)
    assert "more than 20 processes" in end.over_limit
    assert "301.4" not in processes()


def test_what_is_named_readable_is_seen_and_not_written(project: Path, route: str, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "file").write_text("text")
    policy = Confinement(project=project, readable=(shown,))
    end = shell(f"cat {shown}/file; echo x > {shown}/file", project, route=route, policy=policy)
    assert end.stdout == b"text"
    assert end.exit_code != 0
    assert (shown / "file").read_text() == "text"


def test_a_folder_of_the_project_that_is_on_the_path_stays_writable(project: Path, route: str) -> None:
    (project / "src/tool").write_text("#!/bin/sh\necho ran\n")
    (project / "src/tool").chmod(0o755)
    policy = Confinement(project=project, environment={"PATH": f"{project / 'src'}:/usr/bin:/bin"})
    end = shell("touch src/new && tool", project, route=route, policy=policy)
    assert (end.exit_code, end.stdout) == (0, b"ran\n"), end.stderr


def test_with_the_network_granted_a_command_reaches_a_local_server(project: Path, route: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        end = run([PYTHON, "-S", "-c", code], project, route=route, policy=Confinement(project=project, network=True))
        assert end.exit_code == 0, end.stderr
        server.accept()[0].close()
    assert end.level is (Level.STRONG if route == "namespaces" else Level.GOOD)


def test_with_the_network_granted_unix_sockets_of_the_machine_stay_closed(
    project: Path, route: str, tmp_path: Path
) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as path, socket.socket(socket.AF_UNIX) as abstract:
        path.bind(str(tmp_path / "docker.sock"))
        abstract.bind(f"\0{tmp_path}")
        path.listen()
        abstract.listen()
        for address in (str(tmp_path / "docker.sock"), f"\0{tmp_path}"):
            code = f"import socket; socket.socket(socket.AF_UNIX).connect({address!r})"
            policy = Confinement(project=project, network=True)
            assert run([PYTHON, "-S", "-c", code], project, route=route, policy=policy).exit_code == 1


def test_a_private_loopback_serves_the_command_itself(project: Path) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), 5)
"""
    assert run([PYTHON, "-S", "-c", code], project).exit_code == 0


@pytest.mark.parametrize(
    "script",
    [
        "cp -p src/a src/b && test src/b -nt /usr/bin/env || test ! src/b -nt src/a",
        "tar cf src/x.tar src/a && mkdir src/out && tar xf src/x.tar -C src/out && test -f src/out/src/a",
        "chmod +x src/a && test -x src/a && touch -d 2001-01-01 src/a && test ! src/a -nt /usr/bin/env",
        "mkdir src/d && mv src/a src/d/b && ln -s b src/d/c && rm -r src/d",
        "echo hi | sort | uniq -c > src/out && (cd src && ls | wc -l)",
        "git -C src init -q . && git -C src status --short | grep -q a",
    ],
)
def test_the_usual_tools_work(project: Path, route: str, script: str) -> None:
    (project / "src/a").write_text("a")
    end = shell(script, project, route=route)
    assert end.exit_code == 0, end.stderr


def test_git_reads_a_repository_that_it_may_not_write(project: Path, route: str) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=u", "-c", "user.email=u@example.com"]
    (project / "src/a").write_text("a\n")
    for arguments in (["init", "-q"], ["add", "src"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    (project / "src/a").write_text("b\n")
    end = shell("git status --short && git diff", project, route=route)
    assert end.exit_code == 0, end.stderr
    assert b" M src/a" in end.stdout
    assert b"+b" in end.stdout
    assert shell("git add src", project, route=route).exit_code != 0


def test_pytest_runs_the_tests_of_a_project(project: Path, route: str) -> None:
    (project / "src/test_it.py").write_text("def test_it(tmp_path): (tmp_path / 'x').write_text('x')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "src", "src"]
    end = run(command, project, route=route)
    assert end.exit_code == 0, end.stdout + end.stderr
    assert b"1 passed" in end.stdout


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda project: {"cwd": project.parent}, "no folder of the project"),
        (lambda project: {"policy": Confinement(project=project / "missing")}, "is no folder"),
        (lambda _: {"policy": Confinement(project=Path("/"))}, "run vibe in a project's own folder"),
        (lambda project: {"policy": Confinement(project=project, protected=("../x",))}, "not inside of the project"),
        (lambda _: {"timeout_s": 601}, "at most 600"),
    ],
)
def test_what_cannot_be_confined_is_refused_with_the_reason(
    project: Path, change: Callable[[Path], dict[str, Any]], why: str
) -> None:
    with pytest.raises(ConfinementRefused, match=why):
        run(["true"], project, **change(project))


def test_without_scopes_signals_reach_the_command_s_own_processes_only(project: Path) -> None:
    """Where Landlock has none, the broker decides."""
    script = f"sleep 301.5 & kill $! && wait; kill -0 {os.getpid()} || echo denied"
    end = shell(script, project, layers=FLOOR_LAYERS - {SCOPE})
    assert end.stdout == b"denied\n"
    assert end.seconds < 300
    assert end.level is Level.GOOD


def test_who_watches_the_command_cannot_be_read_by_it(project: Path) -> None:
    """It has no filter: whoever took it over would be rid of theirs."""
    script = "cat /proc/$PPID/environ || cat /proc/$PPID/maps"
    layers = FLOOR_LAYERS - {LANDLOCK}
    end = shell(script, project, layers=layers)
    assert end.exit_code != 0
    assert end.stdout == b""


def test_elsewhere_than_on_linux_nothing_pretends(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfinementRefused, match="confined on Linux only"):
        run(["true"], project)
    report = trio.run(probe_confinement)
    assert (report.level, report.probes) == (Level.WEAK, ())
    assert "Linux only" in report.layers["no layers"]


def test_a_home_is_no_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project / "src"))
    with pytest.raises(ConfinementRefused, match="own folder"):
        run(["true"], project)


def test_below_the_level_that_is_asked_for_nothing_runs(project: Path) -> None:
    async def main() -> None:
        await run_confined(
            ["touch", "src/ran"],
            cwd=project,
            policy=Confinement(project=project),
            layers=FLOOR_LAYERS,
        )

    with pytest.raises(ConfinementRefused, match="level good here, and strong is asked for"):
        trio.run(main)
    assert not (project / "src/ran").exists()


@pytest.mark.parametrize(
    ("layers", "level"),
    [
        (ALL_LAYERS, Level.STRONG),
        (ALL_LAYERS - {SECCOMP}, Level.WEAK),
        (FLOOR_LAYERS, Level.GOOD),
        (FLOOR_LAYERS - {LANDLOCK}, Level.WEAK),
        (FLOOR_LAYERS - {SECCOMP}, Level.WEAK),
    ],
)
def test_the_level_is_that_of_the_layers_that_were_installed(
    project: Path, layers: frozenset[str], level: Level
) -> None:
    assert run(["true"], project, layers=layers).level is level
