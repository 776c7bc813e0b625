"""run_command: one program on the project, without a shell. What it changes there become edits of the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from ...errors import InternalError, ToolDenied, ToolFailed
from ...grants import parts_of
from ...model import FILE_TREE, JSON, ToolSpec
from ...ports import CommandEnd, Footprint, Job, ToolResult
from .arguments import BadArguments, parameters_of, parse
from .command_text import data_of, text_of
from .descent import visible

MAX_ARGUMENT_BYTES = 128 * 1024 - 1  # what Linux takes of one, with the NUL at its end
MAX_ARGV_BYTES = 512 * 1024
MAX_TIMEOUT_S = 600

_GROUP = "command"


class RunCommandArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    argv: Annotated[
        list[str],
        Meta(
            min_length=1,
            max_length=1000,
            description='The program and its arguments, such as ["pytest", "-q", "tests"]. No shell reads them.',
        ),
    ]
    timeout_s: Annotated[float, Meta(gt=0, le=MAX_TIMEOUT_S, description="Seconds after which it is killed.")] = 30


class RunCommand:
    """Implements `ports.CommandTool`. `find` says where a program lies in PATH, outside of the project."""

    spec = ToolSpec(
        name="run_command",
        description=(
            "Run a program in the root of the project, and read what it prints. There is no shell: no pipes, no "
            "redirections, no wildcards, no variables. It has no input. What it changes in the project is kept; "
            "version control and secrets cannot be changed."
        ),
        parameters=parameters_of(RunCommandArguments),
        version=1,
    )
    group = _GROUP
    observes = False  # by itself: the timeline notes what it saw and changed

    def __init__(self, grants: Sequence[str], find: Callable[[str], str | None]) -> None:
        self._whole = _GROUP in grants
        self._parts = parts_of(_GROUP, grants)
        self._network = "net" in grants
        self._find = find

    def footprint(self, arguments: Mapping[str, JSON]) -> Footprint:
        """All of the project."""
        return Footprint(path="", deep=True)

    def job(self, arguments: Mapping[str, JSON]) -> Job:
        """Raises BadArguments, ToolDenied where no grant covers the program, ToolFailed where a granted one is not
        there.
        """
        wanted = parse(self.spec.name, RunCommandArguments, arguments)
        _require_sound(wanted.argv)
        program, *rest = wanted.argv
        if not self._whole:
            program = self._granted(program)
        return Job(argv=(program, *rest), timeout_s=wanted.timeout_s, network=self._network)

    def told(self, job: Job, end: CommandEnd, changed: Sequence[str], refused: Sequence[str] = ()) -> ToolResult:
        """Data: {exit_code, stdout, stderr}; `exit_code` is None where it was killed, and then `killed` says why."""
        text, whole = text_of(job, end, changed, refused)
        return ToolResult(text=text, data=data_of(job, end), whole=whole)

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        raise InternalError(f"{self.spec.name} was run like a tool that only looks; see {FILE_TREE}")

    def _granted(self, program: str) -> str:
        """Where the program lies that a grant names. A path is never what a name stands for."""
        if program not in self._parts or "/" in program:
            raise ToolDenied(self._refusal(program))
        found = self._find(program)
        if found is None:
            raise ToolFailed(
                f"{visible(program)}: no such program in PATH, outside of the project; to run one that the project "
                "brings along takes the grant of all commands: --allow command"
            )
        return found

    def _refusal(self, program: str) -> str:
        granted = ", ".join(f"{_GROUP}:{part}" for part in self._parts) or "none"
        bare = len(program) <= 100 and program.isprintable() and "/" not in program and "," not in program
        hint = f"--allow command:{program} grants it" if bare else "--allow command grants all programs, also by paths"
        return f"{visible(program)[:200]}: this run may not run it; granted: {granted}. The person decides: {hint}"


def _require_sound(argv: Sequence[str]) -> None:
    name = RunCommand.spec.name
    total = 0
    for number, argument in enumerate(argv):
        try:
            size = len(argument.encode())
        except UnicodeEncodeError as error:
            raise BadArguments(f"{name}: argv[{number}] holds a lone surrogate, which no UTF-8 can") from error
        if "\0" in argument:
            raise BadArguments(f"{name}: argv[{number}] holds a NUL, which no argument can")
        if size > MAX_ARGUMENT_BYTES:
            raise BadArguments(
                f"{name}: argv[{number}] has {size:,} bytes, and one argument has at most {MAX_ARGUMENT_BYTES:,}"
            )
        total += size + 1
    if total > MAX_ARGV_BYTES:
        raise BadArguments(f"{name}: argv has {total:,} bytes, and {MAX_ARGV_BYTES:,} are taken")
    if not argv[0]:
        raise BadArguments(f"{name}: argv[0] is empty; it names the program")
