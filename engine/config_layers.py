"""Merges the layers of the configuration, and decides what of a project's file counts."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .config_keys import KEYS, Key, Reach
from .errors import ConfigError
from .nearest import did_you_mean
from .places import USER_FILE, Places
from .routing import OFFLINE, refuse_address, resolve_alias, resolve_fallbacks

if TYPE_CHECKING:
    from .config_file import ConfigFile


class Layer(StrEnum):
    """Where a value came from, weakest first."""

    BUILTIN = "built-in"
    USER = "user"
    PROJECT = "project"
    ENVIRONMENT = "environment"
    FLAG = "flag"


class Source(NamedTuple):
    """`name` is the variable or the flag, where it is one; `file` and `line` otherwise."""

    layer: Layer
    file: Path | None = None
    line: int | None = None
    name: str = ""

    def __str__(self) -> str:
        if self.file is not None:
            return f"{self.file}:{self.line}"
        return self.name or self.layer.value


class Ignored(NamedTuple):
    """A setting of a project's file that does not count, and why. `warning` says it all, with the next move."""

    key: str
    source: Source
    reason: str
    warning: str = ""


class Given(NamedTuple):
    """What one source says of a key, as far as it may count; of a merged key, its own entries alone."""

    value: Any
    source: Source


class Layers:
    """Takes layers in order, weakest first."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.values: dict[str, Any] = {key.name: key.default for key in KEYS.values()}
        self.sources = {name: Source(layer=Layer.BUILTIN) for name in KEYS}
        self.given: dict[str, list[Given]] = {}  # by key, weakest first
        self.warnings: list[str] = []
        self.ignored: list[Ignored] = []

    def add_file(self, file: ConfigFile, layer: Layer) -> None:
        for key, value, source in config_keys(file, layer):
            self.add(key, value, source)

    def add_project(self, file: ConfigFile) -> None:
        """A project may come from a stranger: what it may not set is ignored until the person trusts the file."""
        found = [(key, _parsed(key, value, source), source) for key, value, source in config_keys(file, Layer.PROJECT)]
        for key, value, source in found:
            for name in _models(key, value):
                refuse_address(name, str(source))
        if any(self._refusal(key, value) for key, value, _ in found) and self._trusted(file):
            for key, value, source in found:
                self._put(key, value, source)
            return
        for key, value, source in found:
            if reason := self._refusal(key, value):
                self._ignore(key, source, reason)
            if (allowed := self._allowed(key, value)) is not None:
                self._put(key, allowed, source)

    def add(self, key: Key, value: object, source: Source, *, text: bool = False) -> None:
        self._put(key, _parsed(key, value, source, text=text), source)

    def require_model(self, variable: str) -> None:
        """Where a machine runs unattended, made-up answers help nobody, whatever the layers say."""
        if not self.values["require_model"]:
            self._put(KEYS["require_model"], True, Source(layer=Layer.ENVIRONMENT, name=variable))

    def check(self, key: Key, value: object, source: Source) -> None:
        """Raise the ConfigError that taking this value would end with; nothing is taken."""
        parsed = _parsed(key, value, source)
        if source.layer is Layer.PROJECT:
            for name in _models(key, parsed):
                refuse_address(name, str(source))

    def _trusted(self, file: ConfigFile) -> bool:
        from .trust import TrustKind, TrustStore

        return TrustStore(self.places.state_dir).trusts(TrustKind.CONFIG, file.path, file.content)

    def _refusal(self, key: Key, value: Any) -> str:
        """Why an untrusted project's value does not count (in full); empty where it does."""
        allowed = self._allowed(key, value)
        if allowed == value:
            return ""
        if key.reach is Reach.LOWER:
            return "it is no lower than what already holds, and a project's file may only lower it"
        if key.name == "workflows":
            return "it names a folder outside the project"
        return "a project's file may not set it"

    def _allowed(self, key: Key, value: Any) -> Any:
        """The part of a project's value that counts without trust; None: nothing of it."""
        if key.reach is Reach.PERSON:
            return None
        held = self.values[key.name]
        if key.name == "budget":
            return {unit: amount for unit, amount in value.items() if unit not in held or amount <= held[unit]}
        if key.reach is Reach.LOWER:
            return value if value is not None and (held is None or value <= held) else None
        if key.name == "workflows":
            return {folder: None for folder in value if _inside(folder)}
        return value

    def _ignore(self, key: Key, source: Source, reason: str) -> None:
        warning = (
            f"{source}: `{key.name}` is ignored: {reason}; set it in {self.places.user_config_dir / USER_FILE}, "
            "or run `vibe trust` to accept what this file asks for"
        )
        self.ignored.append(Ignored(key=key.name, source=source, reason=reason, warning=warning))
        self.warnings.append(warning)

    def _put(self, key: Key, value: Any, source: Source) -> None:
        self.sources[key.name] = source
        self.given.setdefault(key.name, []).append(Given(value=value, source=source))
        if not key.merged:
            self.values[key.name] = value
            return
        held = self.values[key.name]
        kept = {entry: below for entry, below in held.items() if entry not in value}
        self.values[key.name] = {**value, **kept}  # the stronger layer's entries come first
        for entry in value:
            self.sources[f"{key.name}.{entry}"] = source


