"""Each attack of the corpus ends as its header says, and shows no sign of having got through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trio

from tests.attacks.harness import Attack, Bait, Report, bait, load, run_all, run_attack
from vibe_workflows.sandbox.forker import open_forker
from vibe_workflows.sandbox.launcher import start_zygote
from vibe_workflows.sandbox.limits import PIDFD

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
    assert report.ended.outcome in attack.ends, report.ended


def test_nothing_outside_the_sandbox_was_touched(corpus: Corpus) -> None:
    assert corpus.trap.outside_signs() == []


def test_the_harness_sees_an_attack_that_gets_through() -> None:
    """With both walls off, what is left of the lock lets a signal, a folder and a boast through."""
    source = """
import os
log("PWNED " + SECRET)
os.mkdir("CANARY_DIR/more")
os.kill(ENGINE_PID, 10)
"""

    async def main() -> None:
        zygote = start_zygote()
        try:
            async with open_forker(zygote) as forker:
                source_with_secret = source.replace("SECRET", repr(trap.secret))
                attack = Attack(name="native_all", title="", expected="killed", source=source_with_secret)
                report = await run_attack(forker, trap, attack, layers=frozenset({PIDFD}))
                assert len(report.signs) == 2
        finally:
            zygote.close()

    with bait() as trap:
        trio.run(main)
        assert len(trap.outside_signs()) == 2
