"""What of this machine a command sees beside its project: computed here, made true by mounts or by Landlock."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from .environment import path_entries
from .paths import holds
from .policy import Confinement, ConfinementRefused

#: Where they are links (as to /usr), the command sees the links.
SYSTEM: Final = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store", "/run/current-system",
)  # fmt: skip

#: Of /etc what programs need and nobody hides: root owns what it runs, and reads shadow, host keys and tokens.
ETC: Final = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version", "fonts",
    "gai.conf", "host.conf", "hostname", "hosts", "inputrc", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "lsb-release", "magic",
    "magic.mime", "mime.types", "networks", "nsswitch.conf", "os-release", "perl", "pki/tls/certs",
    "pki/ca-trust/extracted", "protocols", "python3", "python3.11", "python3.12", "python3.13", "python3.14",
    "redhat-release", "resolv.conf", "rpc", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
    "xattr.conf", "xml",
)  # fmt: skip


def project_root(policy: Confinement) -> str:
    """The project's real path. Raises ConfinementRefused where confining to it would confine nothing."""
    root = os.path.realpath(policy.project)
    if not os.path.isdir(root):
        raise ConfinementRefused(f"{policy.project} is no folder; commands need the project's folder")
    for private in private_folders():
        if policy.writable and holds(root, private):
            raise ConfinementRefused(
                f"{root} holds {private}, so that a command could write all of it; run vibe in a project's own folder"
            )
    for kind, names in (("protected", policy.protected), ("linked", policy.linked)):
        for name in names:
            if os.path.isabs(name) or ".." in Path(name).parts or not Path(name).parts:
                raise ConfinementRefused(f"{kind} path {name!r} is not inside of the project; give a relative path")
    return root


def overlay_folders(policy: Confinement, root: str) -> tuple[str, str]:
    """The upper and the lower folder of a copy-on-write view, resolved; two empty texts without one."""
    if policy.upper is None:
        if policy.lower is not None:
            raise ConfinementRefused("a lower folder is shown below an upper one only; name that, too")
        return "", ""
    upper = os.path.realpath(policy.upper)
    lower = root if policy.lower is None else os.path.realpath(policy.lower)
    if not os.path.isdir(lower):
        raise ConfinementRefused(f"{policy.lower} is no folder; it is to be shown in the place of {root}")
    for each in (root, lower):
        if holds(each, upper) or holds(upper, each):
            raise ConfinementRefused(f"{upper} is to take what is written to {each}; name a folder outside of it")
    return upper, lower


def linked_paths(policy: Confinement, root: str, lower: str) -> list[str]:
    """What is shown of the project itself where another folder is in its place: what is named, and our own code."""
    if lower in ("", root):
        return []
    named = [os.path.join(root, os.path.normpath(name)) for name in policy.linked]
    ours = [path for path in own_code() if holds(root, path) and path != root]
    found = [path for path in dict.fromkeys([*named, *ours]) if os.path.lexists(path)]
    # Below a link lies something else than the project's.
    return [path for path in found if os.path.realpath(os.path.dirname(path)) == os.path.dirname(path)]


def private_folders() -> list[str]:
    """What may never be shown as a whole: the home of this user, and what holds it."""
    homes = [os.path.expanduser("~")]
    with suppress(KeyError):  # a container's made-up uid
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    return list(dict.fromkeys(os.path.realpath(home) for home in homes if os.path.isabs(home)))


def own_code() -> list[str]:
    """The interpreter that runs here and what it loads: what a command wrote of it would run unconfined next time."""
    return list(dict.fromkeys(os.path.realpath(each) for each in (sys.prefix, sys.base_prefix, sys.exec_prefix)))


def readable(policy: Confinement, environment: Mapping[str, str]) -> list[str]:
    """Files and folders to show read-only, resolved, beside SYSTEM and ETC."""
    private = private_folders()
    prefixes = [os.path.realpath(each) for each in (sys.prefix, sys.base_prefix)]
    shown = [each for each in prefixes if not any(holds(each, home) for home in private)]
    shown += path_entries(environment["PATH"], private=private)
    for path in policy.readable:  # the person's own choice, home or not
        shown.append(os.path.realpath(path.expanduser()))
    system = [each for each in SYSTEM if not os.path.islink(each)]
    return [
        path for path in dict.fromkeys(shown) if os.path.exists(path) and not any(holds(base, path) for base in system)
    ]


def protected_paths(policy: Confinement, root: str) -> list[str]:
    """Absolute paths inside of the project that stay as they are, there or not: the named ones, and our own code."""
    named = [os.path.join(root, os.path.normpath(name)) for name in policy.protected]
    ours = [path for path in own_code() if holds(root, path) and path != root]
    return list(dict.fromkeys([*named, *ours]))
