"""vibe config: every setting, where it came from, and what was ignored and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from . import options
from .completing import values

if TYPE_CHECKING:
    from vibe_workflows.engine.config_report import ConfigReport, Setting

    from .render.settings import Place


@click.command()
@click.argument("name", required=False, shell_complete=values.config_keys)
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that hold their defaults.")
@click.option("--paths", is_flag=True, help="Where files, state, cache and database are.")
@options.as_json
def command(name: str | None, everything: bool, paths: bool, as_json: bool) -> int:
    """Every setting with its value and its source; NAME is one setting, or a section such as `sandbox`.

    Without a name: those that are set, what is ignored and why, and how many others there are. Keys, tokens and
    passwords are never shown. Where a file or a variable is wrong, the error is told, the rest is shown, and the exit
    code is 2.
    """
    if name is not None and (paths or everything):
        raise click.UsageError(f"{'--paths' if paths else '--all'} is about all settings; leave `{name}` out")
    from vibe_workflows.engine.errors import ExitCode

    from . import wiring
    from .errors import say
    from .printing import print_json, print_text

    report = wiring.examine_config()
    chosen = _chosen(report, name, everything=everything or as_json)
    if as_json:
        print_json(_paths_json(report) if paths else _as_json(report, chosen, one=name in report.values))
    else:
        print_text(_text(report, chosen, name, paths=paths))
    for warning in report.warnings:
        say(f"warning: {warning}")
    for problem in report.problems:
        say(f"error: {problem}")
    return int(ExitCode.USAGE if report.problems else ExitCode.DONE)


def _chosen(report: ConfigReport, name: str | None, *, everything: bool) -> list[Setting]:
    """The settings that are asked about. Raises UsageError for a name that is none."""
    if name is None:
        return [setting for setting in report.values.values() if everything or setting.said]
    if setting := report.values.get(name.replace("-", "_")) or report.values.get(name.partition(".")[0]):
        return [setting]
    section = [setting for key, setting in report.values.items() if key.startswith(f"{name}.")]
    if not section:
        from vibe_workflows.engine.nearest import nearest

        meant = nearest(name, report.values)
        raise click.UsageError(
            f"no setting is named `{name}`; "
            + (f"did you mean `{meant}`?" if meant else "`vibe config --all` shows all of them")
        )
    return section


def _text(report: ConfigReport, chosen: Sequence[Setting], name: str | None, *, paths: bool) -> str:
    from .environment import near, screen
    from .render.settings import places_text, setting_text, settings_text, table_text

    surface = screen(sys.stdout)
    width, colour = surface.width, surface.colour
    if paths:
        return places_text(_places(report), near=near(), width=width, colour=colour)
    if name is None:
        return settings_text(report, chosen, near=near(), width=width, colour=colour)
    if len(chosen) == 1:
        option = chosen[0].key.flag if chosen[0].key.name in options.settings_flags({}) else ""
        return setting_text(chosen[0], option, near=near(), colour=colour)
    return table_text(chosen, near=near(), width=width, colour=colour)


def _places(report: ConfigReport) -> list[Place]:
    from vibe_workflows.catalog.discovery import Origin, workflow_folders

    from .render.settings import Place

    settings = report.settings
    states = {file.path: "cannot be read" for file in report.files if file.unreadable}
    workflows = {
        Origin.PROJECT: "workflows",
        Origin.USER: "your workflows",
        Origin.BUILTIN: "built-in workflows",
    }
    found = [
        ("project", settings.project_root),
        ("project's settings", settings.project_file),
        ("your settings", settings.user_file),
        *((workflows[origin], folder) for folder, origin in workflow_folders(settings)),
        ("profiles", settings.project_root / ".vibe" / "agents"),
        ("your profiles", settings.user_config_dir / "agents"),
        ("database", settings.db_path),
        ("what you trust", settings.state_dir),
        ("cache", settings.cache_dir),
    ]
    return [Place(what, path, states.get(path) or ("" if path.exists() else "not there")) for what, path in found]


# ---------------------------------------------------------------- JSON


def _paths_json(report: ConfigReport) -> dict[str, object]:
    return {
        "paths": [
            {"what": each.what, "path": str(each.path), "problem": each.state or None} for each in _places(report)
        ]
    }


def _as_json(report: ConfigReport, chosen: Sequence[Setting], *, one: bool) -> dict[str, object]:
    settings = [_setting_json(setting) for setting in chosen]
    if one:
        return settings[0]
    return {
        "project": str(report.settings.project_root),
        "settings": settings,
        "files": [
            {"layer": file.layer.value, "path": str(file.path), "exists": file.exists, "read": file.read}
            for file in report.files
        ],
        "problems": list(report.problems),
        "warnings": list(report.warnings),
    }


def _setting_json(setting: Setting) -> dict[str, object]:
    from vibe_workflows.engine.config_layers import Source

    def source(of: Source) -> dict[str, object]:
        file = None if of.file is None else str(of.file)
        return {"layer": of.layer.value, "file": file, "line": of.line, "variable": of.name or None}

    key = setting.key
    return {
        "name": key.name,
        "about": key.about,
        "value": setting.value,
        "default": setting.default,
        "set": bool(setting.said),
        "source": source(setting.source),
        "entries": {entry: source(of) for entry, of in setting.entries.items()} if key.merged else None,
        "said": [{"value": said.value, "source": source(said.source)} for said in setting.said],
        "ignored": [{"source": source(each.source), "reason": each.reason} for each in setting.ignored],
        "project": key.reach.value,
        "variable": key.variable,
    }
