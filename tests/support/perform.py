"""Behaviours of the loopback server, done to a connection in the format of its request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import assert_never

from tests.support.behaviours import Answer, Behaviour, Drop, Fail, Hang, Raw, StreamError
from tests.support.http_connection import Connection
from tests.support.neutral import Body, WireFormat


async def perform(connection: Connection, form: WireFormat, body: Body, behaviour: Behaviour) -> bool:
    """Answer a request; whether the connection lives on."""
    match behaviour:
        case Answer():
            await _send_answer(connection, form, body, behaviour)
        case Fail(status=status, message=message):
            error = form.error_body(status, message, behaviour.type, behaviour.code)
            await connection.send_json(status, error, behaviour.headers)
        case Raw():
            await connection.send_body(behaviour.status, behaviour.body.encode(), behaviour.content_type)
        case StreamError(message=message):
            await _send_part(connection, form.beginning(body, behaviour.text, 4))
            await connection.send_chunk(form.error_event(message, behaviour.type, behaviour.code))
            await connection.end_stream()
        case Hang():
            if behaviour.text or behaviour.events:
                begun = form.beginning(body, behaviour.text, behaviour.piece)
                await _send_part(connection, [*begun, behaviour.events.encode()])
            await asyncio.Event().wait()
        case Drop():
            if behaviour.text:
                await _send_part(connection, form.beginning(body, behaviour.text, 4))
            if behaviour.reset:
                connection.abort()
            return False
        case _:
            assert_never(behaviour)
    return True


async def _send_answer(connection: Connection, form: WireFormat, body: Body, answer: Answer) -> None:
    if not body.get("stream"):
        await connection.send_json(200, form.whole(body, answer))
        return
    await connection.start_stream()
    events = form.events(body, answer)
    for event in events[:-1]:
        await connection.send_chunk(event)
    await connection.end_stream(events[-1])


async def _send_part(connection: Connection, events: Sequence[bytes]) -> None:
    await connection.start_stream()
    for event in events:
        if event:
            await connection.send_chunk(event)
