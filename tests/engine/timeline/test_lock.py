"""The lock of the project: looks together, an edit alone, in the order in which they came, and nothing leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from vibe_workflows.engine.timeline.lock import ProjectLock


@dataclass
class Scene:
    """Tasks that take one lock, each until it is let go or cancelled."""

    lock: ProjectLock = field(default_factory=ProjectLock)
    held: list[int] = field(default_factory=list)  # in the order of taking
    over: list[int] = field(default_factory=list)
    alone: dict[int, bool] = field(default_factory=dict)
    gates: dict[int, trio.Event] = field(default_factory=dict)
    scopes: dict[int, trio.CancelScope] = field(default_factory=dict)

    async def take(self, number: int, alone: bool) -> None:
        self.alone[number] = alone
        self.gates[number] = trio.Event()
        with self.scopes.setdefault(number, trio.CancelScope()):
            async with self.lock.alone() if alone else self.lock.shared():
                self.held.append(number)
                self.check()
                await self.gates[number].wait()
                self.check()
        self.over.append(number)

    @property
    def inside(self) -> list[int]:
        return [number for number in self.held if number not in self.over]

    def check(self) -> None:
        inside = self.inside
        assert len(inside) == 1 or not any(self.alone[number] for number in inside)

    async def is_free(self) -> None:
        with trio.fail_after(5):
            async with self.lock.alone():
                pass


def test_they_are_served_in_the_order_in_which_they_came() -> None:
    async def main() -> None:
        scene = Scene()
        async with trio.open_nursery() as nursery:
            for number, alone in enumerate([False, False, True, False, False, True]):
                nursery.start_soon(scene.take, number, alone)
                await wait_all_tasks_blocked()
            assert scene.inside == [0, 1], "looks share it, and one behind a waiting edit waits too"
            for number, inside in ((0, [1]), (1, [2]), (2, [3, 4]), (4, [3]), (3, [5])):
                scene.gates[number].set()
                await wait_all_tasks_blocked()
                assert sorted(scene.inside) == inside
            scene.gates[5].set()
        await scene.is_free()

    trio.run(main)


acts = st.tuples(
    st.sampled_from(["look", "edit", "let go", "cancel", "cancel and let go", "let go and cancel"]), st.integers(0, 9)
)


@given(st.lists(st.lists(acts, min_size=1, max_size=3), max_size=12))
def test_whatever_is_cancelled_when_nothing_leaks_and_nobody_meets_an_edit(
    ticks: list[Sequence[tuple[str, int]]],
) -> None:
    async def main() -> None:
        scene = Scene()
        async with trio.open_nursery() as nursery:
            for tick in ticks:
                for act, place in tick:
                    _act(scene, nursery, act, place)
                await wait_all_tasks_blocked()
            for gate in scene.gates.values():
                gate.set()
            with trio.fail_after(5):
                while len(scene.over) < len(scene.gates):
                    await wait_all_tasks_blocked()
        await scene.is_free()

    trio.run(main)


def _act(scene: Scene, nursery: trio.Nursery, act: str, place: int) -> None:
    if act in ("look", "edit"):
        number = len(scene.scopes)
        scene.scopes[number] = trio.CancelScope()
        nursery.start_soon(scene.take, number, act == "edit")
        return
    waiting = [number for number in scene.gates if number not in scene.held and number not in scene.over]
    inside = scene.inside
    for each in act.split(" and "):  # in one tick: who waits is cancelled in the moment of its turn
        if each == "cancel" and (waiting or inside):
            them = waiting or inside
            scene.scopes[them[place % len(them)]].cancel()
        elif each == "let go" and inside:
            scene.gates[inside[place % len(inside)]].set()


def test_one_that_is_cancelled_in_the_moment_of_its_turn_gives_it_on() -> None:
    async def main(alone: bool) -> None:
        scene = Scene()
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(scene.take, number, alone or number == 0)
                await wait_all_tasks_blocked()
            scene.scopes[1].cancel()
            scene.scopes[0].cancel()
            await wait_all_tasks_blocked()
            assert scene.inside == [2]
            scene.gates[2].set()
        await scene.is_free()

    trio.run(main, True)
    trio.run(main, False)


def test_one_that_is_cancelled_after_its_turn_has_come_and_before_it_begins_gives_it_on() -> None:
    async def main(alone: bool) -> None:
        scene = Scene()
        async with trio.open_nursery() as nursery:
            async with scene.lock.alone():
                nursery.start_soon(scene.take, 0, alone)
                await wait_all_tasks_blocked()
            scene.scopes[0].cancel()  # no task has run since the lock was let go
        assert scene.held == []
        await scene.is_free()

    trio.run(main, True)
    trio.run(main, False)
