"""Finds workflow files by name or path. Nothing is executed or parsed here: a file is its name and its bytes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vibe_workflows.engine.errors import TrustNeeded, WorkflowError
from vibe_workflows.engine.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    from vibe_workflows.engine.config import Settings

MAX_BYTES = 1024 * 1024
BUILTIN_FOLDER = Path(__file__).parent / "workflows"
PROJECT_FOLDERS = (".vibe/workflows", "workflows")
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

#: Whether exactly this content at this path was trusted to run under a name that belongs to somebody else.
Trusts = Callable[[Path, bytes], bool]


class Origin(StrEnum):
    PROJECT = "project"
    USER = "user"
    BUILTIN = "built-in"
    PATH = "path"  # named by its path, wherever it lies


class WorkflowFile(NamedTuple):
    """A file that may be a workflow. `hides`: files of the same name that it stands before, the nearest first."""

    name: str
    path: Path
    origin: Origin
    hides: tuple[WorkflowFile, ...] = ()

    @property
    def needs_trust(self) -> bool:
        """A project's file that takes a user's or a built-in name: only the person may decide that it has it."""
        return self.origin is Origin.PROJECT and any(file.origin is not Origin.PROJECT for file in self.hides)


class SkippedFile(NamedTuple):
    path: Path
    reason: str


class WorkflowSource(NamedTuple):
    """A file as it was read once: `digest` (BLAKE2b-256, hex) is that of `content`, and `text` is what it says."""

    file: WorkflowFile
    content: bytes
    text: str
    digest: str


def workflow_name(stem: str) -> str:
    """A name as shown and compared: `-` and `_` are the same."""
    return stem.replace("_", "-")


class Catalog(NamedTuple):
    """What can be run by name, sorted; `skipped` files lie in a workflow folder and cannot be."""

    workflows: Mapping[str, WorkflowFile]
    skipped: tuple[SkippedFile, ...] = ()
    switched_off: tuple[str, ...] = ()  # built-in ones that the settings leave out

    def resolve(self, name_or_path: str, cwd: Path) -> WorkflowFile:
        """The file that a person means. What has a `/` or ends in `.py` is a path. Raises WorkflowError."""
        if "/" in name_or_path or name_or_path.endswith(".py"):
            path = Path(os.path.abspath(cwd / name_or_path))
            return WorkflowFile(name=workflow_name(path.stem), path=path, origin=Origin.PATH)
        if found := self.workflows.get(workflow_name(name_or_path)):
            return found
        if os.path.isdir(cwd / name_or_path):
            raise WorkflowError(f"{name_or_path}: a folder; name a workflow file in it, such as {name_or_path}/NAME.py")
        if os.path.isfile(cwd / f"{name_or_path}.py"):
            raise WorkflowError(f"no workflow is named `{name_or_path}`; did you mean the file `{name_or_path}.py`?")
        if os.path.isfile(cwd / name_or_path):
            raise WorkflowError(f"{name_or_path}: a workflow is a Python file; rename it to `{name_or_path}.py`")
        meant = nearest(workflow_name(name_or_path), self.workflows)
        raise WorkflowError(
            f"no workflow is named `{name_or_path}`; "
            + (f"did you mean `{meant}`?" if meant else "`vibe list` shows all; a file is named by its path")
        )

    def load(self, name_or_path: str, cwd: Path, trusts: Trusts) -> WorkflowSource:
        """Resolve and read, once: what was trusted is what runs. Raises WorkflowError, or TrustNeeded by name."""
        source = read_source(self.resolve(name_or_path, cwd))
        file = source.file
        if file.needs_trust and not trusts(file.path, source.content):
            owner = next(hidden for hidden in file.hides if hidden.origin is not Origin.PROJECT)
            whose = "a built-in workflow" if owner.origin is Origin.BUILTIN else f"your own workflow {owner.path}"
            raise TrustNeeded(
                f"{file.path} takes the name of {whose}, `{file.name}`; read it and run `vibe trust` to let it have "
                f"that name, or run either by its path (the other one is {owner.path})"
            )
        return source


def discover(settings: Settings) -> Catalog:
    """All workflows from `settings.project_root`: the project's, the user's, the built-in ones; the nearer one wins."""
    found: dict[str, WorkflowFile] = {}
    skipped: list[SkippedFile] = []
    for file in _files(settings, skipped):
        if nearer := found.get(file.name):
            found[file.name] = nearer._replace(hides=(*nearer.hides, file))
        else:
            found[file.name] = file
    # Built-in names are switched off only now: a project that switches them off does not thereby own their names.
    offered = {
        name: file
        for name, file in sorted(found.items())
        if file.origin is not Origin.BUILTIN or (settings.catalog_builtin and name not in settings.catalog_hide)
    }
    left_out = tuple(sorted(found.keys() - offered.keys()))
    return Catalog(workflows=offered, skipped=tuple(skipped), switched_off=left_out)


def files_named(settings: Settings, name: str) -> tuple[WorkflowFile, ...]:
    """All files of a name, the nearest first; built-in ones also where they are switched off."""
    return tuple(file for file in _files(settings, []) if file.name == name)


def is_name(stem: str) -> bool:
    """Whether a workflow of this name can be run by it."""
    return _STEM.fullmatch(stem) is not None


def _files(settings: Settings, skipped: list[SkippedFile]) -> Iterator[WorkflowFile]:
    root = os.path.realpath(settings.project_root)
    for folder, origin in workflow_folders(settings):
        yield from _scan(folder, origin, skipped, root if origin is Origin.PROJECT else None)


def user_folder(settings: Settings) -> Path:
    """Of the person's own workflows, for all projects."""
    return settings.user_config_dir / "workflows"


