"""What steps of generated workflows do: looks at files, edits, commands, and gates."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import tree_program
from tests.support.reuse_world import OPS

#: What git ignores in a project with a .gitignore.
IGNORED = "out.log"
COMMAND = "run_command"
PROGRAM = Path(tree_program.__file__).read_text()

#: What commands do: the ending of the files that they look at, how they end, then verbs and paths.
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("", "green"),
    (".py", "red", "append", "a.py"),
    ("", "green", "write", "b.py"),
    (".md", "green", "remove", "n.md"),
    (".py", "green", "append", "a.py", "write", "sub/new.py", "remove", "b.py"),
    ("", "green", "write", IGNORED),
    (".md", "green", "append", "n.md", "append", IGNORED),
)
#: What steps do, by number: looks as in `reuse_world`, then edits; of these, a text "" is to be filled in. Then
#: commands, and the look at what git ignores.
DEEDS: tuple[tuple[str, dict[str, Any]], ...] = (
    *OPS,
    *(("edit_file", {"path": path, "old": "one", "new": ""}) for path in ("a.py", "b.py", "n.md", "sub/c.py")),
    ("edit_file", {"path": "a.py", "old": "three", "new": ""}),
    *(("write_file", {"path": path, "content": ""}) for path in ("a.py", "b.py", "n.md", "sub/new.py", "new.md")),
    *(("write_file", {"path": path, "content": "one\ntwo\nthree\n"}) for path in ("a.py", "b.py", "new.md")),
    *((COMMAND, {"does": does}) for does in _COMMANDS),
    ("read_file", {"path": IGNORED}),
)
LOOKS = range(len(OPS))
EDITS = range(len(OPS), len(DEEDS) - len(_COMMANDS) - 1)
COMMANDS = range(EDITS.stop, len(DEEDS) - 1)
READ_IGNORED = len(DEEDS) - 1
#: What an agent does whose answer was sent back by its gate.
MEND = EDITS.start + 7
#: Gates, as they are written in a script; 0 is none.
GATES: tuple[tuple[str, ...], ...] = (
    (),
    ("", "red", "gate"),
    (".py", "red", "gate"),
    ("", "green", "gate", "append", "n.md"),
)
GATE_RETRIES = 3


def filled(deed: int, text: str) -> dict[str, Any]:
    """The arguments of a deed in which `text` is written."""
    arguments = dict(DEEDS[deed][1])
    if arguments.get("new") == "":
        arguments["new"] = f"one {text}"
    if arguments.get("content") == "":
        arguments["content"] = f"one\n{text}\nthree\n"
    if "does" in arguments:
        return {"argv": argv_of(arguments["does"], text)}
    return arguments


def argv_of(does: Sequence[str], text: str) -> list[str]:
    ending, kind, *deeds = does
    return [sys.executable, "-c", PROGRAM, ending, kind, text, *deeds]
