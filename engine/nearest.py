"""The known name that a person most likely meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name closest to `name`, or None where nothing is close."""
    from difflib import get_close_matches  # only on the way to an error message

    found = get_close_matches(name[:200], list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or all of them where none is near."""
    names = sorted(known)
    if found := nearest(name, names):
        return f"did you mean `{found}`?"
    return "known: " + ", ".join(names) if names else "none is known here"
