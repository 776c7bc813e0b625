"""Finds the repository around a project, and makes sure that it is the project's own.

What a `.git` says is not believed: a file or link that leads elsewhere counts only where the repository there names
this working tree as its own, which nobody can write into it but its owner.
"""

from __future__ import annotations

import os
import re
import stat

from msgspec import Struct

from ..errors import ToolFailed

_SMALL_BYTES = 64 * 1024
_SECTION = re.compile(r"\s*\[\s*([A-Za-z0-9.-]+)\s*\]")
_SETTING = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*\"?([^\"#;]*)")


class Repository(Struct, frozen=True, kw_only=True):
    """Resolved folders of one repository."""

    top: str  # the working tree, which holds the project
    own: str  # HEAD and index of this working tree
    common: str  # objects, refs and config, shared by all its working trees


def find_repository(project: str) -> Repository:
    """The nearest repository that holds `project`, a resolved path. Raises ToolFailed."""
    folder = project
    while True:
        dot_git = os.path.join(folder, ".git")
        found = _mode(dot_git)
        if stat.S_ISDIR(found) and _is_git_dir(dot_git):
            _require_own(dot_git, folder, project)
            return Repository(top=folder, own=dot_git, common=dot_git)
        if stat.S_ISREG(found) or stat.S_ISLNK(found):
            _require_own(dot_git, folder, project)
            return _named_elsewhere(dot_git, folder)
        parent = os.path.dirname(folder)
        if parent == folder:
            raise ToolFailed("this project is in no git repository")
        folder = parent


def read_small(path: str) -> str | None:
    """The text of a small regular file, or None; a link is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return file.read(_SMALL_BYTES).decode("utf-8", "surrogateescape")


def read_settings(path: str) -> dict[str, str]:
    """`section.key` in lower case -> value, of a config file's plain lines. No includes, no subsections: data only."""
    settings: dict[str, str] = {}
    section = ""
    for line in (read_small(path) or "").splitlines():
        if line.lstrip().startswith("["):
            header = _SECTION.fullmatch(line.rstrip())
            section = header[1].lower() if header else ""
        elif section and (setting := _SETTING.match(line)):
            settings[f"{section}.{setting[1].lower()}"] = setting[2].strip()
    return settings


def _named_elsewhere(dot_git: str, folder: str) -> Repository:
    """The repository that a `.git` file or link leads to, which has to lead back, or to lie in the working tree."""
    if stat.S_ISLNK(_mode(dot_git)):
        own = os.path.realpath(dot_git)
    else:
        key, _, target = (read_small(dot_git) or "").partition(":")
        if key != "gitdir":
            raise ToolFailed(".git is neither a repository nor the name of one")
        own = os.path.realpath(os.path.join(folder, target.strip()))
    if os.path.basename(os.path.dirname(own)) == "worktrees" and _names(read_small(f"{own}/gitdir"), own, dot_git):
        return Repository(top=folder, own=own, common=os.path.dirname(os.path.dirname(own)))
    inside = own.startswith(folder.rstrip("/") + "/")
    if not inside and not _leads_to(read_settings(f"{own}/config").get("core.worktree"), own, folder):
        raise ToolFailed(
            ".git leads to a repository elsewhere which does not know this folder as a working tree of its own; "
            "`git worktree repair` there mends a working tree that was moved"
        )
    if not _is_git_dir(own):
        raise ToolFailed(".git leads to where no repository is")
    return Repository(top=folder, own=own, common=own)


def _names(path: str | None, base: str, dot_git: str) -> bool:
    """Whether `path`, as a file in `base` holds it, is `dot_git`: its folder resolved, its own name not."""
    if not path or "\0" in path:
        return False
    folder, name = os.path.split(os.path.join(base, path.strip()))
    return os.path.join(os.path.realpath(folder), name) == dot_git


def _leads_to(path: str | None, base: str, folder: str) -> bool:
    return bool(path) and "\0" not in str(path) and os.path.realpath(os.path.join(base, str(path))) == folder


def _require_own(dot_git: str, folder: str, project: str) -> None:
    """Above the project a `.git` has to belong to this user: anybody can put one into /tmp."""
    if folder == project:
        return
    if os.lstat(dot_git).st_uid != os.geteuid():
        raise ToolFailed("the repository around this project belongs to another user, and does not count")


def _is_git_dir(path: str) -> bool:
    return all(_mode(f"{path}/{name}") for name in ("HEAD", "objects")) and (
        bool(_mode(f"{path}/refs")) or bool(_mode(f"{path}/reftable"))
    )


def _mode(path: str) -> int:
    """0 where nothing is."""
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return 0
