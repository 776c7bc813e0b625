"""vibe trust: lets what a project brought along count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from .answers import TrustReport


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--revoke", is_flag=True, help="Trust nothing of this project any longer.")
@options.as_json
@options.db
def command(yes: bool, revoke: bool, as_json: bool, db: str | None) -> int:
    """Let this project's own settings, names and store count, after showing what they are.

    A cloned repository must not configure its own escape: until you trust it, its vibe.yaml may not set grants,
    servers, keys or the database, its workflows and profiles may not take the names of yours, and a store that came
    with it answers no step. A file that changes is untrusted again.
    """
    from vibe_workflows.engine.errors import ExitCode

    from . import wiring
    from .environment import stdin_is_terminal
    from .errors import say
    from .printing import print_json, print_text
    from .settings import load

    settings = load({"db": db})
    if revoke:
        gone = wiring.trust_revoke(settings)
        print_text(
            "\n".join(f"no longer trusted: {each.path}" for each in gone) or "nothing of this project was trusted"
        )
        return int(ExitCode.DONE)
    report = wiring.trust_report(settings)
    if as_json:
        print_json(_as_json(report))
    else:
        print_text(trust_text(report))
    if report.nothing_to_decide or (as_json and not yes):
        return int(ExitCode.DONE)
    if not yes and not stdin_is_terminal():
        say("nothing was changed: there is nobody to ask here; `vibe trust --yes` trusts all that is shown")
        return int(ExitCode.GRANT)
    if not yes and not click.confirm("Trust all of this?", default=False, err=True):
        say("nothing was changed")
        return int(ExitCode.GRANT)
    wiring.trust_grant(settings, report)
    say("trusted; `vibe trust --revoke` takes it back")
    return int(ExitCode.DONE)


def trust_text(report: TrustReport) -> str:
    """What trusting would let count, in words."""
    from .render.sanitize import clean, one_line

    parts: list[str] = []
    if report.config is not None:
        parts.append(f"{report.config.path} wants to set what needs your trust:")
        parts += [f"  line {key.line}: {one_line(f'{key.name}: {_value(key.value)}')}" for key in report.config.keys]
    for offer in report.workflows:
        hidden = ", ".join(str(each.path) for each in offer.file.hides)
        parts.append(f"{offer.file.path} wants to be run as `{offer.file.name}`, in place of {hidden}")
    for profile in report.profiles:
        parts.append(f"{profile.path} wants to be the profile `{profile.name}`, in place of {profile.hides}")
    if report.store is not None:
        parts.append(report.store_problem)
    if report.nothing_to_decide:
        parts.append(f"{report.project}: nothing here needs your trust")
    parts += [f"trusted already: {path}" for path in report.trusted]
    return clean("\n".join(parts))


def _value(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def _as_json(report: TrustReport) -> dict[str, object]:
    config = report.config
    return {
        "project": str(report.project),
        "config": None
        if config is None
        else {
            "path": str(config.path),
            "keys": [{"name": key.name, "value": key.value, "line": key.line} for key in config.keys],
        },
        "workflows": [
            {
                "name": offer.file.name,
                "path": str(offer.file.path),
                "hides": [str(each.path) for each in offer.file.hides],
            }
            for offer in report.workflows
        ],
        "profiles": [
            {"name": profile.name, "path": str(profile.path), "hides": profile.hides} for profile in report.profiles
        ],
        "store": None if report.store is None else {"path": str(report.store), "problem": report.store_problem},
        "trusted": list(report.trusted),
    }
