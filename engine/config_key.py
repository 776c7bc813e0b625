"""What is known of one key of the configuration. The keys themselves are in config_keys."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from .config_values import Parser


class Reach(StrEnum):
    """What a project's own file may do with a key before the person trusts that file."""

    FREE = "free"  # set it
    LOWER = "lower"  # lower it, below what the person's own config says
    PERSON = "person"  # nothing: it counts from user config, environment and flags


class Key(NamedTuple):
    """`parse(value, text)` raises ValueError; `text` says that it comes as text (environment, flags).

    `merged`: the value is a mapping whose entries merge across layers, one by one, instead of replacing each other.
    `sample`: what a file may say, in YAML, where the default shows nothing of that.
    """

    name: str
    parse: Parser
    default: object
    reach: Reach
    about: str
    merged: bool = False
    sample: str = ""

    @property
    def variable(self) -> str:
        return "VIBE_" + self.name.replace(".", "_").upper()

    @property
    def json_variable(self) -> bool:
        """Whether a variable says it in JSON: a mapping does, or a list of more than texts, but no budget."""
        return self.name != "budget" and self.sample.startswith(("{", "[{", "[["))

    @property
    def flag(self) -> str:
        return "--" + self.name.replace(".", "-").replace("_", "-")
