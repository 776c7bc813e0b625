"""Attacks of confined commands: none gets through; each guard that is named stops it alone; without them it does."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from tests.attacks.confine_harness import Attack, bait, load, missing, run_attack
from vibe_workflows.sandbox.confine import ALL_LAYERS, FLOOR_LAYERS, CommandEnd, Level

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers of Linux")

ATTACKS = load()
_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Case:
    attack: Attack
    route: str
    off: frozenset[str]

    @property
    def layers(self) -> frozenset[str]:
        return (ALL_LAYERS if self.route == "namespaces" else FLOOR_LAYERS) - self.off

    def __str__(self) -> str:
        return f"{self.attack.name}-{self.route}-without {'+'.join(sorted(self.off)) or 'nothing'}"


def guards(attack: Attack, route: str) -> frozenset[str]:
    return attack.guards if route == "namespaces" else attack.floor_guards


ROUTES = ("namespaces", "floor")
WHOLE = [Case(attack, route, frozenset()) for attack in ATTACKS for route in ROUTES if guards(attack, route)]
OPENED = [Case(case.attack, case.route, guards(case.attack, case.route)) for case in WHOLE]
SINGLE = [
    Case(case.attack, case.route, case.off - {guard})
    for case in OPENED
    if len(case.off) > 1
    for guard in sorted(case.off)
]


@dataclass(slots=True)
class Results:
    signs: dict[Case, list[str]] = field(default_factory=dict)
    ends: dict[Case, CommandEnd | None] = field(default_factory=dict)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Every case in a bait of its own, a few at a time."""
    found = Results()
    base = tmp_path_factory.mktemp("attacks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(base / "nobody's home"))
        patch.setenv("VIBE_TEST_TOKEN", "PWNED by a variable")
        trio.run(_run_all, found, base)
    return found


async def _run_all(found: Results, base: Path) -> None:
    slots = trio.CapacityLimiter(_AT_ONCE)

    async def one(case: Case, folder: Path) -> None:
        async with slots:
            with bait(folder, with_engine="ENGINE_" in case.attack.source) as trap:
                found.signs[case], found.ends[case] = await run_attack(trap, case.attack, case.layers)

    async with trio.open_nursery() as nursery:
        for number, case in enumerate([*WHOLE, *OPENED, *SINGLE]):
            if not missing(case.attack.needs):
                nursery.start_soon(one, case, base / str(number))


def signs_of(results: Results, case: Case) -> list[str]:
    lacking = missing(case.attack.needs)
    if lacking:
        pytest.skip(f"needs {lacking}")
    return results.signs[case]


@pytest.mark.parametrize("case", WHOLE, ids=str)
def test_no_attack_gets_through(case: Case, results: Results) -> None:
    signs = signs_of(results, case)
    end = results.ends[case]
    assert signs == []
    assert end is None or not end.timed_out
    if end is not None:
        assert end.level is (Level.STRONG if case.route == "namespaces" else Level.GOOD), end.layers


@pytest.mark.parametrize("case", OPENED, ids=str)
def test_an_attack_gets_through_without_its_guards(case: Case, results: Results) -> None:
    assert signs_of(results, case), results.ends[case]


@pytest.mark.parametrize("case", SINGLE, ids=str)
def test_each_of_several_guards_stops_the_attack_alone(case: Case, results: Results) -> None:
    assert signs_of(results, case) == []


def test_attacks_name_only_layers_that_there_are() -> None:
    for attack in ATTACKS:
        assert attack.guards <= ALL_LAYERS
        assert attack.floor_guards <= FLOOR_LAYERS
        assert attack.guards, attack.name
