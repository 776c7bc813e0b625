"""Votes: what several answers to one question come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, TypeVar

from .checks import given, kind, listed, settled, whole

Vote = TypeVar("Vote")

#: "unverified" is no answer: too few voted, or as many for as against.
Verdict: TypeAlias = Literal["yes", "no", "unverified"]

#: "unverified": too few voted. It is never "refuted".
Standing: TypeAlias = Literal["confirmed", "refuted", "unverified"]


def majority(
    votes: Iterable[Vote | Exception | None], test: Callable[[Vote], bool | None], quorum: int | None = None
) -> Verdict:
    """What most of those who voted say: "yes", "no", or "unverified" where that decides nothing.

    None (a branch that failed) and errors abstain; so does a vote for which `test` gives None. Fewer votes than
    `quorum`, by default more than half of all, or as many for as against, are "unverified": an outage is never a "no".
    Raises TypeError where `test` gives anything but True, False or None, and whatever `test` itself raises.

    >>> majority(["yes", "no", "yes"], lambda vote: vote == "yes")
    'yes'
    >>> majority(["no", None, None], lambda vote: vote == "yes")
    'unverified'
    >>> majority(["no", None, None], lambda vote: vote == "yes", quorum=1)
    'no'
    """
    needed, yes, no = _counted("majority", votes, test, quorum)
    if yes + no < needed or yes == no:
        return "unverified"
    return "yes" if yes > no else "no"


def survives(
    votes: Iterable[Vote | Exception | None], holds: Callable[[Vote], bool | None], quorum: int | None = None
) -> Standing:
    """Whether a claim stands before those who tried to refute it: "confirmed", "refuted" or "unverified".

    Refuted unless more than half of those who voted say that it holds: a tie refutes. Fewer votes than `quorum`, by
    default more than half of all who were asked, are "unverified", whatever they say. Who abstains, and what is raised,
    is as for `majority`.

    >>> survives([{"holds": True}, {"holds": True}, {"holds": False}], lambda vote: vote["holds"])
    'confirmed'
    >>> survives([{"holds": True}, {"holds": False}, None], lambda vote: vote["holds"])
    'refuted'
    >>> survives([{"holds": False}, None, None], lambda vote: vote["holds"])
    'unverified'
    """
    needed, yes, no = _counted("survives", votes, holds, quorum)
    if yes + no < needed:
        return "unverified"
    return "confirmed" if yes > no else "refuted"


def _counted(
    who: str,
    votes: Iterable[Vote | Exception | None],
    test: Callable[[Vote], bool | None],
    quorum: int | None,
) -> tuple[int, int, int]:
    """How many must vote, and how many said yes and no."""
    if quorum is not None:
        whole(who, "the quorum is a number of votes", quorum, 1)
    asked = yes = no = 0
    for vote in listed(who, "votes", votes):
        asked += 1
        if vote is None or isinstance(vote, Exception):
            continue
        said = given(who, "the test", test(settled(who, "a vote", vote)))
        if said is True:
            yes += 1
        elif said is False:
            no += 1
        elif said is not None:
            raise TypeError(
                f"{who}: the test gives True, False, or None for a vote that abstains, not a value of type "
                f"{kind(said)}; compare, or use bool(...)"
            )
    return (asked // 2 + 1 if quorum is None else quorum), yes, no
