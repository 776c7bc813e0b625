"""Attacks on a project through a copy-on-write view of it: it stays as it is, and what was written is told."""

from __future__ import annotations

import sys

import pytest
import trio

from tests.attacks.confine_harness import missing
from tests.attacks.overlay_attacks import ATTACKS
from tests.attacks.overlay_harness import Result, run_attacks
from vibe_workflows.sandbox.confine.layers import OVERLAY
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
