"""Files, environment and flags become one frozen Settings that knows where each value came from.

The only module that interprets environment variables: whoever starts the program passes them in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .config_amounts import budget_units
from .config_keys import KEYS, SECTIONS, Key
from .config_layers import Ignored, Layer, Layers, Source, check_models
from .errors import ConfigError
from .nearest import did_you_mean, nearest
from .places import PROJECT_FILE, USER_FILE, find_places

if TYPE_CHECKING:
    from .clis import AgentCli
    from .config_file import ConfigFile
    from .config_web import SearchProvider
    from .mcp.server import McpServer
    from .ports import Limits
    from .prices import ModelPrice
    from .routing import RoutingRule

__all__ = ["Ignored", "Layer", "Settings", "Source", "load_settings", "parse_budget"]


class Settings(NamedTuple):
    """All settings of one invocation. Paths are absolute; `sources` names a source for each key and merged entry."""

    model: str
    aliases: Mapping[str, str]
    routing: tuple[RoutingRule, ...]
    fallbacks: Mapping[str, tuple[str, ...]]  # by alias or model, aliases or models
    prefix_warmup: bool
    prices: Mapping[str, ModelPrice]
    concurrency: int
    max_tokens: int
    max_turns: int
    timeout_s: float
    retries: int
    budget_units: Mapping[str, float]  # tokens, usd, steps, seconds: those that are limited
    max_usd: float | None
    db_path: Path
    api_base: str | None
    api_bases: Mapping[str, str]  # by provider
    workflow_folders: tuple[Path, ...]
    allow: tuple[str, ...]
    agents: Mapping[str, AgentCli]  # by name; some that are not enabled
    mcp: Mapping[str, McpServer]  # by name
    sandbox_accept: str
    sandbox_memory_mb: int
    sandbox_cpu_s: int
    sandbox_calls: int
    sandbox_log_lines: int
    sandbox_stall_s: float
    web_allow_hosts: tuple[str, ...]  # `host` or `host:port`
    web_proxy: str | None
    web_search: SearchProvider | None
    confine_read: tuple[Path, ...]
    confine_env: tuple[str, ...]  # names of variables
    worktree_link: tuple[str, ...]  # paths from the project root
    worktree_setup: tuple[tuple[str, ...], ...]
    catalog_builtin: bool
    catalog_hide: frozenset[str]
    offline: bool
    require_model: bool  # also where CI is set
    ci: bool
    no_color: bool
    project_root: Path
    project_file: Path
    user_config_dir: Path
    user_file: Path
    state_dir: Path
    cache_dir: Path
    sources: Mapping[str, Source]
    warnings: tuple[str, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    @property
    def budget(self) -> Limits:
        return parse_budget(self.budget_units)

    @property
    def max_microusd(self) -> int | None:
        return None if self.max_usd is None else round(self.max_usd * 1_000_000)

    @property
    def model_by_flag(self) -> bool:
        """--model stands above a script's own wish, a configured model below it."""
        return self.sources["model"].layer is Layer.FLAG

    @property
    def has_model(self) -> bool:
        return bool(self.model) and not self.offline


