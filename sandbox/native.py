"""Runs Python with all builtins in a locked child, as if wall 1 had fallen: the doctor's probes and the attack tests.

No script ever gets here: the role is part of the fork request, which only the doctor and the tests send.
"""

from __future__ import annotations

from .channel import Channel


def serve(fd: int) -> None:
    channel = Channel(fd)
    source = channel.receive()["source"]

    def log(message: object) -> None:
        channel.send({"t": "log", "scope": 0, "line": 0, "message": str(message)})
        channel.flush()

    channel.send({"t": "started"})
    channel.flush()
    try:
        exec(compile(source, "native.py", "exec"), {"__name__": "attack", "log": log})  # noqa: S102 - its one purpose
    except BaseException as error:  # noqa: BLE001 - how the attack ended is what is asked
        channel.send({"t": "error", "type": type(error).__name__, "message": str(error)})
    else:
        channel.send({"t": "done", "value": None})
    channel.flush()
