"""The configuration as it was read, for `vibe config`: what holds and why, also where parts of it are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .config import Settings, config_file, settings_of, variables
from .config_keys import KEYS, Key
from .config_layers import Ignored, Layer, Layers, Source, check_models, config_keys
from .config_shown import Plain, plain_value, without_secrets
from .errors import ConfigError
from .masking import secret_values
from .places import PROJECT_FILE, USER_FILE, find_places

if TYPE_CHECKING:
    from .config_file import ConfigFile


class Said(NamedTuple):
    """What one source says of a key."""

    value: Plain
    source: Source


class Setting(NamedTuple):
    """A key with the value that holds. All values are without secrets."""

    key: Key
    value: Plain
    default: Plain
    source: Source
    said: tuple[Said, ...] = ()  # weakest first; empty where the default holds
    entries: Mapping[str, Source] = {}  # of a key whose entries add up: where each is from
    ignored: tuple[Ignored, ...] = ()


class ReadFile(NamedTuple):
    """A config file: whether it is there, and whether it could be read."""

    layer: Layer
    path: Path
    exists: bool
    read: bool

    @property
    def unreadable(self) -> bool:
        return self.exists and not self.read


class ConfigReport(NamedTuple):
    """`problems` are errors that end any other command; what they are about is left out of all values."""

    settings: Settings
    values: Mapping[str, Setting]  # by key
    files: tuple[ReadFile, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]  # beside those of what is ignored


def examine_config(*, cwd: Path, environ: Mapping[str, str]) -> ConfigReport:
    """All layers but flags. What is wrong in one place is a problem of the report, and the rest is read all the same.

    Raises ConfigError where the user has no home.
    """
    places, secrets = find_places(cwd, environ), _secrets(environ)
    layers, problems, files = Layers(places), list[str](), list[ReadFile]()
    for layer, path in (
        (Layer.USER, places.user_config_dir / USER_FILE),
        (Layer.PROJECT, places.project_root / PROJECT_FILE),
    ):
        file, before = None, len(problems)
        with _noted(problems):
            file = config_file(path)
        files.append(ReadFile(layer, path, exists=file is not None or len(problems) > before, read=file is not None))
        if file is not None:
            sound = _sound(layers, file, layer, problems)
            if layer is Layer.PROJECT:
                layers.add_project(sound)
            else:
                layers.add_file(sound, layer)
    for key, text, source in variables(environ, layers.warnings):
        with _noted(problems):
            layers.add(key, text, source, text=True)
    with _noted(problems):
        check_models(layers)
    settings = settings_of(layers, cwd, environ)
    told = {ignored.warning for ignored in layers.ignored}
    return ConfigReport(
        settings=settings,
        values={key.name: _setting(layers, key, secrets) for key in KEYS.values()},
        files=tuple(files),
        problems=tuple(without_secrets(problem, secrets) for problem in problems),
        warnings=tuple(warning for warning in layers.warnings if warning not in told),
    )


def _secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Of variables that are none of ours: VIBE_MAX_TOKENS is no secret."""
    return secret_values({name: value for name, value in environ.items() if not name.startswith("VIBE_")})


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        problems.append(error.message)


def _sound(layers: Layers, file: ConfigFile, layer: Layer, problems: list[str]) -> ConfigFile:
    """The file without the entries that are wrong; its content, which trust is about, stays."""
    kept = []
    for entry in file.entries:
        with _noted(problems):
            for key, value, source in config_keys(file._replace(entries=(entry,)), layer):
                layers.check(key, value, source)
            kept.append(entry)
    return file._replace(entries=tuple(kept))


def _setting(layers: Layers, key: Key, secrets: tuple[str, ...]) -> Setting:
    prefix = f"{key.name}."
    held = layers.values[key.name]
    return Setting(
        key=key,
        value=plain_value(key.name, held, secrets),
        default=plain_value(key.name, key.default),
        source=layers.sources[key.name],
        said=tuple(
            Said(plain_value(key.name, given.value, secrets), given.source) for given in layers.given.get(key.name, ())
        ),
        entries={entry: layers.sources[prefix + entry] for entry in held} if key.merged else {},
        ignored=tuple(ignored for ignored in layers.ignored if ignored.key == key.name),
    )