def workflow_folders(settings: Settings) -> Iterator[tuple[Path, Origin]]:
    """Where workflows lie that can be named, whether a folder is there or not; the nearer one first."""
    root = settings.project_root
    user = user_folder(settings)
    extra = [folder for folder in settings.workflow_folders if folder != user]
    ours = [root / folder for folder in PROJECT_FOLDERS] + [folder for folder in extra if folder.is_relative_to(root)]
    yield from ((folder, Origin.PROJECT) for folder in dict.fromkeys(ours))
    theirs = [user, *(folder for folder in extra if not folder.is_relative_to(root))]
    yield from ((folder, Origin.USER) for folder in dict.fromkeys(theirs))
    yield BUILTIN_FOLDER, Origin.BUILTIN


def _scan(folder: Path, origin: Origin, skipped: list[SkippedFile], inside: str | None) -> Iterator[WorkflowFile]:
    """The workflow files of a folder. `inside` is a real path that none may lie outside of, link or no link."""
    try:
        linked = inside is not None and os.path.realpath(folder) != os.path.abspath(folder)
        with os.scandir(folder) as entries:
            files = sorted(
                (entry.name, _unfit(entry, inside, linked=linked)) for entry in entries if entry.name.endswith(".py")
            )
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        skipped.append(SkippedFile(path=folder, reason=f"cannot be read: {error.strerror}"))
        return
    taken: dict[str, str] = {}
    for file_name, unfit in files:
        stem, path = file_name[:-3], folder / file_name
        if stem.startswith(("_", ".")):
            continue
        name = workflow_name(stem)
        if not _STEM.fullmatch(stem):
            reason = "its name is no command's: letters, digits, `-` and `_` are; rename it, or run it by its path"
            skipped.append(SkippedFile(path=path, reason=reason))
        elif unfit:
            skipped.append(SkippedFile(path=path, reason=unfit))
        elif name in taken:
            reason = f"`{name}` is {taken[name]} already (`-` and `_` are the same); rename one of them"
            skipped.append(SkippedFile(path=path, reason=reason))
        else:
            taken[name] = file_name
            yield WorkflowFile(name=name, path=path, origin=origin)


def _unfit(entry: os.DirEntry[str], inside: str | None, *, linked: bool) -> str:
    """Why it is no file that a name may stand for; nothing where it may."""
    try:
        if not entry.is_file():
            return "not a regular file"
        if inside is not None and (linked or entry.is_symlink()):
            real = os.path.realpath(entry.path)
            if not real.startswith(inside.rstrip("/") + "/"):
                return (
                    f"a link out of the project, to {real}; run it by its path, or name its folder in your own config"
                )
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def read_source(file: WorkflowFile) -> WorkflowSource:
    """Read a workflow's file. Raises WorkflowError that says what is wrong with it."""
    path = file.path
    if path.suffix != ".py":
        if path.is_dir():
            raise WorkflowError(f"{path}: a folder; name a workflow file in it")
        what = "a workflow is a Python file, and its name ends in `.py`" if path.exists() else _missing(path)
        raise WorkflowError(f"{path}: {what}")
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WorkflowError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from error
    return workflow_source(file, text, content)


def workflow_source(file: WorkflowFile, text: str, content: bytes | None = None) -> WorkflowSource:
    """A source whose text is at hand: one that came by stdin, say."""
    content = text.encode("utf-8", "surrogatepass") if content is None else content
    digest = blake2b(content, digest_size=32).hexdigest()
    return WorkflowSource(file=file, content=content, text=text, digest=digest)


def _read(path: Path) -> bytes:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError
            if not stat.S_ISREG(mode):
                raise WorkflowError(f"{path}: not a regular file; use `vibe run -` to read a workflow from a pipe")
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WorkflowError(f"{path}: {_missing(path)}") from error
    except IsADirectoryError as error:
        raise WorkflowError(f"{path}: a folder; name a workflow file in it") from error
    except OSError as error:
        raise WorkflowError(f"{path}: cannot be read: {error.strerror}; mend its permissions") from error
    if len(content) > MAX_BYTES:
        raise WorkflowError(f"{path}: larger than 1 MB, which no workflow needs to be; is it the right file?")
    return content


def _missing(path: Path) -> str:
    try:
        near = [name for name in os.listdir(path.parent) if name.endswith(".py")]
    except OSError:
        return f"no such file: there is no folder {path.parent}"
    if not near:
        return f"no such file: no Python file lies in {path.parent}"
    return (
        f"no such file; {did_you_mean(path.name, near)}"
        if len(near) < 20 or nearest(path.name, near)
        else (f"no such file among the {len(near)} Python files of {path.parent}")
    )
