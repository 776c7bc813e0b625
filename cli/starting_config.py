"""The config files that `vibe init` writes: every key, commented out, from the table of keys."""

from __future__ import annotations

from vibe_workflows.engine.config_keys import KEYS, Key, Reach
from vibe_workflows.engine.config_shown import plain_value, value_text

_PROJECT = """\
# Settings of this project for vibe. Each is commented out, with its default or a sample: to set one, take the `#` in
# front of its name away. `vibe config` shows what holds and where it came from. What only you may set (grants,
# servers, prices, limits of a step) belongs into a file of your own: `vibe init --user`.
"""
_OWN = """\
# Your own settings for vibe, for all projects. Each is commented out, with its default or a sample: to set one, take
# the `#` in front of its name away. `vibe config` shows what holds and where it came from. Keys of providers do not
# stand here: they are taken from their environment variables.
"""


def project_config() -> str:
    """Every key that a project may set."""
    return _file(_PROJECT, [key for key in KEYS.values() if key.reach is not Reach.PERSON])


def own_config() -> str:
    """Every key."""
    return _file(_OWN, list(KEYS.values()))


def _file(head: str, keys: list[Key]) -> str:
    return "\n".join([head, *map(_entry, keys)])


def _entry(key: Key) -> str:
    about = key.about[0].upper() + key.about[1:]
    value = key.sample or value_text(plain_value(key.name, key.default))
    return f"# {about} ({'none by default' if key.sample else 'the default'}).\n#{key.name}: {value}\n"
