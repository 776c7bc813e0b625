"""What each guard is for: without the guards that its header names, an attack gets through.

An attack that needs no guard to fail would prove nothing.
"""

from __future__ import annotations

import functools
import os

import pytest

from tests.attacks.guards import GUARDS
from tests.attacks.harness import Attack, Report, load, run_without


def _by_guards(attack: Attack) -> tuple[str, ...]:
    return attack.guards


ATTACKS = sorted((attack for attack in load("*.py") if attack.guards), key=_by_guards)


@functools.cache
def _reports(guards: tuple[str, ...]) -> dict[str, Report]:
    """One zygote for all attacks that the same guards stop."""
    return run_without(guards, [attack for attack in ATTACKS if attack.guards == guards])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_gets_through_without_its_guards(attack: Attack) -> None:
    if attack.needs == "root" and os.geteuid() != 0:
        pytest.skip("an ordinary user has nothing to gain by it")
    report = _reports(attack.guards)[attack.name]
    assert attack.gets_through(report), report
    if attack.without_guards:
        assert not attack.ends_as_expected(report.ended), "it ends as it does with its guards"


def test_every_guard_is_needed_by_an_attack() -> None:
    needed = {guard for attack in ATTACKS for guard in attack.guards}
    assert sorted(GUARDS.keys() - needed) == []


@pytest.mark.parametrize(
    "attack", [attack for attack in load("*.py") if not attack.guards], ids=lambda attack: attack.name
)
def test_an_attack_without_a_guard_says_why_it_needs_none(attack: Attack) -> None:
    assert attack.why or attack.role == "native"
