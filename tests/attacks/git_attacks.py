"""Hostile repositories: each is made in a folder, and says how it would show that it got through.

An attack either starts the program `EVIL`, which leaves the mark, or makes git say the secret of another repository,
or what was never committed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.repositories import commit, git, repository, write

SECRET = "S3CR3T of another repository"
FORGED = "FORGED, which nobody committed"


@dataclass(frozen=True, slots=True)
class Trap:
    """`project` is the hostile one; `other` is a repository of the person's that it is after."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def other(self) -> Path:
        return self.folder / "other"

    @property
    def mark(self) -> Path:
        return self.folder / "MARK"

    @property
    def evil(self) -> str:
        """A program that leaves the mark."""
        program = self.folder / "project" / "evil.sh"
        program.write_text(f"#!/bin/sh\necho x > '{self.mark}'\n")
        program.chmod(0o755)
        return str(program)


Make = Callable[[Trap], None]


def _plain(trap: Trap) -> None:
    repository(trap.project, {"a.txt": "one\n", "b.bin": "two\n"})
    write(trap.project, "a.txt", "changed\n")


def _configured(**settings: str) -> Make:
    """A repository with these settings (`__` for a dot); EVIL is the program."""

    def make(trap: Trap) -> None:
        _plain(trap)
        for name, value in settings.items():
            git(trap.project, "config", name.replace("__", "."), value.replace("EVIL", trap.evil))

    return make


def _with_attributes(attributes: str, **settings: str) -> Make:
    def make(trap: Trap) -> None:
        _configured(**settings)(trap)
        write(trap.project, ".gitattributes", attributes)

    return make


def _hook(trap: Trap) -> None:
    """Git writes the index when it finds a file with another date but the same contents."""
    _plain(trap)
    os.utime(trap.project / "b.bin", (1, 1))
    shutil.copy(trap.evil, trap.project / ".git/hooks/post-index-change")


def _hooks_path(trap: Trap) -> None:
    _configured(core__hooksPath="hooks")(trap)
    os.utime(trap.project / "b.bin", (1, 1))
    write(trap.project, "hooks/x")
    shutil.copy(trap.evil, trap.project / "hooks/post-index-change")


def _include(trap: Trap) -> None:
    _plain(trap)
    write(trap.project, "settings", f"[core]\nfsmonitor = {trap.evil}\n")
    git(trap.project, "config", "include.path", "../settings")


def _attributes_file(trap: Trap) -> None:
    _configured(core__attributesFile="attributes", filter__x__clean="EVIL")(trap)
    write(trap.project, "attributes", "* filter=x\n")


def _info_attributes(trap: Trap) -> None:
    _configured(filter__x__clean="EVIL")(trap)
    write(trap.project, ".git/info/attributes", "* filter=x\n")


def _worktree_config(trap: Trap) -> None:
    _configured(extensions__worktreeConfig="true")(trap)
    write(trap.project, ".git/config.worktree", f"[core]\nfsmonitor = {trap.evil}\n")


def _promisor(trap: Trap, url: str) -> None:
    """A partial clone: git fetches the blob that it lacks, by what the remote says."""
    _plain(trap)
    blob = git(trap.project, "rev-parse", "HEAD:a.txt")
    (trap.project / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url.replace("EVIL", trap.evil),
        "protocol.ext.allow": "always",
        "core.sshCommand": trap.evil,
    }.items():
        git(trap.project, "config", name, value)


def _submodule(trap: Trap) -> None:
    """Git asks for the status of a submodule in the submodule, where its own config counts."""
    _plain(trap)
    repository(trap.project / "sub", {"x": "x\n"})
    git(trap.project, "add", "sub")
    git(trap.project, "commit", "-qm", "submodule")
    git(trap.project / "sub", "config", "core.fsmonitor", trap.evil)
    write(trap.project, "sub/x", "y\n")


def _root_is_bare(trap: Trap) -> None:
    """Folders of a clone that look like a bare repository."""
    _plain(trap)
    git(trap.project, "config", "core.worktree", "..")
    git(trap.project, "config", "core.fsmonitor", trap.evil)
    for path in (trap.project / ".git").iterdir():
        path.rename(trap.project / path.name)
    (trap.project / ".git").rmdir()
    git(trap.project, "config", "-f", "config", "core.worktree", ".")
    git(trap.project, "config", "-f", "config", "core.bare", "false")


def _elsewhere(trap: Trap) -> None:
    _plain(trap)
    git(trap.project, "config", "core.worktree", str(trap.other))
    write(trap.other, "a.txt", SECRET)


def _git_file(trap: Trap) -> None:
    trap.project.mkdir()
    write(trap.project, ".git", f"gitdir: {trap.other}/.git\n")


def _git_file_of_a_worktree(trap: Trap) -> None:
    """It names the administration of a working tree that is another one."""
    git(trap.other, "worktree", "add", "-q", str(trap.folder / "real"))
    trap.project.mkdir()
    write(trap.project, ".git", f"gitdir: {trap.other}/.git/worktrees/real\n")


