"""What a person asked to run again with `--refresh`, and which of it a run came by.

A word names steps by their label or phase, or is one step of an earlier run and stands for its spec. Stored answers of
these steps do not count, unless they are of this lineage: a run that goes on does not run again what ran already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .events import StepStarted
from .model import RefreshWord, Run, RunId, StepId, StepKey
from .nearest import nearest
from .ports import StoreReader
from .routing import star_match

_NUMBER = re.compile(r"#([0-9]{1,9})")
#: The beginning of a run's id is told from a label (`fix:3`) by its length.
_RUN_AND_NUMBER = re.compile(r"([0-9a-f]{4,}):([0-9]{1,9})")
_STEP_ID = re.compile(r"[0-9a-f]+-[0-9]{1,9}")

#: Labels and phases that a misspelt word is compared with.
_COMPARED = 2_000
_LONGEST_NAME = 80


def named_steps(words: Iterable[str], reader: StoreReader, latest: Run | None) -> tuple[RefreshWord, ...]:
    """The words, each with the spec of the step that it names: a step id, `RUN:N`, or `#N` of `latest`.

    `latest` is the newest run of the same file and arguments. A word that names no step may still match labels.
    """
    return tuple(RefreshWord(word=word, key=_key(word, reader, latest)) for word in dict.fromkeys(words))


def _key(word: str, reader: StoreReader, latest: Run | None) -> StepKey | None:
    if _STEP_ID.fullmatch(word):
        step = reader.step(StepId(word))
        return None if step is None else step.key
    if found := _NUMBER.fullmatch(word):
        return None if latest is None else _key_of(reader, latest.id, int(found[1]))
    if found := _RUN_AND_NUMBER.fullmatch(word):
        runs = reader.find_runs(found[1])
        return _key_of(reader, runs[0].id, int(found[2])) if len(runs) == 1 else None
    return None


def _key_of(reader: StoreReader, run: RunId, number: int) -> StepKey | None:
    for each in reader.deliveries(run):
        if each.delivery.number == number:
            return each.step.key
    begun = (event for _, event in reader.events(run) if isinstance(event, StepStarted) and event.number == number)
    step = next((reader.step(StepId(event.step)) for event in begun), None)  # it was cut off by the run's death
    return None if step is None else step.key


class Refresh:
    """The words of one run. `since` is the horizon of the steps that they cover: the start of the lineage."""

    def __init__(self, words: Sequence[RefreshWord], since: float) -> None:
        self.since = since
        self._words = words
        self._met: set[str] = set()
        self._names: dict[str, None] = {}  # labels and phases that came by

    def covers(self, key: StepKey, label: str, phase: str) -> bool:
        if not self._words:
            return False
        if len(self._names) < _COMPARED:
            self._names.update(((label, None), (phase, None)))
        met = [
            each.word
            for each in self._words
            if each.key == key or star_match(each.word, label) or star_match(each.word, phase)
        ]
        self._met.update(met)
        return bool(met)

    def unmatched(self, *, so_far: bool = False) -> list[str]:
        """A sentence for each word that no step of the run matched. `so_far`: more of its steps may be to come."""
        return [self._sentence(each, so_far=so_far) for each in self._words if each.word not in self._met]

    def _sentence(self, refresh: RefreshWord, *, so_far: bool) -> str:
        word, steps = refresh.word, "no step so far" if so_far else "no step of this run"
        if refresh.key is not None:
            return f"--refresh {word}: {steps} has the input of that step, so nothing is refreshed for it"
        if _NUMBER.fullmatch(word) or _RUN_AND_NUMBER.fullmatch(word) or _STEP_ID.fullmatch(word):
            advice = "`vibe trace` shows the numbers of a run's steps"
        elif meant := nearest(word, filter(None, self._names)):
            advice = f"did you mean `{meant[:_LONGEST_NAME]}`?"
        else:
            advice = "`vibe trace` shows the labels and phases of a run"
        return f"--refresh {word}: {steps} has that label or phase; {advice}"
