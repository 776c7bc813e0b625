"""Workflows whose agents edit the files that they read, run by the product on a project, a store and a model in memory.

The model never says the same twice: what it writes and answers is a hash of all that it saw and of a number. One turn
of one step goes on at a time, so that a kill or a hand edit can come before any of them.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio
from msgspec.structs import replace
from trio.testing import wait_all_tasks_blocked

from tests.support.checking import PlainChecker
from tests.support.dict_project import (
    PATHS,
    DictFiles,
    Files,
    Op,
    all_tools,
    arguments_of,
    edits,
    look_tools,
    looks_over,
    put,
    seen,
)
from tests.support.memory_store import MemoryStore
from tests.support.rules_explained import Answered, ByHand, Told, unexplained
from tests.support.script_trees import Tree, TreeHost, digest
from vibe_workflows.engine.agents.tools.file_state import FileDigests
from vibe_workflows.engine.agents.tools.registry import ToolBox
from vibe_workflows.engine.agents.tools.workspace import Workspace
from vibe_workflows.engine.attachments import Attachments
from vibe_workflows.engine.backends.scripted import ScriptedBackend
from vibe_workflows.engine.errors import Refused
from vibe_workflows.engine.executors.local import LocalExecutor
from vibe_workflows.engine.journal import Journal, Observers
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.lineage import new_run
from vibe_workflows.engine.live_step import LiveStep
from vibe_workflows.engine.model import (
    Change,
    Delivery,
    FinishReason,
    ModelReply,
    ModelRequest,
    Role,
    RunId,
    StepId,
    StepStatus,
    ToolRequest,
    Usage,
)
from vibe_workflows.engine.observe import Replayer
from vibe_workflows.engine.plan import RunPlan, RunServices
from vibe_workflows.engine.playing import Playing
from vibe_workflows.engine.ports import Executor, Limits, Record, ScriptCalls, StartedOver, StoredStep, Withdrawn
from vibe_workflows.engine.refresh import Refresh
from vibe_workflows.engine.requests import StepDefaults, StepRequests
from vibe_workflows.engine.routing import ModelChoice
from vibe_workflows.engine.session import MakeExecutor, Session
from vibe_workflows.engine.timeline.own_edits import OwnEdits
from vibe_workflows.engine.timeline.project import Project

_USAGE = Usage(input_tokens=10, output_tokens=2, cost_microusd=1)
_MOST_PASSES = 60
_GRANTED = ("read", "write")
_PLAN = RunPlan(
    workflow="flow",
    path="/flow.py",
    filename="flow.py",
    source="",
    args=b"{}",
    model="m",
    offline=False,
    budget=Limits(),
    max_microusd=None,
    concurrency=10_000,
    defaults=StepDefaults(max_tokens=100, max_turns=10_000, timeout_s=1e9, retries=0),
    granted=_GRANTED,
    prefix_warmup=False,
)


@dataclass(frozen=True)
class HandEdit:
    """Somebody writes a file before the turn with this number (from 0) of a run."""

    turn: int
    path: str
    data: bytes | None


@dataclass(frozen=True)
class Kill:
    """The process dies before a turn of the run, or before or after one of its writes of a file. From 0."""

    number: int
    moment: str = "turn"


@dataclass(frozen=True)
class Invocation:
    """What came of one run of a script."""

    killed: bool
    turns: int  # model calls that were answered
    result: str | None
    live: tuple[StepId, ...]  # steps that were begun
    restarts: int
    needless: tuple[str, ...]  # steps that were begun though a stored answer was true as the files lay
    unexplained: str | None  # why no execution explains this run, if none does


@dataclass(eq=False)
class _Turn:
    """A model call that waits to be answered."""

    request: ModelRequest
    go: trio.Event = field(default_factory=trio.Event)


class World:
    """One project with its store."""

    def __init__(self, files: Files) -> None:
        self.files = dict(files)
        self.store = MemoryStore()
        self.contents: dict[str, bytes] = {}  # all that ever lay in a file, by digest
        self._runs = 0
        self._nonces = itertools.count(1)

    def write(self, path: str, data: bytes | None) -> None:
        put(self.files, path, data)

    async def run(
        self,
        tree: Tree,
        seed: int = 0,
        *,
        kill: Kill | None = None,
        failing: Iterable[str] = (),
        hand_edit: HandEdit | None = None,
    ) -> Invocation:
        """Steps of the names `failing` come to no answer."""
        self._runs += 1
        run = _Run(self, tree, RunId(f"r{self._runs}"), random.Random(seed), kill, frozenset(failing), hand_edit)
        return await run.invoke()

    def undo(self) -> None:
        """Take back the own edits of the last invocation."""
        steps = self.store.reader.own_steps(_PLAN.path, content_digest(_PLAN.args))
        own = OwnEdits({step.id: step.edits for step in steps}, {path: self.digest(path) for path in PATHS})
        chains = [entry for entry in self.store.reader.chains(PATHS) if entry.epoch in own.tail]
        for entry in reversed(chains):
            before = entry.change.before
            self.write(entry.change.path, None if before is None else self.store.reader.contents(before))
        self.store.write([Withdrawn(epochs=tuple(entry.epoch for entry in chains))])

    def names_of(self, steps: Iterable[StepId]) -> Iterator[str]:
        """The names of the calls that steps were begun for."""
        for each in steps:
            step = self.store.reader.step(each)
            assert step is not None
            yield json.loads(json.loads(step.spec)["prompt"])["name"]

    def digest(self, path: str) -> str | None:
        return content_digest(self.files[path]) if path in self.files else None

    def next_nonce(self) -> int:
        return next(self._nonces)

    @property
    def runs(self) -> int:
        return self._runs

    def close(self) -> None:
        self.store.close()


@contextmanager
def world(files: Files) -> Iterator[World]:
    made = World(files)
    try:
        yield made
    finally:
        made.close()


class _Front:
    """Hears of the steps that begin."""

    def __init__(self, begun: Callable[[LiveStep], None], serve: Callable[[Session], None]) -> None:
        self._begun = begun
        self._serve = serve

    @property
    def executor(self) -> MakeExecutor:
        def make(nursery: trio.Nursery, capacity: int, run: Callable[[LiveStep], object]) -> Executor[LiveStep]:
            return _Telling(nursery, capacity, run, self._begun)

        return make

    def at_rest(self) -> None:
        return None

    def serving(self, session: Session) -> ScriptCalls:
        self._serve(session)
        return session


class _Telling(LocalExecutor[LiveStep]):
    def __init__(self, nursery: trio.Nursery, capacity: int, run: object, begun: Callable[[LiveStep], None]) -> None:
        super().__init__(nursery, capacity, run)  # type: ignore[arg-type]
        self._begun = begun

    def submit(self, number: int, item: LiveStep) -> None:
        self._begun(item)
        super().submit(number, item)


def _asked(op: Op, call: str, said: str) -> ToolRequest:
    arguments = arguments_of(op)
    if edits(op):
        arguments["first"] = f"{said}.{call}"
    return ToolRequest(id=call, name=op[0], arguments=json.dumps(arguments))


class _Killed(Exception):
    """The process dies here."""


class _Run:
    def __init__(
        self,
        world: World,
        tree: Tree,
        run_id: RunId,
        dice: random.Random,
        kill: Kill | None,
        failing: frozenset[str],
        hand_edit: HandEdit | None,
    ) -> None:
        self._world = world
        self._host = TreeHost(tree)
        self._id = run_id
        self._dice = dice
        self._kill = kill
        self._writes = 0
        self._failing = failing
        self._hand_edit = hand_edit
        self._waiting: list[_Turn] = []
        self._live: list[StepId] = []
        self._needless: list[str] = []
        self._passes = 0
        self._turns = 0
        self._scope = trio.CancelScope()
        self._killed = False
        self._start = dict(world.files)
        self._started = world.store.reader.latest_epoch()
        self._by_hand: list[ByHand] = []
        self._delivered: dict[StepId, int] = {}  # the calls of the present pass that have an answer
        self._session: Session | None = None

    async def invoke(self) -> Invocation:
        store = self._world.store
        store.revive(self._heard)
        result: str | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.serve)
                nursery.start_soon(self._control)
                result = await self._execute()
                nursery.cancel_scope.cancel()
        except* _Killed:
            pass
        return Invocation(
            killed=self._killed,
            turns=self._turns,
            result=result,
            live=tuple(self._live),
            restarts=self._passes - 1,
            needless=tuple(self._needless),
            unexplained=None if self._killed else self._explain(),
        )

    # ------------------------------------------------------------ the product

    async def _execute(self) -> str | None:
        services = self._services()
        run = new_run(_PLAN, services.store.reader, self._id, started_at=self._clock(), sandbox_level="strong")
        journal = Journal(run.id, services.store, Observers([]), self._clock)
        await journal.commit([run], [])
        playing = Playing(_PLAN, services, run, journal, Refresh((), run.now), front=self._front)
        ending = await playing.play(self._scope)
        if self._killed:
            return None
        assert ending is not None
        assert ending.result is not None, ending
        await journal.commit([replace(run, status=ending.status, finished_at=self._clock())], [])
        return ending.result.decode()

    def _services(self) -> RunServices:
        files, store = self._world.files, self._world.store
        project = DictFiles(files)
        project.on_write = self._writing
        workspace = Workspace("/", PlainChecker())  # type: ignore[arg-type]
        return RunServices(
            store=store,
            host=self._host,
            checker=PlainChecker(),
            backend=ScriptedBackend(self._model),
            requests=lambda defaults, horizons: StepRequests(
                tools=ToolBox(all_tools(files), _GRANTED),
                resolve_model=lambda **_: ModelChoice(model="m", reason=""),
                defaults=defaults,
                horizons=horizons,
            ),
            replayer=Replayer(look_tools(files), lambda others: looks_over(files, others), store.reader.contents),
            files=project,
            attachments=Attachments(workspace, FileDigests(workspace, self._clock)),
            own=lambda _run: trio.CancelScope(),
            wall_clock=self._clock,
            jitter=lambda: 0.0,
            new_run_id=lambda: self._id,
        )

    def _clock(self) -> float:
        return float(self._world.runs)

    def _front(self) -> _Front:
        if not self._passes:  # by now edits that a kill left half done have been settled
            self._start = dict(self._world.files)
        self._passes += 1
        assert self._passes < _MOST_PASSES, "the script starts over for ever"
        return _Front(self._begin, self._serve)

    def _serve(self, session: Session) -> None:
        self._session = session

    @property
    def _project(self) -> Project:
        assert self._session is not None
        return self._session._project

    def _begin(self, item: LiveStep) -> None:
        self._note_contents()
        self._live.append(item.id)
        self._check_need(item)

    # ------------------------------------------------------------ the model

    async def _model(self, request: ModelRequest) -> ModelReply | Refused:
        turn = _Turn(request)
        self._waiting.append(turn)
        try:
            await turn.go.wait()
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
        prompt = json.loads(next(message.text for message in request.messages if message.role is Role.USER))
        shown = [message.text for message in request.messages if message.role is Role.TOOL]
        turns = sum(message.role is Role.ASSISTANT for message in request.messages)
        said = digest(prompt, shown, self._world.next_nonce())
        if turns < len(prompt["turns"]):
            calls = tuple(_asked(tuple(op), f"c{turns}.{n}", said) for n, op in enumerate(prompt["turns"][turns]))
            return ModelReply(text=said, finish=FinishReason.TOOL_CALLS, usage=_USAGE, tool_requests=calls)
        if prompt["name"] in self._failing:
            return Refused("it does not want to")
        return ModelReply(text=said, finish=FinishReason.STOP, usage=_USAGE)

    # ------------------------------------------------------------ what happens when

    async def _control(self) -> None:
        """Whenever nothing goes on by itself: look at what has begun, and let one turn go on."""
        while True:
            await wait_all_tasks_blocked()
            self._note_contents()
            assert self._waiting, "nothing goes on, and no model is asked"
            edit = self._hand_edit
            if edit is not None and self._turns == edit.turn:
                self._edit_by_hand(edit)
            if self._kill == Kill(self._turns):
                self._die()
                self._scope.cancel()
                return
            self._waiting.sort(key=lambda turn: (turn.request.messages[1].text, len(turn.request.messages)))
            self._turns += 1
            self._waiting.pop(self._dice.randrange(len(self._waiting))).go.set()

    def _die(self) -> None:
        self._killed = True
        self._world.store.die()

    def _writing(self, moment: str) -> None:
        self._note_contents()
        self._writes += moment == "before"
        if self._kill == Kill(self._writes - 1, moment):
            self._die()
            raise _Killed

    def _edit_by_hand(self, edit: HandEdit) -> None:
        self._hand_edit = None
        before = self._world.digest(edit.path)
        self._world.write(edit.path, edit.data)
        self._note_contents()
        after = self._world.digest(edit.path)
        if before != after:
            change = Change(path=edit.path, before=before, after=after)
            self._by_hand.append(ByHand(self._project._epochs._latest, change))

    # ------------------------------------------------------------ what is checked

    def _heard(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Delivery):
                self._delivered[record.step_id] = record.number
            elif isinstance(record, StartedOver):
                self._delivered.clear()

    def _check_need(self, item: LiveStep) -> None:
        """Whatever the rules are: is there a stored answer that nobody has, and is it true as the files lie?"""
        for sample in self._world.store.reader.pool(item.key):
            fits = sample.spec == item.canonical and not sample.inherited and sample.id not in self._delivered
            if fits and item.cut_off is None and self._is_true(sample):
                self._needless.append(f"{item.id} was begun, and {sample.id} is true")

    def _is_true(self, sample: StoredStep) -> bool:
        files = dict(self._world.files)
        for look in sample.observations:
            if seen(look.tool, look.arguments, files) != look.digest:
                return False
            if look.change is not None:
                after = look.change.after
                put(files, look.change.path, None if after is None else self._world.contents[after])
        return True

    def _explain(self) -> str | None:
        reader = self._world.store.reader
        self._note_contents()
        assert self._host.play is not None
        told = Told(
            start=self._start,
            end=dict(self._world.files),
            started=self._started,
            steps=[self._answered(step, call) for step, call in self._delivered.items()],
            before=self._host.play.before,
            chain=reader.chains(PATHS),
            own=frozenset(self._project.timeline.own.tail),
            by_hand=self._by_hand,
            contents=self._world.contents,
        )
        return unexplained(told)

    def _answered(self, step_id: StepId, call: int) -> Answered:
        reader = self._world.store.reader
        step = reader.step(step_id)
        assert step is not None
        looks = step.observations
        if step.status is not StepStatus.COMPLETED:
            calls = reader.tool_calls(step_id)
            looks = tuple(seen for call in calls for seen in call.observations)
        inherited = reader._histories.inherited(step_id, looks)
        return Answered(id=step_id, call=call, observations=looks, inherited=inherited)

    def _note_contents(self) -> None:
        self._world.contents.update((content_digest(data), data) for data in self._world.files.values())