def _git_link(trap: Trap) -> None:
    trap.project.mkdir()
    (trap.project / ".git").symlink_to(trap.other / ".git")


def _linked(*names: str) -> Make:
    """Parts of the repository are links into the other one."""

    def make(trap: Trap) -> None:
        _plain(trap)
        for name in names:
            mine = trap.project / ".git" / name
            if mine.is_dir():
                shutil.rmtree(mine)
            else:
                mine.unlink(missing_ok=True)
            mine.symlink_to(trap.other / ".git" / name)

    return make


def _known_commit(trap: Trap) -> str:
    """HEAD is a commit of the other repository, whose hash is known: only its objects are not here."""
    _plain(trap)
    known = git(trap.other, "rev-parse", "HEAD")
    write(trap.project, ".git/HEAD", known + "\n")
    return known


def _alternates(trap: Trap) -> None:
    _known_commit(trap)
    write(trap.project, ".git/objects/info/alternates", f"{trap.other}/.git/objects\n")


def _linked_objects(trap: Trap) -> None:
    """Single objects are links."""
    _known_commit(trap)
    for path in (trap.other / ".git/objects").glob("??/*"):
        target = trap.project / ".git/objects" / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(path)


def _linked_packs(trap: Trap) -> None:
    git(trap.other, "repack", "-adq")
    _known_commit(trap)
    for path in (trap.other / ".git/objects/pack").iterdir():
        (trap.project / ".git/objects/pack" / path.name).symlink_to(path)


def _replaced(trap: Trap) -> None:
    _plain(trap)
    old = git(trap.project, "rev-parse", "HEAD:a.txt")
    new = git(trap.project, "hash-object", "-w", "--stdin", stdin=FORGED + "\n")
    git(trap.project, "replace", old, new)


def _grafted(trap: Trap) -> None:
    """HEAD gets another parent than it has."""
    _plain(trap)
    commit(trap.project, "second")
    git(trap.project, "checkout", "-q", "--orphan", "forged")
    write(trap.project, "a.txt", FORGED + "\n")
    forged = commit(trap.project, "forged")
    git(trap.project, "checkout", "-qf", "main")
    write(trap.project, ".git/info/grafts", f"{git(trap.project, 'rev-parse', 'HEAD')} {forged}\n")
    git(trap.project, "branch", "-qD", "forged")


@dataclass(frozen=True, slots=True)
class GitAttack:
    name: str
    make: Make
    base: str = "HEAD"
    #: Part of what git_diff says of such a repository.
    says: str = "+changed"
    #: Whether confinement stops it, too: what is wrong within the project only, it does not.
    confined: bool = True


ATTACKS = (
    GitAttack("core.fsmonitor", _configured(core__fsmonitor="EVIL")),
    GitAttack("a hook", _hook),
    GitAttack("core.hooksPath", _hooks_path),
    GitAttack("filter.clean", _with_attributes("* filter=x\n", filter__x__clean="EVIL")),
    GitAttack("filter.process", _with_attributes("* filter=x\n", filter__x__process="EVIL")),
    GitAttack("diff.external", _configured(diff__external="EVIL")),
    GitAttack("diff.command", _with_attributes("* diff=x\n", diff__x__command="EVIL")),
    GitAttack("diff.textconv", _with_attributes("* diff=x\n", diff__x__textconv="EVIL")),
    GitAttack("include.path", _include),
    GitAttack("core.attributesFile", _attributes_file),
    GitAttack("info/attributes", _info_attributes),
    GitAttack("config.worktree", _worktree_config),
    GitAttack("a promised object, by ext::", lambda trap: _promisor(trap, "ext::EVIL %S"), says="unable to read"),
    GitAttack(
        "a promised object, by core.sshCommand",
        lambda trap: _promisor(trap, "ssh://127.0.0.1/x"),
        says="unable to read",
    ),
    GitAttack("config of a submodule", _submodule),
    GitAttack("a root that is a bare repository", _root_is_bare, says="in no git repository"),
    GitAttack("core.worktree", _elsewhere),
    GitAttack(".git names another repository", _git_file, says="does not know this folder"),
    GitAttack(".git names another's working tree", _git_file_of_a_worktree, says="does not know this folder"),
    GitAttack(".git is a link to another repository", _git_link, says="does not know this folder"),
    GitAttack("objects and refs are links", _linked("objects", "refs", "index"), says="are not followed"),
    GitAttack("alternates", _alternates, says="no commit, branch or tag that this clone has"),
    GitAttack("objects are links", _linked_objects, says="are not followed"),
    GitAttack("packs are links", _linked_packs, says="are not followed"),
    GitAttack("a replaced object", _replaced, confined=False),
    GitAttack("a graft", _grafted, base="HEAD~1", confined=False),
)
