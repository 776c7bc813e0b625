"""Reads the text of one profile: YAML front matter, then the system text. It may be a stranger's, and grants nothing.

The files are those of Claude Code, too: its fields and names of tools are taken as far as they mean something here, and
what does not is told. A value of a wrong type is an error that names file and line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from ..config_values import grants, names, number, shown, whole_number
from ..errors import ConfigError
from ..nearest import did_you_mean, nearest
from ..routing import model_name, refuse_address
from .tools.descent import visible

if TYPE_CHECKING:
    from ..plain_yaml import Entry

MAX_BYTES = 64 * 1024
_MAX_FRONT_MATTER = 8 * 1024  # characters: YAML takes its time, the system text does not
_MAX_TOLD = 10  # names in one note, and fields that mean nothing here
_EFFORT_CHARS = 40

#: Names of Claude Code's tools, and what they are here.
_CLAUDE_TOOLS = {
    "Bash": "run_command",
    "Edit": "edit_file",
    "Glob": "glob",
    "Grep": "grep",
    "LS": "list_files",
    "MultiEdit": "edit_file",
    "Read": "read_file",
    "WebFetch": "web_fetch",
    "WebSearch": "web_search",
    "Write": "write_file",
}
#: What Claude Code calls models by, where no alias of the person's says what that is here.
_CLAUDE_MODELS = re.compile(r"(opus|sonnet|haiku|best|default|opusplan)(\[1m\])?")
_CLAUDE_NAMES = {"maxTurns": "max_turns"}
#: Fields that say nothing about the work, and are in most files.
_SILENT = frozenset({"color"})

_OWN_TOOL = re.compile(r"[a-z][a-z0-9_]*")


class Profile(Struct, frozen=True, kw_only=True):
    """What a profile says. What it leaves open is None, or empty. `permissions` are requests."""

    name: str
    where: str  # its file, as a person knows it
    system: str = ""
    description: str = ""
    model: str = ""
    tools: tuple[str, ...] | None = None
    effort: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    max_turns: int | None = None
    isolation: Literal["worktree"] | None = None
    permissions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what of it does not count


class Vocabulary(Struct, frozen=True, kw_only=True):
    """What names mean here: `tools` has the members of each tool and group, `aliases` are those of models."""

    tools: Mapping[str, Sequence[str]]
    aliases: Container[str]


def parse_profile(name: str, where: str, content: bytes, vocabulary: Vocabulary) -> Profile:
    """Raises ConfigError where it is no profile: too large, no text, no YAML, or a field with a wrong value."""
    from ..plain_yaml import read_entries  # YAML takes its time to import, and most runs name no profile

    front, system = _parts(where, _text(where, content))
    reader = _Fields(name, where, vocabulary)
    for entry in read_entries(where, front):
        reader.take(entry)
    profile = Profile(name=name, where=where, system=system, notes=tuple(reader.notes))
    return replace(profile, **reader.found())


def _text(where: str, content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{where}: larger than {MAX_BYTES // 1024} KB, which no profile needs to be; shorten it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(f"{where}:{line}: a NUL character, which no text has; remove it")
    return text.replace("\r\n", "\n").replace("\r", "\n")  # a checkout with other line ends is the same profile


def _parts(where: str, text: str) -> tuple[str, str]:
    """Front matter and system text. The first begins with empty lines, so that its lines have the file's numbers."""
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if lines[first].rstrip() != "---":
        return "", text.strip()
    last = next((number for number in range(first + 1, len(lines)) if lines[number].rstrip() == "---"), None)
    if last is None:
        raise ConfigError(f"{where}:{first + 1}: the front matter has no end; close it with a line `---`")
    held = lines[first + 1 : last]
    if sum(map(len, held)) > _MAX_FRONT_MATTER:
        raise ConfigError(
            f"{where}:{first + 1}: more than {_MAX_FRONT_MATTER // 1024} KB of front matter; the system text stands "
            "below it"
        )
    return "\n" * (first + 1) + "\n".join(_quoted(held)), "\n".join(lines[last + 1 :]).strip()


def _quoted(lines: Sequence[str]) -> list[str]:
    """A description on one line is taken as it stands: many hold `: `, which YAML would read as a key."""
    result = list(lines)
    for place, line in enumerate(lines):
        match = re.fullmatch(r"description:[ \t]+([^\s\"'|>&*!\[{].*)", line)
        goes_on = place + 1 < len(lines) and lines[place + 1][:1] in (" ", "\t")
        if match and not goes_on:
            result[place] = "description: '" + match[1].rstrip().replace("'", "''") + "'"
    return result


