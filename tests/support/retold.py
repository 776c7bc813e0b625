"""A delivered step that is told once more: moment by moment, on a replica of the project, with the real tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.support.commands import PlainCommands
from tests.support.editing_deeds import COMMANDS, DEEDS, IGNORED, READ_IGNORED
from tests.support.editing_model import Asked, Files, answer_to, arguments_of
from tests.support.editing_scripts import Agent, Merge, Place, gate_of, merge_of
from tests.support.memory_bench import counted, run_program
from tests.support.memory_folder import memory_folder
from tests.support.replica import Replica, replica
from tests.support.told_steps import Kind, Moment, Told, Unexplained
from vibe_workflows.engine.agents import prompts
from vibe_workflows.engine.agents.tools.command_text import data_of, text_of
from vibe_workflows.engine.agents.tools.run_command import RunCommand
from vibe_workflows.engine.gates import GateTool, gate_end
from vibe_workflows.engine.git import Differ
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.merging import Trio, merged
from vibe_workflows.engine.model import FILE_TREE, Observation
from vibe_workflows.engine.observe import outcome_digest
from vibe_workflows.engine.ports import CommandEnd, Job, ToolResult

#: What a command makes of files, by path; None: it removes one.
Made = dict[str, bytes | None]


def retold_of(told: Told, others: Mapping[Place, Retold]) -> Retold:
    if isinstance(told.leaf, Merge):
        agent = next((each for place, each in others.items() if merge_of(place) == told.place), None)
        if agent is None:
            raise Unexplained(f"{told.step.id} merges what no agent did")
        return RetoldMerge(told, agent)
    return Retold(told)


class Retold:
    """Of an agent, or of a tool that the script called."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.shown: dict[int, str] = {}
        self.back: list[str] = []  # why its answers did not count
        self.files: list[tuple[str, str]] = []
        self.result: Any = None
        self.ignored_is_new = False  # whether what git ignores was written in this run before the script came to it
        self.first: Made = {}  # in its worktree: what lay there before the first change of each file
        self.changes: Made = {}
        self._pending: Made = {}  # what a command has made, that is to be observed next
        self._landing: Made | None = None
        self._landed: set[str] = set()
        self._gate_saw: Files = {}  # the files of the project when the gate was green

    @property
    def id(self) -> str:
        return self.told.step.id

    @property
    def _aside(self) -> bool:
        return isinstance(self.told.leaf, Agent) and bool(self.told.leaf.worktree)

    @property
    def snapshot(self) -> int:
        """When its worktree was taken, for the first time."""
        return min((moment.epoch for moment in self.told.moments if moment.seen.aside), default=0)

    @property
    def net(self) -> Made:
        return {path: after for path, after in self.changes.items() if self.first[path] != after}

    @property
    def is_landed(self) -> bool:
        return not self._aside or self._landed == self.net.keys()

    # ------------------------------------------------------------ moments

    async def tell(self, moment: Moment, project: Replica) -> None:
        seen = moment.seen
        if seen.aside is not (self._aside and moment.kind not in (Kind.GIVEN, Kind.LANDED)):
            raise Unexplained(f"{self.id} was at work where it should not be: {seen}")
        if self._pending and moment.kind is not Kind.MADE:
            raise Unexplained(f"{self.id}: a command would have changed {sorted(self._pending)} as well")
        match moment.kind:
            case Kind.GIVEN:
                self._give(json.loads(seen.arguments)["path"], moment, project)
            case Kind.DEED if moment.deed in COMMANDS:
                await self._command(moment, project)
            case Kind.DEED:
                await self._deed(moment, project)
            case Kind.MADE:
                self._make(moment, project)
            case Kind.JUDGED:
                await self._judge(moment, project)
            case Kind.JUDGED_MERGED:
                await self._judge_merged(moment, project)
            case Kind.LANDED:
                await self._land(moment, project)

    def _give(self, path: str, moment: Moment, project: Replica) -> None:
        digest = project.digest(path)
        self.files.append((path, str(digest)))
        if digest is None or outcome_digest(ToolResult(text="", data={"digest": digest})) != moment.seen.digest:
            raise Unexplained(f"stale: {self.id} was given {path} as it did not lie there")

    def _over(self, project: Replica) -> Files:
        """What lies where it works."""
        if not self._aside:
            return project.files
        files: Made = {**counted(project.files), **self.changes}
        return {path: data for path, data in files.items() if data is not None}

    async def _deed(self, moment: Moment, project: Replica) -> None:
        seen, arguments = moment.seen, self._arguments(moment)
        name, _ = DEEDS[moment.deed]
        if moment.deed == READ_IGNORED and not self._aside:
            self.shown[moment.number] = await self._ignored(moment, project)
            return
        if not self._aside:
            await self._deed_on(moment, name, arguments, project)
            return
        with replica(self._over(project)) as there:
            await self._deed_on(moment, name, arguments, there)
        if seen.change is not None:
            self.first.setdefault(seen.change.path, counted(project.files).get(seen.change.path))
            self.changes[seen.change.path] = there.written[seen.change.path]

    async def _deed_on(self, moment: Moment, name: str, arguments: dict[str, Any], project: Replica) -> None:
        seen = moment.seen
        if name not in project.edits:
            self.shown[moment.number], _ = await project.look(name, arguments)
        _, digest = await project.look(seen.tool, json.loads(seen.arguments))
        if digest != seen.digest:
            raise Unexplained(f"stale: {self.id} at {seen.epoch} did not see {seen.tool} {seen.arguments} so")
        if name in project.edits:
            self.shown[moment.number], self.result, change = await project.edit(name, arguments)
            if change != seen.change:
                raise Unexplained(f"stale: {self.id} would have made {change}, and made {seen.change}")
            if change is not None:
                project.edited[change.path] = seen.epoch

    async def _ignored(self, moment: Moment, project: Replica) -> str:
        """Of what git ignores nobody knows when it was so."""
        before = project.files.get(IGNORED)
        versions: list[bytes | None] = [before]
        if ".gitignore" in project.files:
            versions = [*([] if self.ignored_is_new else versions), *project.ignored]
        try:
            for data in versions:
                project.write(IGNORED, data)
                text, _ = await project.look("read_file", {"path": IGNORED})
                _, digest = await project.look(moment.seen.tool, json.loads(moment.seen.arguments))
                if digest == moment.seen.digest:
                    return text
        finally:
            project.write(IGNORED, before)
        raise Unexplained(f"stale: {self.id} at {moment.epoch} did not see {IGNORED} so, since the run began")

    # ------------------------------------------------------------ commands and gates

    async def _command(self, moment: Moment, project: Replica) -> None:
        argv = tuple(self._arguments(moment)["argv"])
        job, end = await self._run(argv, moment, project)
        if moment.call is not None and moment.call.outcome == "error":  # others came in between, again and again
            self.shown[moment.number] = moment.call.output
            self._pending = {}
            return
        self.shown[moment.number], _ = text_of(job, end, sorted(self._pending), ())
        self.result = data_of(job, end)

    async def _run(self, argv: tuple[str, ...], moment: Moment, project: Replica) -> tuple[Job, CommandEnd]:
        await self._look_at_all(moment.seen, project)
        there = self._over(project)
        end, after = run_program(there, argv)
        shown = counted(there).keys() | counted(after).keys()
        self._pending = {path: after.get(path) for path in sorted(shown) if there.get(path) != after.get(path)}
        return Job(argv=argv, timeout_s=30), end

    async def _look_at_all(self, seen: Observation, project: Replica) -> None:
        """In a worktree this is a look at the snapshot."""
        if seen.tool != FILE_TREE:
            raise Unexplained(f"{self.id}: a command begins with a look at all files, and not with {seen}")
        _, digest = await project.look(FILE_TREE, {})
        if digest != seen.digest:
            raise Unexplained(f"stale: {self.id} at {seen.epoch} did not see all files so")

    def _make(self, moment: Moment, project: Replica) -> None:
        change = moment.seen.change
        if change is None or change.path not in self._pending:
            raise Unexplained(f"{self.id}: no command would have changed what it did: {moment.seen}")
        data = self._pending.pop(change.path)
        before = self._over(project).get(change.path)
        if (change.before, change.after) != (_digest(before), _digest(data)):
            raise Unexplained(f"stale: {self.id} at {moment.epoch} would have made something else of {change}")
        if self._aside:
            self.first.setdefault(change.path, before)
            self.changes[change.path] = data
        else:
            project.write(change.path, data)
            project.edited[change.path] = moment.epoch

    async def _judge(self, moment: Moment, project: Replica) -> None:
        leaf = self.told.leaf
        assert isinstance(leaf, Agent)
        argv = tuple(gate_of(leaf))
        job, end = await self._run(argv, moment, project)
        self._gate_saw = counted(project.files)
        assert moment.call is not None
        if (moment.call.outcome == "ok") is not (end.exit_code == 0):
            raise Unexplained(f"stale: the gate of {self.id} should end with {end.exit_code}")
        if end.exit_code != 0:
            ended = gate_end(GateTool(RunCommand((), lambda program: None), argv).told(job, end, ()))
            self.back.append(prompts.gate_failed(" ".join(argv), ended.how, ended.output))

    async def _judge_merged(self, moment: Moment, project: Replica) -> None:
        await self._look_at_all(moment.seen, project)
        leaf = self.told.leaf
        assert isinstance(leaf, Agent)
        files: Made = {**counted(project.files), **await merged_with(self, project)}
        end, _ = run_program({path: data for path, data in files.items() if data is not None}, tuple(gate_of(leaf)))
        if end.exit_code != 0:
            raise Unexplained(f"{self.id} was merged, and its gate is red with that")
        self._gate_saw = counted(project.files)

    # ------------------------------------------------------------ merges

    async def _land(self, moment: Moment, project: Replica) -> None:
        if self._landing is None:
            leaf = self.told.leaf
            if isinstance(leaf, Agent) and leaf.gate and self._gate_saw != counted(project.files):
                raise Unexplained(f"{self.id} was merged into files on which its gate was not run")
            self._landing = await merged_with(self._merges, project)
        seen = moment.seen
        path = json.loads(seen.arguments)["path"]
        if path not in self._landing or path in self._landed:
            raise Unexplained(f"{self.id} merged {path}, which it should not")
        before, after = _digest(project.files.get(path)), _digest(self._landing[path])
        change = None if seen.change is None else (seen.change.before, seen.change.after)
        if outcome_digest(ToolResult(text="", data={"digest": before})) != seen.digest:
            raise Unexplained(f"stale: {self.id} did not find {path} so, to merge it")
        if change != (None if before == after else (before, after)):
            raise Unexplained(f"stale: {self.id} would have merged {path} to something else")
        self._landed.add(path)
        if seen.change is not None:
            project.write(path, self._landing[path])
            project.edited[path] = moment.epoch

    @property
    def _merges(self) -> Retold:
        """Whose changes land with it."""
        return self

    # ------------------------------------------------------------ what it was asked, and answered

    def asked(self, upto: int, backs: int) -> Asked:
        """As its model sees it after so many calls and answers that did not count."""
        prompt = json.loads(self.told.step.spec)["prompt"]
        shown = tuple(self.shown[number] for number in range(upto))
        return Asked(prompt, tuple(self.files), shown, tuple(self.back[:backs]))

    def _arguments(self, moment: Moment) -> dict[str, Any]:
        leaf = self.told.leaf
        if not isinstance(leaf, Agent):
            given: dict[str, Any] = json.loads(self.told.step.spec)["arguments"]
            return given
        first = 0
        for turn in leaf.turns:
            if moment.number < first + len(turn):
                return arguments_of(self.asked(first, 0), moment.number - first, moment.deed)
            first += len(turn)
        mends = moment.number - first + 1
        return arguments_of(self.asked(moment.number, mends), 0, moment.deed)

    def check(self, project: Replica) -> None:
        """That its answer is what comes of it, at the end of all. It conflicts with nothing but later edits."""
        told, leaf = self.told, self.told.leaf
        fault = told.step.fault
        if fault is not None and fault.type == "Conflict":
            since = [path for path in self._merges.net if project.edited.get(path, 0) > self._merges.snapshot]
            if not since and not project.others.intersection(self._merges.net):
                raise Unexplained(f"{self.id} is a conflict, and nobody edited one of its files: {fault.message}")
        if self._pending:
            raise Unexplained(f"{self.id}: a command would have changed {sorted(self._pending)} as well")
        if not told.completed:
            return
        result = json.loads(told.step.result or "null")
        if isinstance(leaf, Agent):
            count = len(leaf.deeds) + len(self.back)
            if [number for number in range(count) if number not in self.shown] or len(self.files) != len(leaf.files):
                raise Unexplained(f"{self.id} saw more than it observed")
            if result != answer_to(self.asked(count, len(self.back))):
                raise Unexplained(f"stale: {self.id} would have answered otherwise")
        elif not isinstance(leaf, Merge) and DEEDS[leaf.deed][0] != "read_file" and result != self.result:
            raise Unexplained(f"stale: {self.id} gave {result}, and would have given {self.result}")


