"""Steps of a store as a file that another store can import. Only what has an answer travels.

A step that edited files is left out: its answer stands for what it made of them, and contents of files do not travel.
So is a step where its input or its answer holds a secret of this machine's environment: masked, it would be
another step. In its turns and tool calls, which only tell what happened, secrets are masked.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import ConfigError, StoreError
from ..masking import as_written_in_json, masked, secret_values
from ..model import IMPORT_PREFIX, JSON, RunId, Step, StepId, StepStatus, ToolCall, Turn
from .portable import MAX_FILE_BYTES, PORTABLE_GRANTS, header_line, read_line, spec_grants, step_line
from .reader import SqliteReader, open_reader
from .upkeep import open_for_looking


class Exported(Struct, kw_only=True):
    """What went into the file, and how many steps did not."""

    steps: int = 0
    bytes: int = 0  # of the file
    secret: int = 0  # left out: their input or answer holds a secret
    edited: int = 0  # left out: they edited files, and contents of files do not travel
    granted: int = 0  # left out: they could do more than read
    unreadable: int = 0  # left out: the store cannot tell all of them, or no import would take them
    masked: int = 0  # steps in whose turns secrets were masked
    warning: str = ""  # of a store that this user has not made


def export(path: Path, runs: Sequence[RunId], target: Path, environ: Mapping[str, str]) -> Exported:
    """Write the answered steps that `runs` delivered, or all, to `target`: whole, or not at all.

    Raises StoreError for the store, ConfigError for the target.
    """
    done = Exported()
    secrets = as_written_in_json(secret_values(environ))
    answered = _answered(path, runs)
    with closing(open_reader(path)) as reader, _new_file(target) as file, gzip.GzipFile("", "wb", 6, file, 0) as out:
        size = out.write(header_line())
        for id_, place in answered:
            line = _line_of(reader, id_, place, secrets, done)
            if line is None:
                continue
            size += out.write(line)
            if size > MAX_FILE_BYTES:
                raise ConfigError(
                    f"{target}: the steps take more than {MAX_FILE_BYTES >> 30} GB; name the runs to export"
                )
            done.steps += 1
    done.bytes = target.stat().st_size
    return done


def _answered(path: Path, runs: Sequence[RunId]) -> list[tuple[StepId, str]]:
    with open_for_looking(path) as connection:
        answered = connection.execute(
            "SELECT id, place FROM steps WHERE status = 'completed' AND result IS NOT NULL ORDER BY finished_seq"
        ).fetchall()
        if not runs:
            return answered
        sql = "SELECT step_id FROM deliveries WHERE run_id = ?"
        delivered = {step for run in runs for (step,) in connection.execute(sql, (run,)).fetchall()}
        return [(step, place) for step, place in answered if step in delivered]


def _line_of(reader: SqliteReader, id_: StepId, place: str, secrets: Sequence[str], done: Exported) -> bytes | None:
    """The step's line; None, counted in `done`, where it does not travel."""
    try:
        step = reader.step(id_)
        if step is None or step.result is None or step.status is not StepStatus.COMPLETED:
            return None  # taken by `vibe cache gc` meanwhile
        turns, calls = reader.turns(id_), reader.tool_calls(id_)
        if _edited(step, calls):
            done.edited += 1
            return None
        if not PORTABLE_GRANTS.issuperset(spec_grants(step.spec)):
            done.granted += 1
            return None
        if _holds_secret(step, place, secrets):
            done.secret += 1
            return None
        shown = ([_masked_turn(turn, secrets) for turn in turns], [_masked_call(call, secrets) for call in calls])
        line = step_line(step, *shown, place)
        read_line(line, RunId(IMPORT_PREFIX), step.finished_at)  # one line that no import takes would spoil the file
    except (StoreError, ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        done.unreadable += 1
        return None
    done.masked += shown != (turns, calls)
    return line


def _edited(step: Step, calls: Sequence[ToolCall]) -> bool:
    """Whether it changed a file, also in a worktree, or stands after an attempt, which did.

    What was seen in a worktree says nothing without what was changed there before.
    """
    seen = (*step.observations, *(each for call in calls for each in call.observations))
    return step.attempt_after is not None or any(each.change is not None or each.aside for each in seen)


# ---------------------------------------------------------------- secrets


def _holds_secret(step: Step, place: str, secrets: Sequence[str]) -> bool:
    looks = [text for seen in step.observations for text in (seen.tool, seen.arguments)]
    texts = (step.id, step.spec, step.result or "", step.model, place, *looks)
    return any(masked(text, secrets) != text for text in texts)


def _masked_turn(turn: Turn, secrets: Sequence[str]) -> Turn:
    return replace(
        turn,
        model=masked(turn.model, secrets),
        input=_masked_json(turn.input, secrets),
        output=_masked_json(turn.output, secrets),
        error=masked(turn.error, secrets),
        shortened=tuple(replace(each, text=masked(each.text, secrets)) for each in turn.shortened),
    )


def _masked_call(call: ToolCall, secrets: Sequence[str]) -> ToolCall:
    seen = tuple(each for each in call.observations if masked(each.arguments, secrets) == each.arguments)
    return replace(
        call,
        call_id=masked(call.call_id, secrets),
        name=masked(call.name, secrets),
        arguments=masked(call.arguments, secrets),
        output=masked(call.output, secrets),
        observations=seen,
    )


def _masked_json(text: str, secrets: Sequence[str]) -> str:
    """Its strings are masked, and it stays JSON."""
    if masked(text, secrets) == text:
        return text
    return msgspec.json.encode(_masked_value(msgspec.json.decode(text), secrets)).decode()


def _masked_value(value: JSON, secrets: Sequence[str]) -> JSON:
    if isinstance(value, str):
        return masked(value, secrets)
    if isinstance(value, list):
        return [_masked_value(each, secrets) for each in value]
    if isinstance(value, dict):
        return {name: _masked_value(each, secrets) for name, each in value.items()}
    return value


# ---------------------------------------------------------------- the file


@contextmanager
def _new_file(target: Path) -> Iterator[Any]:
    """A file that takes the place of `target` when the block has ended well; for its owner alone."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}; name another file with -o") from error
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}; name another file with -o") from error
    finally:
        new.unlink(missing_ok=True)
