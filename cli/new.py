"""vibe new: writes a workflow from a template."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from vibe_workflows.catalog.template_files import NewWorkflow, Template


@click.command()
@click.argument("name", required=False)
@click.option(
    "--from",
    "template",
    metavar="TEMPLATE",
    shell_complete=values.templates,
    help="What to begin with: fan-out (the default), loop, pipeline or vote.",
)
@click.option("--user", "own", is_flag=True, help="For all your projects, in place of this one.")
@click.option("--list", "listed", is_flag=True, help="The templates.")
@options.as_json
def command(name: str | None, template: str | None, own: bool, listed: bool, as_json: bool) -> None:
    """Write the workflow NAME from a template. It runs at once, and then is yours to edit.

    It goes to the project's folder of workflows (`workflows` or `.vibe/workflows`). Nothing is overwritten.
    """
    from vibe_workflows.catalog.template_files import DEFAULT, plan_new, template_named, templates

    if listed:
        if name is not None:
            raise click.UsageError(f"--list shows the templates, and writes nothing; leave `{name}` or --list out")
        _show_templates(templates(), as_json=as_json)
        return
    if name is None:
        raise click.UsageError("name the workflow: vibe new NAME [--from TEMPLATE]; `vibe new --list` shows templates")
    _refuse_command(name)

    from .printing import print_json, print_text
    from .settings import load

    chosen = template_named(template or DEFAULT)
    planned = plan_new(load({}), name, own=own)
    _write(planned, chosen.text_for(planned.name))
    if as_json:
        print_json({"name": planned.name, "path": str(planned.path), "template": chosen.name})
        return
    print_text(_next_steps(planned, chosen))


def _refuse_command(name: str) -> None:
    """Raise WorkflowError for a name under which the workflow could never be called."""
    from vibe_workflows.engine.errors import WorkflowError

    from .main import COMMANDS

    if name.replace("_", "-") in COMMANDS:
        raise WorkflowError(
            f"`{name}` is a command of vibe, so that `vibe {name}` would not run it; choose another name"
        )


def _write(planned: NewWorkflow, text: str) -> None:
    from vibe_workflows.engine.errors import WorkflowError

    from .errors import say
    from .new_files import make_file, make_folder

    make_folder(planned.path.parent)
    if not make_file(planned.path, text):
        raise WorkflowError(f"{planned.path} is there already; edit it, or choose another name")
    for file in planned.hides:
        say(f"note: it stands before the built-in workflow of that name, which still runs by its path, {file.path}")
    for file in planned.hidden_by:
        say(f"warning: in this project {file.path} has that name, and by it needs `vibe trust` from now on")


def _next_steps(planned: NewWorkflow, template: Template) -> str:
    from .environment import near
    from .render.sanitize import one_line

    path = one_line(near().path(planned.path))
    return (
        f"made {path} from the template {template.name}: {template.about}\n"
        f"  edit it   {path}\n"
        f"  check it  vibe validate {planned.name}\n"
        f"  run it    vibe {planned.name} (without a model, too; --help shows what it takes)"
    )


def _show_templates(templates: tuple[Template, ...], *, as_json: bool) -> None:
    from .environment import screen
    from .printing import print_json, print_text
    from .render.tables import Column, table

    if as_json:
        print_json([{"name": each.name, "about": each.about} for each in templates])
        return
    surface = screen(sys.stdout)
    columns = (Column(title="template"), Column(title="what it does", shrinks=True))
    rows = [(each.name, each.about) for each in templates]
    print_text(table(columns, rows, width=surface.width, colour=surface.colour))
