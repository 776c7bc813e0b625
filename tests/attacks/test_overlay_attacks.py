"""Attacks on a project through a copy-on-write view of it: it stays as it is, and what was written is told."""

from __future__ import annotations

import sys

import pytest
import trio

from tests.attacks.confine_harness import Attack, bait, load, missing, run_attack, snapshot
from tests.attacks.overlay_attacks import ATTACKS
from tests.attacks.overlay_harness import Result, run_attacks
from vibe_workflows.sandbox.confine import ALL_LAYERS
from vibe_workflows.sandbox.confine.layers import MOUNTS, OVERLAY, PROTECTED
from vibe_workflows.sandbox.confine.upper import take_away

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers of Linux")

_NEEDS = {"attributes": "xattr", "marks of an overlay": "xattr", "flags": "file flags"}
Results = dict[str, Result]


def _run_all(tmp_path_factory: pytest.TempPathFactory, off: frozenset[str]) -> Results:
    base = tmp_path_factory.mktemp("overlay")
    found: Results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(base / "nobody's home"))
        for number, extra in enumerate({attack.off for attack in ATTACKS.values()}):
            upper = base / f"upper{number}"
            found |= trio.run(run_attacks, base / f"project{number}", upper, off | extra)
            take_away(upper)
            assert not upper.exists()
    return found


@pytest.fixture(scope="module")
def on_a_view(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _run_all(tmp_path_factory, frozenset())


@pytest.fixture(scope="module")
def in_place(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _run_all(tmp_path_factory, frozenset({OVERLAY}))


def result(results: Results, name: str) -> Result:
    lacking = missing(frozenset({_NEEDS[name]} if name in _NEEDS else ()))
    if lacking:
        pytest.skip(f"needs {lacking}")
    return results[name]


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_changes_the_project_and_all_that_was_written_is_told(name: str, on_a_view: Results) -> None:
    found = result(on_a_view, name)
    assert found.end.layers[OVERLAY]
    assert found.went_through or not ATTACKS[name].written, found.end.stderr
    assert not found.changed
    assert found.written == ATTACKS[name].written


@pytest.mark.parametrize("name", ATTACKS)
def test_in_place_every_attack_changes_the_project(name: str, in_place: Results) -> None:
    found = result(in_place, name)
    assert found.changed, found.end


#: Of the attacks on commands in place those that files are the way or the aim of.
OF_FILES = [attack for attack in load() if attack.guards & {MOUNTS, PROTECTED}]


@pytest.fixture(scope="module")
def of_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The signs that each got through, when it ran on a view."""
    base, slots = tmp_path_factory.mktemp("files"), trio.CapacityLimiter(3)
    found: dict[str, list[str]] = {}

    async def one(attack: Attack) -> None:
        folder, upper = base / attack.name, base / f"{attack.name}.upper"
        async with slots:
            with bait(folder, with_engine="ENGINE_" in attack.source) as trap:
                found[attack.name], _ = await run_attack(trap, attack, ALL_LAYERS, upper=upper)
                after = snapshot(folder)
                found[attack.name] += [f"changed: {name}" for name in after if after[name] != trap.before.get(name)]
            take_away(upper)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for attack in OF_FILES:
                if not missing(attack.needs):
                    nursery.start_soon(one, attack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(base / "nobody's home"))
        trio.run(main)
    return found


@pytest.mark.parametrize("attack", OF_FILES, ids=lambda attack: attack.name)
def test_on_a_view_no_other_attack_gets_through_either(attack: Attack, of_files: dict[str, list[str]]) -> None:
    if lacking := missing(attack.needs):
        pytest.skip(f"needs {lacking}")
    assert of_files[attack.name] == []
