"""The configuration as text: values with where they are from, one value in full, and places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vibe_workflows.engine.config_keys import Reach
from vibe_workflows.engine.config_layers import Layer, Source
from vibe_workflows.engine.config_report import ConfigReport, Setting
from vibe_workflows.engine.config_shown import Plain, value_text

from .sanitize import one_line
from .tables import Column, table

if TYPE_CHECKING:
    from .near import Near


class Place(NamedTuple):
    what: str
    path: Path
    state: str  # empty where it is there, and in order


_MAY = {
    Reach.FREE: "may set it",
    Reach.LOWER: "may lower it, and raise it once you trust the file (`vibe trust`)",
    Reach.PERSON: "may set it only once you trust the file (`vibe trust`)",
}


def settings_text(
    report: ConfigReport, settings: Sequence[Setting], *, near: Near, width: int | None, colour: bool
) -> str:
    """These settings with their sources, what is ignored of them, and how many others there are."""
    parts = []
    if settings:
        parts = [table_text(settings, near=near, width=width, colour=colour)]
    for setting in report.values.values():
        parts += [
            one_line(f"ignored: `{ignored.key}` in {source_text(ignored.source, near)}: {ignored.reason}")
            for ignored in setting.ignored
        ]
    if any(setting.ignored for setting in report.values.values()):
        parts.append("`vibe trust` shows what this project's file asks for, and lets it count")
    parts += [f"left out: {near.path(file.path)}, which cannot be read" for file in report.files if file.unreadable]
    others = len(report.values) - len(settings)
    if not settings:
        there = [near.path(file.path) for file in report.files if file.exists]
        where = f"set some in {' or '.join(there)}" if there else "`vibe init` writes a file to set some in"
        parts.append(f"nothing is set: all {others} settings hold their defaults, which --all shows; {where}")
    elif others:
        parts.append(f"{others} more hold their defaults; --all shows them, and `vibe config NAME` explains one")
    return "\n".join(parts)


def table_text(settings: Sequence[Setting], *, near: Near, width: int | None, colour: bool) -> str:
    columns = (Column(title="setting"), Column(title="value", shrinks=True), Column(title="from"))
    rows = [row for setting in settings for row in _rows(setting, near)]
    return table(columns, rows, width=width, colour=colour)


def setting_text(setting: Setting, option: str, *, near: Near, colour: bool) -> str:
    """One setting in full: what it is, what holds and why, and how to set it; `option` is its flag, or empty."""
    key = setting.key
    facts = []
    for name, value, source in _rows(setting, near):
        entry = name.removeprefix(key.name).removeprefix(".")
        facts.append(("value", f"{entry}: {value} ({source})" if entry else f"{value} ({source})"))
    if key.merged:
        facts.append(("sources", "add up, entry by entry; for one entry the strongest counts"))
    else:
        facts += [
            ("set aside", f"{value_text(said.value)}  ({source_text(said.source, near)}, which is weaker)")
            for said in reversed(setting.said[:-1])
        ]
    facts += [("ignored", f"{source_text(each.source, near)}: {each.reason}") for each in setting.ignored]
    facts += [
        ("default", value_text(setting.default)),
        ("in a file", f"{key.name}: {key.sample or value_text(setting.default)}"),
        ("variable", f"{key.variable} (as JSON)" if key.json_variable else key.variable),
    ]
    if option:
        facts.append(("option", f"{option} (of `vibe run` and `vibe resume`)"))
    facts.append(("a project", _MAY[key.reach]))
    columns = (Column(title=key.name), Column(title=key.about))
    return table(columns, facts, width=None, colour=colour)


def places_text(places: Sequence[Place], *, near: Near, width: int | None, colour: bool) -> str:
    """Where everything is, and what of it is not there."""
    columns = (Column(title="what"), Column(title="where", shrinks=True), Column(title=""))
    rows = [(each.what, near.path(each.path), each.state) for each in places]
    return table(columns, rows, width=width, colour=colour)


def source_text(source: Source, near: Near) -> str:
    """`vibe.yaml:3`, or the variable."""
    return f"{near.path(source.file)}:{source.line}" if source.file is not None else str(source)


def _rows(setting: Setting, near: Near) -> list[tuple[str, str, str]]:
    """Name, value and source; of a mapping whose entries add up a row an entry, of a set a row a source."""
    name, value = setting.key.name, setting.value
    if not setting.entries:
        return [(name, value_text(value), _source(setting.source, near))]
    if isinstance(value, dict):
        pairs = zip(value.items(), setting.entries.values(), strict=True)
        return [(f"{name}.{entry}", value_text(held), _source(source, near)) for (entry, held), source in pairs]
    by_source: dict[str, list[Plain]] = {}
    for held, source in zip(value if isinstance(value, list) else [value], setting.entries.values(), strict=True):
        by_source.setdefault(_source(source, near), []).append(held)
    return [(name, value_text(held), source) for source, held in by_source.items()]


def _source(source: Source, near: Near) -> str:
    return "default" if source.layer is Layer.BUILTIN else source_text(source, near)