class _Fields:
    """Takes the fields of one front matter, in their order."""

    def __init__(self, name: str, where: str, vocabulary: Vocabulary) -> None:
        self.notes: list[str] = []
        self._name = name
        self._where = where
        self._vocabulary = vocabulary
        self._lines: dict[str, int] = {}
        self._values: dict[str, object] = {}
        self._denied: tuple[str, ...] = ()
        self._strange = 0
        self._readers: dict[str, Callable[[object, str], object]] = {
            "name": self._own_name,
            "description": _plain_text,
            "model": self._model,
            "tools": self._tools,
            "disallowedTools": self._denied_tools,
            "effort": _effort,
            "temperature": _temperature,
            "max_tokens": lambda value, _at: whole_number(1, 10_000_000)(value, False),
            "max_turns": lambda value, _at: whole_number(1, 10_000)(value, False),
            "isolation": _isolation,
            "permissions": lambda value, _at: tuple(grants(value, isinstance(value, str))),
        }

    def take(self, entry: Entry) -> None:
        at = f"{self._where}:{entry.line}"
        field = _CLAUDE_NAMES.get(entry.name, entry.name)
        if field in self._lines:
            raise ConfigError(f"{at}: `{field}` is set twice (first in line {self._lines[field]}); keep one")
        self._lines[field] = entry.line
        reader = self._readers.get(field)
        if reader is None:
            self._unknown(entry, at)
        elif entry.value is not None:  # `field:` alone sets nothing
            try:
                self._values[field] = reader(entry.value, at)
            except ValueError as error:
                raise ConfigError(f"{at}: `{entry.name}`: {error}") from error

    def found(self) -> dict[str, object]:
        values = {name: value for name, value in self._values.items() if name not in ("name", "disallowedTools")}
        tools = values.get("tools")
        if isinstance(tools, tuple) and self._denied:
            values["tools"] = tuple(
                member for name in tools for member in self._vocabulary.tools[name] if member not in self._denied
            )
        return values

    def _unknown(self, entry: Entry, at: str) -> None:
        if entry.name in _SILENT:
            return
        self._strange += 1
        if self._strange > _MAX_TOLD:
            return
        near = nearest(entry.name, self._readers)
        hint = f"; did you mean `{near}`?" if near else ""
        self.notes.append(f"{at}: `{visible(entry.name[:60])}` means nothing here, and is ignored{hint}")

    def _own_name(self, value: object, at: str) -> str:
        if not isinstance(value, str):
            raise ValueError(f"a name is text, not {shown(value)}")
        if value != self._name:
            self.notes.append(f"{at}: `name: {visible(value[:60])}` is ignored: this profile is called as its file")
        return value

    def _model(self, value: object, at: str) -> str:
        name = model_name(value)
        refuse_address(name, at)
        if name == "inherit":
            return ""
        if name not in self._vocabulary.aliases and _CLAUDE_MODELS.fullmatch(name):
            self.notes.append(
                f"{at}: `model: {name}` is ignored: no alias says which model that is here; define it in `aliases` of "
                "the config"
            )
            return ""
        return name

    def _tools(self, value: object, at: str) -> tuple[str, ...]:
        chosen: dict[str, None] = {}
        foreign: dict[str, None] = {}
        for name in names(value, isinstance(value, str)):
            own = self._own_tool(name)
            if own is not None:
                chosen[own] = None
            elif name not in _CLAUDE_TOOLS and _OWN_TOOL.fullmatch(name) and not name.startswith("mcp__"):
                raise ValueError(f"there is no tool `{name}` here; {did_you_mean(name, self._vocabulary.tools)}")
            else:
                foreign[visible(name[:60])] = None
        if foreign:
            told = list(foreign)[:_MAX_TOLD]
            told += [f"{len(foreign) - _MAX_TOLD} more"] if len(foreign) > _MAX_TOLD else []
            self.notes.append(f"{at}: `tools`: not available here, and left out: {', '.join(told)}")
        return tuple(chosen)

    def _denied_tools(self, value: object, _at: str) -> None:
        known = [own for name in names(value, isinstance(value, str)) if (own := self._own_tool(name)) is not None]
        self._denied = tuple(member for name in known for member in self._vocabulary.tools[name])

    def _own_tool(self, name: str) -> str | None:
        """The tool or group here that a name stands for. `Bash(git:*)` is a part, which no name here is."""
        own = name if name in self._vocabulary.tools else _CLAUDE_TOOLS.get(name)
        return own if own in self._vocabulary.tools else None


def _plain_text(value: object, _at: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a text is needed, not {shown(value)}")
    return value


def _effort(value: object, _at: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _EFFORT_CHARS:
        raise ValueError(f"a word such as `low` or `high` is needed, not {shown(value)}")
    return value


def _isolation(value: object, _at: str) -> str:
    if value != "worktree":
        raise ValueError(f"`worktree` is the only one that there is, not {shown(value)}")
    return "worktree"


def _temperature(value: object, _at: str) -> float:
    amount = None if isinstance(value, str) else number(value)
    if amount is None or not 0 <= amount <= 2:
        raise ValueError(f"a number from 0 to 2 is needed, not {shown(value)}")
    return amount
