"""What is said of a command that has ended: to a model, to a script, and in the trace."""

from __future__ import annotations

from collections.abc import Sequence

from ...model import JSON
from ...ports import CommandEnd, Job
from .descent import visible
from .render import MAX_TEXT_BYTES

MAX_DATA_BYTES = 1024 * 1024  # of each stream, for scripts
MAX_NAMES = 20
_NAME_CHARS = 200
_ROOM = MAX_TEXT_BYTES - 1_024  # for what stands between the streams and the notes in them


def text_of(job: Job, end: CommandEnd, changed: Sequence[str], refused: Sequence[str]) -> tuple[str, str]:
    """What a model reads, and all that there is where that is more; else empty."""
    head = [_ending(job, end), *_named("changed", changed), *not_kept(refused)]
    streams = [("stdout", _lossy(end.stdout), end.stdout_dropped), ("stderr", _lossy(end.stderr), end.stderr_dropped)]
    said = [stream for stream in streams if stream[1].strip() or stream[2]]
    if not said:
        head.append("no output")
    whole = "\n".join([*head, *(_titled(name, text, dropped) for name, text, dropped in said)])
    rooms = _rooms([len(text.encode()) for _, text, _ in said], _ROOM - len("\n".join(head).encode()))
    cut = [(name, middle_cut(text, room), dropped) for (name, text, dropped), room in zip(said, rooms, strict=True)]
    text = "\n".join([*head, *(_titled(name, text, dropped) for name, text, dropped in cut)])
    return text, "" if text == whole else whole


def data_of(job: Job, end: CommandEnd) -> JSON:
    data: dict[str, JSON] = {
        "exit_code": end.exit_code,
        "stdout": middle_cut(_lossy(end.stdout), MAX_DATA_BYTES),
        "stderr": middle_cut(_lossy(end.stderr), MAX_DATA_BYTES),
    }
    if end.exit_code is None:
        data["killed"] = _killed(job, end)
    return data


def middle_cut(text: str, most: int) -> str:
    """At most `most` bytes of UTF-8: the beginning and the end, with a note of how much is left out between them."""
    data = text.encode()
    if len(data) <= most:
        return text
    note = "\n[... {:,} bytes left out ...]\n"
    room = max(0, most - len(note.format(len(data))))
    head = data[: room // 2].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room // 2) :].decode("utf-8", "ignore") if room else ""
    return head + note.format(len(data) - len(head.encode()) - len(tail.encode())) + tail


def not_kept(refused: Sequence[str]) -> list[str]:
    """A line for the changes of a command that nobody makes, where there are any."""
    return _named("not kept, since no tool changes it", refused)


def _rooms(sizes: Sequence[int], room: int) -> list[int]:
    """How many bytes each stream gets: what one does not need, the other has."""
    fair = room // max(len(sizes), 1)
    spare = sum(max(0, fair - size) for size in sizes)
    return [min(size, fair + spare) if size > fair else size for size in sizes]


def _ending(job: Job, end: CommandEnd) -> str:
    return f"exit code {end.exit_code}" if end.exit_code is not None else f"killed: {_killed(job, end)}"


def _killed(job: Job, end: CommandEnd) -> str:
    if end.timed_out:
        return f"it ran for longer than {job.timeout_s:g} s"
    return end.over_limit or "by a signal"


def _named(what: str, paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    names = ", ".join(visible(path)[:_NAME_CHARS] for path in paths[:MAX_NAMES])
    more = f" and {len(paths) - MAX_NAMES:,} more" if len(paths) > MAX_NAMES else ""
    return [f"{what}: {names}{more}"]


def _titled(name: str, text: str, dropped: int) -> str:
    lost = f"\n[{dropped:,} more bytes were not kept]" if dropped else ""
    return f"{name}:\n{text.removesuffix(chr(10))}{lost}"


def _lossy(data: bytes) -> str:
    return data.decode("utf-8", "replace")
