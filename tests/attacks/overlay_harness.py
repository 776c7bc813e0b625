"""Runs attacks on a project, each on a folder of its own in it, and compares to the last bit that anybody could see."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.confine_harness import interpreter
from tests.attacks.overlay_attacks import ATTACKS, HEAD
from vibe_workflows.sandbox.confine import ALL_LAYERS, CommandEnd, CommandLimits, Confinement, Level, run_confined
from vibe_workflows.sandbox.confine.layers import OVERLAY
from vibe_workflows.sandbox.confine.upper import WrittenKind, written

LIMITS = CommandLimits(file_bytes=1 << 41)
State = Mapping[str, tuple[object, ...]]


def make_project(folder: Path, parts: Iterable[str]) -> Path:
    """All protected names are there: in place, a stand-in for one would itself be a change."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/config").write_text("[core]\n")
    for name in (".vibe", ".claude"):
        (folder / name).mkdir()
    (folder / "vibe.yaml").touch()
    for part in parts:
        make_part(folder / part)
    return folder


def make_part(folder: Path) -> None:
    (folder / "d/e").mkdir(parents=True)
    for name, text in {"a": "as it was\n", "b": "b\n", "d/x": "x\n", "d/e/z": "z\n", "twin1": "twin\n"}.items():
        (folder / name).write_text(text, encoding="ascii")
    (folder / "twin2").hardlink_to(folder / "twin1")
    (folder / "link").symlink_to("a")


def state(folder: Path) -> State:
    """Of every name: what it is, down to its number, its links, its times and its attributes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        inside: object = None
        if path.is_symlink():
            inside = path.readlink()
        elif path.is_file() and status.st_size < 1 << 20:
            inside = path.read_bytes()
        names = os.listxattr(path, follow_symlinks=False)
        found[str(path.relative_to(folder))] = (
            *(status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_nlink, status.st_size),
            *(status.st_mtime_ns, status.st_ctime_ns, inside),
            {name: os.getxattr(path, name, follow_symlinks=False) for name in names},
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one attack."""

    end: CommandEnd
    went_through: bool  # to its own end
    changed: bool  # the project
    written: Mapping[str, WrittenKind]


async def run_attacks(project: Path, upper: Path, off: frozenset[str]) -> dict[str, Result]:
    """All attacks that need these layers off. With OVERLAY among the layers that are off, in place."""
    numbers = {str(n): name for n, name in enumerate(ATTACKS) if ATTACKS[name].off == off - {OVERLAY}}
    make_project(project, numbers)
    before = state(project)
    calls = "".join(f"attempt({number!r}, {ATTACKS[name].source!r})\n" for number, name in numbers.items())
    end = await run_confined(
        interpreter(f"{HEAD}ROOT = {str(project)!r}\n{calls}"),
        cwd=project,
        policy=Confinement(project=project, limits=LIMITS, upper=None if OVERLAY in off else upper),
        timeout_s=60,
        at_least=Level.WEAK,
        layers=ALL_LAYERS - off,
    )
    after = state(project)
    different = {path.split("/")[0] for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    found = kinds(upper, project)
    return {
        name: Result(
            end=end,
            went_through=f"{number} 0\n".encode() in end.stdout,
            changed=number in different or (OVERLAY not in off and bool(different)),
            written={path[len(number) + 1 :]: kind for path, kind in found.items() if path.startswith(number + "/")},
        )
        for number, name in numbers.items()
    }


def kinds(upper: Path, lower: Path) -> dict[str, WrittenKind]:
    """What was written. Whether a folder hides anything where nothing is, is the kernel's choice."""
    return {
        found.path: found.kind
        if found.kind is not WrittenKind.OPAQUE or os.path.lexists(lower / found.path)
        else WrittenKind.FOLDER
        for found in written(upper)
    }
