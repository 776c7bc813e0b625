"""The pause of the tripwire: nothing of a script runs in it, and it ends when the sandbox has looked."""

from __future__ import annotations

import gc

import pytest

from vibe_workflows.sandbox.tripwire import Tripwire


@pytest.fixture
def tripwire() -> Tripwire:
    tripwire = Tripwire(lambda event: None)
    tripwire.armed = True
    return tripwire


def is_off(tripwire: Tripwire) -> bool:
    """Whether an event that is denied passes. Asked of the hook itself: an installed one could not be removed."""
    try:
        tripwire._hook("open", ())
    except RuntimeError:
        return False
    return True


def test_a_pause_within_a_pause_ends_with_the_outer_one(tripwire: Tripwire) -> None:
    with tripwire.paused:
        with tripwire.paused:
            assert is_off(tripwire)
        assert is_off(tripwire)
    assert not is_off(tripwire)


def test_an_error_within_a_pause_ends_it(tripwire: Tripwire) -> None:
    with pytest.raises(KeyError), tripwire.paused:
        raise KeyError
    assert not is_off(tripwire)
    assert gc.isenabled()


def test_no_garbage_is_collected_in_a_pause(tripwire: Tripwire) -> None:
    with tripwire.paused:
        with tripwire.paused:
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