def parse_budget(value: object) -> Limits:
    """Limits of `"200k"`, `"1.5M"`, `"$1.50"`, `"200k, steps=40"`, or a mapping of tokens, usd, steps, seconds.

    Raises ConfigError.
    """
    from .ports import Limits

    try:
        units = budget_units(value)
    except ValueError as error:
        raise ConfigError(f"budget: {error}") from error
    usd = units.get("usd")
    return Limits(
        tokens=_whole(units.get("tokens")),
        microusd=None if usd is None else round(usd * 1_000_000),
        steps=_whole(units.get("steps")),
        seconds=units.get("seconds"),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def load_settings(*, cwd: Path, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Settings by built-in, user, project, VIBE_* and flags, the later the stronger.

    `flags` maps key names to values, typed or as text; None means not given. `model` may be a list, and an entry
    `fast=NAME` of it points an alias elsewhere. Raises ConfigError; what was merely ignored is in `warnings`.
    """
    places = find_places(cwd, environ)
    layers = Layers(places)
    if user := config_file(places.user_config_dir / USER_FILE):
        layers.add_file(user, Layer.USER)
    if project := config_file(places.project_root / PROJECT_FILE):
        layers.add_project(project)
    for key, text, source in variables(environ, layers.warnings):
        layers.add(key, text, source, text=True)
    for flag, key, value in _flags(flags):
        layers.add(key, value, Source(layer=Layer.FLAG, name=flag), text=True)
    check_models(layers)
    return settings_of(layers, cwd, environ)


def config_file(path: Path) -> ConfigFile | None:
    """What a file says; None where there is none. Raises ConfigError."""
    if not os.path.lexists(path):
        return None
    from .config_file import read_config_file  # YAML takes longer to import than all else here

    return read_config_file(path, SECTIONS)


def variables(environ: Mapping[str, str], warnings: list[str]) -> Iterator[tuple[Key, str, Source]]:
    """What variables set; a name that is nearly one of ours is told in `warnings`."""
    known = {key.variable: key for key in KEYS.values()}
    for name, text in environ.items():
        if key := known.get(name):
            if text:  # empty is how a shell unsets for one command
                yield key, text, Source(layer=Layer.ENVIRONMENT, name=key.variable)
        elif name.startswith("VIBE_") and (meant := nearest(name, known, cutoff=0.85)):
            warnings.append(f"the environment variable {name} is not known; did you mean {meant}?")


def _flags(flags: Mapping[str, object]) -> Iterator[tuple[str, Key, object]]:
    for name, value in flags.items():
        if name not in KEYS:
            raise ValueError(f"no setting `{name}`; {did_you_mean(name, KEYS)}")  # a bug of the caller
        key = KEYS[name]
        if value is None:
            continue
        if name != "model":
            yield key.flag, key, value
            continue
        for named in value if isinstance(value, list | tuple) else [value]:
            alias, sign, target = str(named).partition("=")
            yield (key.flag, KEYS["aliases"], {alias: target}) if sign else (key.flag, key, named)


def settings_of(layers: Layers, cwd: Path, environ: Mapping[str, str]) -> Settings:
    """What the layers come to."""
    if ci := environ.get("CI", "").lower() not in ("", "0", "false"):
        layers.require_model("CI")
    values, places = layers.values, layers.places
    by_hand = layers.sources["db"].layer in (Layer.ENVIRONMENT, Layer.FLAG)
    return Settings(
        model=values["model"],
        aliases=values["aliases"],
        routing=values["routing"],
        fallbacks=values["fallbacks"],
        prefix_warmup=values["prefix_warmup"],
        prices=values["prices"],
        concurrency=values["concurrency"],
        max_tokens=values["max_tokens"],
        max_turns=values["max_turns"],
        timeout_s=values["timeout"],
        retries=values["retries"],
        budget_units=values["budget"],
        max_usd=values["max_usd"],
        db_path=_path(places.home, cwd if by_hand else places.project_root, values["db"]),
        api_base=values["api_base"],
        api_bases=values["api_bases"],
        workflow_folders=tuple(_path(places.home, places.project_root, folder) for folder in values["workflows"]),
        allow=tuple(values["allow"]),
        agents=values["agents"],
        mcp=values["mcp"],
        sandbox_accept=values["sandbox.accept"],
        sandbox_memory_mb=values["sandbox.memory_mb"],
        sandbox_cpu_s=values["sandbox.cpu_s"],
        sandbox_calls=values["sandbox.calls"],
        sandbox_log_lines=values["sandbox.log_lines"],
        sandbox_stall_s=values["sandbox.stall_s"],
        web_allow_hosts=tuple(values["web.allow_hosts"]),
        web_proxy=values["web.proxy"],
        web_search=values["web.search"],
        confine_read=tuple(_path(places.home, places.project_root, folder) for folder in values["confine.read"]),
        confine_env=tuple(values["confine.env"]),
        worktree_link=values["worktree.link"],
        worktree_setup=values["worktree.setup"],
        catalog_builtin=values["catalog.builtin"],
        catalog_hide=values["catalog.hide"],
        offline=values["offline"],
        require_model=values["require_model"],
        ci=ci,
        no_color=bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb",
        project_root=places.project_root,
        project_file=places.project_root / PROJECT_FILE,
        user_config_dir=places.user_config_dir,
        user_file=places.user_config_dir / USER_FILE,
        state_dir=places.state_dir,
        cache_dir=places.cache_dir,
        sources=layers.sources,
        warnings=tuple(layers.warnings),
        ignored=tuple(layers.ignored),
    )


def _path(home: Path, base: Path, named: str) -> Path:
    if named == "~" or named.startswith("~/"):
        named = f"{home}{named[1:]}"
    return Path(os.path.abspath(base / named))
