"""The templates that new workflows begin with, and where a new one goes. Templates are read as text, never imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.nearest import did_you_mean

from .discovery import PROJECT_FOLDERS, Origin, WorkflowFile, files_named, is_name, user_folder, workflow_name

if TYPE_CHECKING:
    from vibe_workflows.engine.config import Settings

DEFAULT = "fan-out"
_FOLDER = Path(__file__).parent / "templates"


class Template(NamedTuple):
    """`text` is a whole workflow that runs as it is; `about` is its description."""

    name: str
    about: str
    text: str

    def text_for(self, name: str) -> str:
        """The same as the workflow `name`: the command in its description is then its own."""
        return self.text.replace(f"vibe {self.name} ", f"vibe {name} ", 1)


class NewWorkflow(NamedTuple):
    """Where a new workflow goes. `hides`: files of its name that it then stands before."""

    name: str
    path: Path
    hides: tuple[WorkflowFile, ...]
    hidden_by: tuple[WorkflowFile, ...]


def templates() -> tuple[Template, ...]:
    """All templates by name, the default one first."""
    found = []
    for file in sorted(_FOLDER.glob("[!_]*.py")):
        text = file.read_text(encoding="utf-8")
        found.append(Template(workflow_name(file.stem), text.partition("\n")[0].removeprefix('"""'), text))
    return tuple(sorted(found, key=lambda template: template.name != DEFAULT))


def template_named(name: str) -> Template:
    """Raises WorkflowError."""
    by_name = {template.name: template for template in templates()}
    if found := by_name.get(workflow_name(name)):
        return found
    raise WorkflowError(f"no template is named `{name}`; {did_you_mean(name, by_name)}")


def plan_new(settings: Settings, name: str, *, own: bool) -> NewWorkflow:
    """Where the workflow `name` would go: to the project, or to the person's `own`. Nothing is written.

    Raises WorkflowError for a name that cannot be one, that is taken, or that the project may not have without trust.
    """
    _require_name(name)
    shown = workflow_name(name)
    origin = Origin.USER if own else Origin.PROJECT
    others = files_named(settings, shown)
    for file in others:
        if file.origin is origin:
            raise WorkflowError(f"`{shown}` is there already: {file.path}; edit it, or choose another name")
    if not own and others:
        first = others[0]
        whose = "a built-in workflow" if first.origin is Origin.BUILTIN else f"your own workflow {first.path}"
        raise WorkflowError(
            f"`{shown}` is {whose}, and a project's file of that name runs by it only with your trust, which each "
            f"edit ends; choose another name{', or --user' if first.origin is Origin.BUILTIN else ''}"
        )
    path = _folder(settings, own=own) / f"{name.replace('-', '_')}.py"
    hides = tuple(file for file in others if file.origin is Origin.BUILTIN)
    hidden_by = tuple(file for file in others if file.origin is Origin.PROJECT)
    return NewWorkflow(name=shown, path=path, hides=hides, hidden_by=hidden_by)


def _require_name(name: str) -> None:
    if "/" in name:
        raise WorkflowError(f"`{name}` is a path; name the workflow alone, such as `{_suggested(name)}`")
    if name.endswith(".py"):
        raise WorkflowError(f"`{name}` is a file; name the workflow alone: `{_suggested(name)}`")
    if not is_name(name):
        raise WorkflowError(
            f"`{name}` cannot be the name of a workflow: use letters, digits, `-` and `_`, at most 100, "
            f"with a letter or digit first, such as `{_suggested(name)}`"
        )


def _suggested(name: str) -> str:
    """A name as near as possible to what was given."""
    stem = name.rstrip("/").rpartition("/")[2].removesuffix(".py")
    words = "".join(char if char.isascii() and char.isalnum() else " " for char in stem).split()
    return "-".join(words)[:40] or "review-docs"


def _folder(settings: Settings, *, own: bool) -> Path:
    """Of the person; else the first that exists of the project's, and `workflows` where none does.

    A link out of the project is refused: a repository could have a file written anywhere by it.
    """
    if own:
        return user_folder(settings)
    root = settings.project_root
    folders = [root / folder for folder in reversed(PROJECT_FOLDERS)]
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(os.path.realpath(root)):
        raise WorkflowError(f"{folder} leads to {real}, out of the project; make it a folder, or use --user")
    return folder
