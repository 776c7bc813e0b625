"""Each attack of the corpus ends as its header says, and shows no sign of having got through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.attacks.harness import LIMITS, Attack, Bait, Report, bait, load, parse, run_all, run_without

ATTACKS = load("*.py")


@dataclass(frozen=True, slots=True)
class Corpus:
    trap: Bait
    reports: dict[str, Report]


@pytest.fixture(scope="module")
def corpus() -> Iterator[Corpus]:
    with bait() as trap:
        yield Corpus(trap, run_all(trap, ATTACKS))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_ends_as_its_header_says(attack: Attack, corpus: Corpus) -> None:
    report = corpus.reports[attack.name]
    assert report.signs == []
    assert attack.ends_as_expected(report.ended), report.ended


def test_nothing_outside_the_sandbox_was_touched(corpus: Corpus) -> None:
    assert corpus.trap.outside_signs() == []


def test_the_harness_sees_an_attack_that_gets_through() -> None:
    """With both walls off, what is left of the lock lets a signal, a folder and a boast through."""
    source = """\
# attack: boasts, makes a folder, signals
# expect: killed
# guard: seccomp, landlock, privileges, limit.fds
import os
log("PWNED " + open("CANARY_DIR/canary").read())
os.mkdir("CANARY_DIR/more")
os.kill(ENGINE_PID, 10)
"""
    attack = parse("native_all", source)
    report = run_without(attack.guards, [attack], LIMITS)["native_all"]
    assert len(report.signs) == 4, report
