"""Cases of messages: a file has a command and the files that it meets, and then what a terminal shows.

    $ vibe run count.py
    === count.py
    return len(os.listdir())
    === exit code 2
    error: count.py:1:12: ...

Of several commands the last one is shown. `NAME=value` before one is a variable. A file in `~/` is in the home folder,
and a name that ends with `/` is a folder. `NAME (escaped)` is written as in a string of Python, and
`NAME (5000 times)` is repeated.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_SECTION = "=== "
_RESULT = "=== exit code"
_NOTE = re.compile(r"(?P<name>.*?)(?: \((?:(?P<escaped>escaped)|(?P<times>\d+) times)\))?")


@dataclass(frozen=True)
class Invocation:
    """A command with the variables that stand before it."""

    argv: tuple[str, ...]
    environ: dict[str, str]

    @classmethod
    def of(cls, line: str) -> Invocation:
        words = shlex.split(line)
        count = words.index("vibe")
        return cls(tuple(words[count + 1 :]), dict(word.split("=", 1) for word in words[:count]))


@dataclass(frozen=True)
class MessageCase:
    asked: str  # the file as a person writes it: all before the result
    invocations: tuple[Invocation, ...]
    files: dict[str, bytes | None]  # None: a folder

    @classmethod
    def of(cls, text: str) -> MessageCase:
        asked = text.partition(_RESULT)[0].rstrip("\n") + "\n"
        head, *sections = re.split(rf"(?m)^{_SECTION}", asked)
        invocations = tuple(Invocation.of(line.removeprefix("$ ")) for line in head.splitlines() if line)
        return cls(asked, invocations, dict(map(_file, sections)))

    def with_result(self, code: int, shown: str) -> str:
        return f"{self.asked}{_RESULT} {code}\n{shown.rstrip()}"


def _file(section: str) -> tuple[str, bytes | None]:
    heading, _, text = section.partition("\n")
    note = _NOTE.fullmatch(heading)
    assert note is not None
    name = note["name"]
    if name.endswith("/"):
        return name, None
    if note["escaped"]:
        return name, text.removesuffix("\n").encode().decode("unicode_escape").encode("latin-1")
    return name, text.encode() * int(note["times"] or 1)


def write_files(case: MessageCase, project: Path, home: Path) -> None:
    for name, data in case.files.items():
        path = home / name.removeprefix("~/") if name.startswith("~/") else project / name
        if data is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
