"""Runs git: confined, with a clean environment, and on a borrowed repository only."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import trio
from msgspec.structs import replace

from ..errors import CommandUnavailable, ToolFailed
from ..ports import Command, CommandEnd, CommandRunner
from .borrowed import Borrowed, borrow
from .diff import MAX_BYTES, Difference, Query, parse_difference, parse_untracked
from .laid_out import composed, laid_out, require_tellable, within

_TIMEOUT_S = 30.0
_MESSAGE_CHARS = 300
#: What a git of a made-up GIT_DIR could still take from elsewhere, or do: nothing of the user's and the machine's
#: config, no replaced objects, no fetching of missing ones, no transport, no question to a terminal.
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}


class Git:
    """Reads the repository that holds `project`. Raises ToolFailed where there is none, no git, or it fails."""

    def __init__(self, runner: CommandRunner, project: str) -> None:
        self._runner = runner
        self._project = os.path.realpath(project)

    async def difference(self, query: Query, *, over: Mapping[str, bytes | None] | None = None) -> Difference:
        """What `query` asks for, with new files unless it is about the index alone.

        A pure function of repository, index and working tree. `over` are files that are otherwise than on the disk, by
        their path in the project (None: absent); what cannot be told exactly of them raises ToolFailed.
        """
        query.arguments()  # denied before anything is looked at
        async with borrow(self._project) as borrowed:
            if not over:
                return await self._difference(borrowed, query)
            require_tellable(over)
            concerned = within(query.path, over)
            if query.staged or not concerned:
                return await self._difference(borrowed, query)
            plain = replace(query, renames=False)
            disk = await self._difference(borrowed, plain)
            async with laid_out(borrowed, self._project, concerned) as apart:
                own = await self._difference(apart, replace(plain, only=tuple(sorted(concerned))))
            return composed(disk, own, concerned)

    async def _difference(self, borrowed: Borrowed, query: Query) -> Difference:
        asked = [partial(self._changed, borrowed, query)]
        if not query.staged:
            asked.append(partial(self._untracked, borrowed, query))
        found = await _all_of(asked)
        return Difference(
            changes=tuple(change for part in found for change in part.changes),
            complete=all(part.complete for part in found),
        )

    async def _changed(self, borrowed: Borrowed, query: Query) -> Difference:
        end = await self._run(borrowed, query.arguments())
        if end.exit_code not in (0, None):
            arguments = await self._without_commit(borrowed, query)
            end = await self._run(borrowed, arguments) if arguments else end
        self._require_success(end, borrowed)
        return parse_difference(end.stdout, cut=bool(end.stdout_dropped))

    async def _untracked(self, borrowed: Borrowed, query: Query) -> Difference:
        """Names of the files that are asked for and not in the index, and that no .gitignore excludes."""
        end = await self._run(borrowed, query.untracked_arguments())
        self._require_success(end, borrowed)
        return parse_untracked(end.stdout, cut=bool(end.stdout_dropped))

    async def _without_commit(self, borrowed: Borrowed, query: Query) -> list[str]:
        """What to ask instead where nothing was committed yet; nothing where the base is not to blame.

        Raises ToolFailed where the base is no commit: what is missing is never taken for empty.
        """
        if await self._knows(borrowed, query.base + "^{commit}"):
            return []
        if query.base == "HEAD" and not await self._knows(borrowed, "HEAD"):
            return replace(query, base=borrowed.empty_tree, merge_base=False).arguments()
        raise ToolFailed(
            f"{query.base}: no commit, branch or tag that this clone has; nothing is fetched, and objects of other "
            "repositories (alternates) are not read"
        )

    async def _knows(self, borrowed: Borrowed, revision: str) -> bool:
        end = await self._run(borrowed, ["rev-parse", "--verify", "--quiet", "--end-of-options", revision])
        return end.exit_code == 0

    async def _run(self, borrowed: Borrowed, arguments: Sequence[str]) -> CommandEnd:
        start = ("-C", borrowed.folder) if borrowed.folder else ()
        tree = (borrowed.top,) if borrowed.folder else _rules_above(self._project, borrowed.top)
        end = await run_git(
            self._runner,
            (*start, *arguments),
            readable=(borrowed.git_dir, *borrowed.sources, *tree),
            environment={"GIT_DIR": borrowed.git_dir, "GIT_WORK_TREE": borrowed.top},
            timeout_s=_TIMEOUT_S,
            output_bytes=MAX_BYTES,
        )
        if end.timed_out or end.over_limit:
            spent = end.over_limit or f"more than {_TIMEOUT_S:g} s"
            raise ToolFailed(f"git took {spent}, and was stopped; name a smaller part of the project with path")
        return end

    def _require_success(self, end: CommandEnd, borrowed: Borrowed) -> None:
        if end.exit_code == 0:
            return
        said = end.stderr.decode("utf-8", "replace").strip().splitlines()
        message = (said[-1] if said else "it was killed")[:_MESSAGE_CHARS]
        for path, shown in ((borrowed.git_dir, ".git"), (borrowed.top, ".")):  # a path of this machine is no answer
            message = message.replace(path, shown)
        message = "".join(char for char in message if char.isprintable())
        raise ToolFailed(f"git could not tell: {message}; what a clone lacks is not fetched")


async def run_git(
    runner: CommandRunner,
    arguments: Sequence[str],
    *,
    readable: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float,
    output_bytes: int,
) -> CommandEnd:
    """Run git once, on what `environment` says. Raises ToolFailed where it cannot be run at all."""
    program = runner.find("git")
    if program is None:
        raise ToolFailed("git is not installed on this machine")
    command = Command(
        argv=(program, *arguments),
        readable=tuple(readable),
        environment={**_ENVIRONMENT, **environment},
        timeout_s=timeout_s,
        output_bytes=output_bytes,
    )
    try:
        return await runner.run(command)
    except CommandUnavailable as error:
        raise ToolFailed(f"git cannot be run here: {error.message}") from error


def _rules_above(project: str, top: str) -> Sequence[str]:
    """Attribute and ignore files between the top of the working tree and a project below it."""
    found = []
    while project != top:
        project = os.path.dirname(project)
        found += [f"{project}/{name}" for name in (".gitattributes", ".gitignore")]
    return [path for path in found if os.path.isfile(path) and not os.path.islink(path)]


async def _all_of(asked: Sequence[Callable[[], Awaitable[Difference]]]) -> list[Difference]:
    """The answers in order, asked for at the same time. Of several failures the first in that order is raised."""
    found: dict[int, Difference] = {}
    failures: dict[int, ToolFailed] = {}

    async def one(number: int, ask: Callable[[], Awaitable[Difference]]) -> None:
        try:
            found[number] = await ask()
        except ToolFailed as error:  # raised below, bare: a nursery would wrap it
            failures[number] = error

    async with trio.open_nursery() as nursery:
        for number, ask in enumerate(asked):
            nursery.start_soon(one, number, ask)
    if failures:
        raise failures[min(failures)]
    return [found[number] for number in sorted(found)]
