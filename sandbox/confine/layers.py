"""The walls around a command, by name; and the level that follows from those that stand. Both sides load this."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from ..level import Level

#: Namespaces. Without `user`, only root gets the others.
USER, MOUNTS, PIDS, NETWORK, IPC = "user", "mounts", "pids", "network", "ipc"
#: Paths of the project that stay as they are.
PROTECTED: Final = "protected"
#: A copy-on-write view of the project; only in force for a command that asks for one.
OVERLAY: Final = "overlay"
#: What every process of the command gets.
ENVIRONMENT, DESCRIPTORS, SESSION, LIMITS = "environment", "descriptors", "session", "limits"
CAPABILITIES, LANDLOCK, SCOPE, SECCOMP = "capabilities", "landlock", "scope", "seccomp"
#: The supervisor's own doings: it kills what is left, counts what runs, and changes modes and times of project files
#: on behalf of a command that may not.
REAPER, CENSUS, BROKER = "reaper", "census", "broker"

NAMESPACES: Final = frozenset({USER, MOUNTS, PIDS, NETWORK, IPC})
#: A command can be run without any of them, to test what the rest holds.
ALL_LAYERS: Final = NAMESPACES | {
    PROTECTED, OVERLAY, ENVIRONMENT, DESCRIPTORS, SESSION, LIMITS, CAPABILITIES, LANDLOCK, SCOPE, SECCOMP, REAPER,
    CENSUS, BROKER,
}  # fmt: skip
#: What is used where no namespaces can be had.
FLOOR_LAYERS: Final = ALL_LAYERS - NAMESPACES - {OVERLAY}


def level_of(layers: Mapping[str, str], *, network: bool) -> Level:
    """The level of a command whose layers are in force as told: by name, an empty detail for one that is not."""

    def stand(names: Collection[str]) -> bool:
        return all(layers.get(name) for name in names)

    if not stand({SECCOMP, CAPABILITIES, ENVIRONMENT, DESCRIPTORS, SESSION, PROTECTED, REAPER}):
        return Level.WEAK
    # Root needs no user namespace to have the others; without capabilities it does not get out of them.
    private = {MOUNTS, PIDS, IPC} | (set() if network else {NETWORK})
    if stand(private) and (layers.get(LANDLOCK) or layers.get(f"no {LANDLOCK}")):
        return Level.STRONG
    # Where Landlock has no scopes, the filter closes what they would.
    return Level.GOOD if layers.get(LANDLOCK) else Level.WEAK