class RetoldMerge(Retold):
    def __init__(self, told: Told, agent: Retold) -> None:
        super().__init__(told)
        self._agent = agent

    @property
    def _merges(self) -> Retold:
        return self._agent

    @property
    def is_landed(self) -> bool:
        return self._landed == self._agent.net.keys()

    def check(self, project: Replica) -> None:
        told = self.told
        if json.loads(told.step.spec)["merged"] != self._agent.id:
            raise Unexplained(f"{self.id} merged what another step did than {self._agent.id}")
        if told.completed and json.loads(told.step.result or "null") != sorted(self._agent.net):
            raise Unexplained(f"{self.id} gave {told.step.result}, and {sorted(self._agent.net)} were changed")


async def merged_with(step: Retold, project: Replica) -> Made:
    """What becomes of the project's files with what a step did in its worktree."""
    ours = counted(project.files)
    trios = [
        Trio(path=path, base=step.first[path], ours=ours.get(path), theirs=after)
        for path, after in sorted(step.net.items())
    ]
    with memory_folder() as nowhere:
        found = await merged(Differ(PlainCommands(nowhere)), trios)
    if found.conflicts:
        raise Unexplained(f"{step.id} was merged, in spite of {found.conflicts}")
    return dict(found.files)


def _digest(data: bytes | None) -> str | None:
    return None if data is None else content_digest(data)
