"""Votes: what several answers to one question come to. A pure function, for workflow scripts and for anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, TypeVar

Vote = TypeVar("Vote")

#: "unverified" is no answer: too few voted, or as many for as against.
Verdict: TypeAlias = Literal["yes", "no", "unverified"]


def majority(
    votes: Iterable[Vote | Exception | None], test: Callable[[Vote], bool | None], quorum: int | None = None
) -> Verdict:
    """What most of those who voted say: "yes", "no", or "unverified" where that decides nothing.

    None (a branch that failed) and errors abstain; so does a vote for which `test` gives None. Fewer votes than
    `quorum`, by default more than half of all, or as many for as against, are "unverified": an outage is never a "no".
    Raises TypeError where `test` gives anything but True, False or None, and whatever `test` itself raises.
    """
    if hasattr(votes, "__await__"):
        raise TypeError("majority: these votes are not in yet; write majority(await parallel(...), ...)")
    needed = _checked(quorum)
    asked = yes = no = 0
    for vote in votes:
        asked += 1
        if vote is None or isinstance(vote, Exception):
            continue
        said = test(vote)
        if said is True:
            yes += 1
        elif said is False:
            no += 1
        elif said is not None:
            raise TypeError(
                f"majority: the test gives True, False, or None for a vote that abstains, not a value of type "
                f"{type(said).__name__}; compare, or use bool(...)"
            )
    if yes + no < (asked // 2 + 1 if needed is None else needed) or yes == no:
        return "unverified"
    return "yes" if yes > no else "no"


def _checked(quorum: int | None) -> int | None:
    if quorum is None:
        return None
    if type(quorum) is not int:
        raise TypeError(f"majority: the quorum is a whole number of votes, not a value of type {type(quorum).__name__}")
    if quorum < 1:
        raise ValueError(f"majority: the quorum is at least one vote, not {quorum}")
    return quorum
