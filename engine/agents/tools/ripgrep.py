"""ripgrep, where this machine has it: tells quickly which files hold a plain text, and decides nothing else.

It is asked for fixed strings only, so that its syntax and its idea of a match do not come in; in folders that a walk
found, one by one, so that its idea of what is ignored does not either. What it finds is read and judged as ever.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from ...errors import CommandUnavailable
from ...ports import Command, CommandRunner

#: Below, starting a confined program takes longer than reading the files.
WORTH_FILES = 10_000

_TIMEOUT_S = 20.0
_OUTPUT_BYTES = 16 * 1024 * 1024
_FOLDER_BYTES = 64 * 1024  # a command
_FLAGS = (
    "--no-config", "--no-ignore", "--hidden", "--no-follow", "--text", "--encoding=none", "--max-depth=1",
    "--files-with-matches", "--null", "--fixed-strings",
)  # fmt: skip


class Ripgrep:
    def __init__(self, commands: CommandRunner) -> None:
        self._commands = commands
        self._program: str | None = None
        self._usable = True

    async def narrow(
        self, files: Sequence[str], literals: Sequence[str], *, ignore_case: bool, keep: Container[str] = ()
    ) -> Sequence[str]:
        """Those of `files` that hold a literal, and those to `keep`; all of them where that cannot be told."""
        if not self._usable or len(files) < WORTH_FILES:
            return files
        self._program = self._program or self._commands.find("rg")
        if self._program is None:
            self._usable = False
            return files
        flags = [*_FLAGS, *(["--ignore-case"] if ignore_case else []), *(f"--regexp={each}" for each in literals)]
        found: set[str] = set()
        for folders in _chunks(sorted({path.rpartition("/")[0] or "." for path in files if path not in keep})):
            named = await self._run((self._program, *flags, "--", *folders))
            if named is None:
                return files
            found |= named
        return [path for path in files if path in found or path in keep]

    async def _run(self, argv: tuple[str, ...]) -> set[str] | None:
        """The paths that it names; None where it did not look at everything."""
        command = Command(argv=argv, timeout_s=_TIMEOUT_S, output_bytes=_OUTPUT_BYTES)
        try:
            end = await self._commands.run(command)
        except CommandUnavailable:
            self._usable = False
            return None
        if (
            end.exit_code not in (0, 1) or end.stdout_dropped
        ):  # 2: a file that it could not read, and others that it could
            return None
        names = end.stdout.decode("utf-8", "surrogateescape").split("\0")
        return {name.removeprefix("./") for name in names}


def _chunks(folders: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for folder in folders:
        if size > _FOLDER_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(folder)
        size += len(folder.encode("utf-8", "surrogateescape")) + 8
    if chunk:
        yield chunk
