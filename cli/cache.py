"""vibe cache: what the store holds, and what becomes of it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from . import options
from .amounts import AGE, SIZE
from .completing import values


@click.group()
def command() -> None:
    """What the store of this project holds: look at it, clear it, carry steps to another one."""


@command.command("list")
@options.as_json
@options.db
def list_(as_json: bool, db: str | None) -> None:
    """The workflows whose runs the store holds, with their steps and what their texts take; then the sums."""
    from vibe_workflows.engine.store.contents import contents

    from . import wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.cache import contents_json, contents_text
    from .settings import load

    held = contents(wiring.store_path(load({"db": db})))
    if as_json:
        print_json(contents_json(held))
        return
    surface = screen(sys.stdout)
    print_text(contents_text(held, width=surface.width, colour=surface.colour, now=time.time()))


@command.command()
@click.argument("step", metavar="KEY|STEP")
@options.as_json
@options.db
def show(step: str, as_json: bool, db: str | None) -> None:
    """One stored step, by its id or its key: what it was given and answered, what it saw, which runs it answered.

    A key names the pool of all steps of one input; the latest of them is shown. Long texts are shortened; --json has
    them whole.
    """
    from vibe_workflows.engine.store.contents import find_step

    from . import wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.cache import step_json, step_text
    from .settings import load

    found = find_step(wiring.store_path(load({"db": db})), step)
    if as_json:
        print_json(step_json(found))
        return
    surface = screen(sys.stdout)
    print_text(step_text(found, width=surface.width, colour=surface.colour, now=time.time()))


@command.command()
@click.option("--older-than", type=AGE, metavar="AGE", help="Take what was last used before: 30d, 12h, 2w.")
@click.option("--max-size", type=SIZE, metavar="SIZE", help="Take the oldest until the store is as small: 500MB, 2GB.")
@click.option(
    "--keep-runs", type=click.IntRange(min=0), metavar="N", help="Keep the newest N runs, whatever else holds."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and take nothing.")
@options.as_json
@options.db
def gc(
    older_than: float | None,
    max_size: float | None,
    keep_runs: int | None,
    dry_run: bool,
    as_json: bool,
    db: str | None,
) -> None:
    """Take old runs, and the steps that only they used, and give their space back.

    --keep-runs alone takes all but the newest N runs. What is at work stays in any case, and a run that did not
    complete stays unless it is older than --older-than.
    """
    if older_than is None and max_size is None and keep_runs is None:
        raise click.UsageError("say what may go: --older-than 30d, --max-size 500MB or --keep-runs 20, or several")
    from vibe_workflows.engine.store.gc import collect, would_go
    from vibe_workflows.engine.store.retention import Retention

    from . import wiring
    from .printing import print_json, print_text
    from .render.cache import collected_json, collected_text
    from .settings import load

    path = wiring.store_path(load({"db": db}))
    size = None if max_size is None else int(max_size)
    rules = Retention(older_than_s=older_than, max_bytes=size, keep_runs=keep_runs)
    done = (would_go if dry_run else collect)(path, rules, time.time())
    if as_json:
        print_json(collected_json(done, dry_run=dry_run))
    else:
        print_text(collected_text(done, dry_run=dry_run))


@command.command("export")
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=values.runs)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    shell_complete=values.paths,
    help="The file to write: JSON lines, with gzip.",
)
@options.as_json
@options.db
def export_(runs: tuple[str, ...], output: str, as_json: bool, db: str | None) -> None:
    """Write the answered steps of RUNs, or of the whole store, to a file for `vibe cache import`.

    It holds prompts, answers and what tools gave. Steps whose input or answer holds the value of a secret-looking
    environment variable are left out; in turns and tool calls such values are masked.
    """
    from . import wiring
    from .errors import say
    from .printing import print_json, print_text
    from .render.cache import exported_json, exported_text
    from .selection import find_run
    from .settings import load

    settings = load({"db": db})
    reader = wiring.open_reader(settings)
    try:
        wanted = [find_run(reader, run).id for run in runs]
    finally:
        reader.close()
    done = wiring.export_steps(settings, wanted, Path(output))
    if done.warning:
        say(f"warning: {done.warning}")
    if as_json:
        print_json(exported_json(done, output))
    else:
        print_text(exported_text(done, output))


@command.command("import")
@click.argument("file", shell_complete=values.paths)
@click.option("--dry-run", is_flag=True, help="Check the file and say what it holds, and import nothing.")
@options.as_json
@options.db
def import_(file: str, dry_run: bool, as_json: bool, db: str | None) -> None:
    """Bring the steps of an export into the store of this project, where they answer steps from then on.

    Whoever wrote the file chose these answers: import only what you would run yourself. Keys are computed anew, and
    whatever is out of order is refused as a whole. `vibe cache show` and `vibe trace --step` tell such a step.
    """
    from vibe_workflows.engine.store.imports import check_file

    from . import wiring
    from .errors import say
    from .printing import print_json, print_text
    from .render.cache import imported_text
    from .settings import load

    settings = load({"db": db})
    done = check_file(Path(file)) if dry_run else wiring.import_steps(settings, Path(file))
    if done.warning:
        say(f"warning: {done.warning}")
    if as_json:
        counts = {name: getattr(done, name) for name in ("id", "steps", "known", "granted")}
        print_json({"file": file, "dry_run": dry_run, **counts})
    else:
        print_text(imported_text(done, file, dry_run=dry_run))
