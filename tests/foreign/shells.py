"""python -m tests.foreign.shells: zsh and fish as Debian has them, unpacked below build/shells. Needs no root.

`build/shells/bin` then holds `zsh` and `fish`, which find their modules and functions where they were unpacked: fish by
itself, zsh because the two folders that are written in it are replaced by descriptors that its starter opens.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "shells"

_PACKAGES = ("fish", "fish-common", "libpcre2-32-0", "zsh", "zsh-common")
_FUNCTIONS = "/usr/share/zsh/functions"


def main() -> None:
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        raise SystemExit(f"{', '.join(missing)} is not installed; where there is no Debian, install zsh and fish")
    debs, tree, programs = FOLDER / "debs", FOLDER / "tree", FOLDER / "bin"
    for folder in (tree, programs):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (debs, tree, programs):
        folder.mkdir(parents=True, exist_ok=True)
    if not any(debs.iterdir()):
        subprocess.run(["apt-get", "--quiet=2", "download", *_PACKAGES], cwd=debs, check=True)
    for package in sorted(debs.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
    _set_up_fish(tree, programs / "fish")
    _set_up_zsh(tree, programs / "zsh")
    for program in sorted(programs.iterdir()):
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        print(f"{program}: {version.stdout.strip()}")


def _set_up_fish(tree: Path, starter: Path) -> None:
    (tree / "usr/etc/fish").mkdir(parents=True)  # with bin and share beside it, fish takes this for its prefix
    (library,) = tree.glob("usr/lib/*/libpcre2-32.so.0")
    _starter(starter, [f"export LD_LIBRARY_PATH={shlex.quote(str(library.parent))}"], tree / "usr/bin/fish")


def _set_up_zsh(tree: Path, starter: Path) -> None:
    (modules,) = tree.glob("usr/lib/*/zsh/*")
    program = tree / "bin/zsh"
    content = program.read_bytes()
    for number, written in ((9, "/" + str(modules.relative_to(tree))), (8, _FUNCTIONS)):
        old = b"\0" + written.encode() + b"\0"
        assert content.count(old) == 1, written
        content = content.replace(old, b"\0" + f"/proc/self/fd/{number}".encode().ljust(len(old) - 1, b"\0"))
    program.write_bytes(content)
    opened = [f"exec 9< {shlex.quote(str(modules))} 8< {shlex.quote(str(tree) + _FUNCTIONS)}"]
    _starter(starter, opened, program)


def _starter(file: Path, lines: list[str], program: Path) -> None:
    file.write_text("\n".join(["#!/bin/sh", *lines, f'exec {shlex.quote(str(program))} "$@"', ""]))
    file.chmod(0o755)


if __name__ == "__main__":
    main()
