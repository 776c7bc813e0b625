"""Does what a page says, as its reader would: in one folder, from top to bottom, with an empty home and no model."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.documentation.pages import Block, Page
from vibe_workflows import patterns
from vibe_workflows.engine.config import load_settings

PATIENCE_S = 300.0  # for a command that never ends, and not for a busy machine
GRANTS = "write,command,web"
#: Shown, not done: what a terminal or another program prints, or the reader's own words.
PROSE = frozenset({"text", "markdown", "diff", "{toctree}"})


class Wrong(AssertionError):
    """A page shows what is not so."""


@dataclass
class Reader:
    """Somebody who follows a page, in `home` and `project`."""

    page: Page
    home: Path
    project: Path

    @classmethod
    def at(cls, page: Page, folder: Path) -> Reader:
        reader = cls(page, folder / "home", folder / "project")
        reader.home.mkdir()
        reader.project.mkdir()
        reader._install("vibe", f'exec {sys.executable} -m vibe_workflows.cli.main "$@"')
        reader._install("pytest", "echo 1 passed")  # the tests of a project that has none yet
        return reader

    def _install(self, name: str, commands: str) -> None:
        program = self.home / ".local/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{commands}\n")
        program.chmod(0o755)

    def follow(self, block: Block) -> None:
        """Raises Wrong where the page shows what is not so, or what nobody can check."""
        if block.not_run or block.language in PROSE or not block.language:
            return
        if block.about:
            self._make(block)
            return
        match block.language:
            case "console":
                self._type(block)
            case "python":
                self._run(block)
            case "yaml":
                self._configure(block)
            case "json":
                self._parse(block)
            case "pycon":
                self._ask(block)
            case other:
                raise self._wrong(
                    block, f"nothing checks a block of {other!r}; use console, python, pycon, yaml, json, text"
                )

    def _make(self, block: Block) -> None:
        target = (self.project / block.about).resolve()
        if not target.is_relative_to(self.project.resolve()):
            raise self._wrong(block, f"{block.about} lies outside of the reader's folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text)

    def _type(self, block: Block) -> None:
        for command, shown in _commands(block.text):
            printed = self._shell(command)
            if not _matches(shown, printed):
                raise self._wrong(block, f"`{command}` prints:\n{printed}\nand not:\n{shown}")

    def _run(self, block: Block) -> None:
        (self.project / "fragment.py").write_text(f"{block.before}\n\n{block.text}")
        done = self._process(["vibe", "run", "fragment.py", "--new", "--offline", "--allow", GRANTS])
        if done.returncode:
            raise self._wrong(block, f"it does not run:\n{done.stdout}")

    def _configure(self, block: Block) -> None:
        file = self.home / ".config/vibe/config.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
        load_settings(cwd=self.project, environ=self._environ(), flags={})
        file.unlink()
        if not isinstance(yaml.safe_load(block.text), dict):
            raise self._wrong(block, "it sets nothing")

    def _parse(self, block: Block) -> None:
        try:
            json.loads(block.text)
        except ValueError as error:
            raise self._wrong(block, f"it is no JSON: {error}") from error

    def _ask(self, block: Block) -> None:
        """A dialogue with Python that has the patterns at hand."""
        said: list[str] = []
        found = doctest.DocTestParser().get_doctest(block.text, dict(vars(patterns)), self.page.name, None, block.line)
        if doctest.DocTestRunner(verbose=False).run(found, out=said.append).failed:
            raise self._wrong(block, "".join(said))

    def _shell(self, command: str) -> str:
        return self._process(["bash", "-c", command]).stdout

    def _process(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.project,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def _environ(self) -> dict[str, str]:
        programs = [str(self.home / ".local/bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join(programs),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def _wrong(self, block: Block, why: str) -> Wrong:
        return Wrong(f"{self.page.name}:{block.line}: {why}")


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command after a `$ `, with its further lines after a backslash, and what is shown below it."""
    command: list[str] = []
    shown: list[str] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield "\n".join(command), "\n".join(shown)
            command, shown = [line[2:]], []
        elif command and not shown and command[-1].endswith("\\"):
            command.append(line)
        else:
            shown.append(line)
    if not command:
        raise Wrong(f"no command in it begins with `$ `:\n{text}")
    yield "\n".join(command), "\n".join(shown)


def _matches(shown: str, printed: str) -> bool:
    """`...` stands for anything within a line; as a line of its own for any lines. Spaces at line ends do not count."""
    lines = [line.rstrip() for line in shown.strip("\n").splitlines()]
    if not lines:
        return True  # what it prints is left out
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + r"[ ]*\n"
        for line in lines
    )
    return re.fullmatch(pattern, printed.strip("\n") + "\n") is not None