def config_keys(file: ConfigFile, layer: Layer) -> Iterator[tuple[Key, object, Source]]:
    """What a file sets. Raises ConfigError at a key that does not exist."""
    for entry in file.entries:
        source = Source(layer=layer, file=file.path, line=entry.line)
        key = KEYS.get(entry.name)
        if key is None:
            raise ConfigError(f"{source}: unknown key `{entry.name}`; {did_you_mean(entry.name, KEYS)}")
        if entry.value is not None:  # `key:` alone sets nothing
            yield key, entry.value, source


def _parsed(key: Key, value: object, source: Source, *, text: bool = False) -> Any:
    try:
        return key.parse(value, text)
    except ValueError as error:
        # A flag and a variable have the key's name already.
        named = "" if source.layer in (Layer.FLAG, Layer.ENVIRONMENT) else f"`{key.name}`: "
        raise ConfigError(f"{source}: {named}{error}") from error


def _models(key: Key, value: Any) -> list[str]:
    match key.name:
        case "model":
            return [value]
        case "aliases":
            return list(value.values())
        case "routing":
            return [rule.model for rule in value]
        case "fallbacks":
            return [name for own, listed in value.items() for name in (own, *listed)]
        case _:
            return []


def _inside(folder: str) -> bool:
    return not folder.startswith(("/", "~")) and ".." not in Path(folder).parts


def check_models(layers: Layers) -> None:
    """What only all layers together show of names of models: an error now, not in the middle of a run."""
    values = layers.values
    aliases, fallbacks = values["aliases"], values["fallbacks"]
    for alias in aliases:
        resolve_alias(aliases, alias)
    for name, listed in fallbacks.items():
        source = layers.sources[f"fallbacks.{name}"]
        for each in listed:
            if resolve_alias(aliases, each).partition("/")[0] == OFFLINE:
                raise ConfigError(
                    f"{source}: `fallbacks`: `{each}`, a fallback of `{name}`, stands for the offline model, which "
                    "makes answers up; a failure must not look like an answer: remove it"
                )
        if len(resolve_fallbacks(aliases, fallbacks, name)) < len(listed):
            layers.warnings.append(
                f"{source}: `fallbacks` of `{name}`: some of {', '.join(listed)} stand for one model, or for the one "
                "that would have failed; each model is asked once"
            )
    for name in values["prices"]:
        if name in aliases:
            raise ConfigError(
                f"{layers.sources[f'prices.{name}']}: `prices`: `{name}` is an alias, which may come to stand for "
                f"another model; give the price of `{resolve_alias(aliases, name)}`"
            )
