"""Messages from a program come as whole lines, however its output is cut into pieces."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest

from vibe_workflows.engine.mcp.inbound import Inbound
from vibe_workflows.engine.mcp.stdio import LineReader, LineWriter


class Pieces(trio.abc.ReceiveStream):
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = list(pieces)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def line(number: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": {"said": "é" * number}}).encode() + b"\n"


@given(st.lists(st.sampled_from(["message", "empty", "stray"]), max_size=8), st.lists(st.integers(1, 300), max_size=30))
def test_lines_are_put_together_again(kinds: list[str], cuts: list[int]) -> None:
    whole = b"".join({"message": line(n), "empty": b"\r\n", "stray": b"hello\n"}[kind] for n, kind in enumerate(kinds))
    pieces = []
    for cut in cuts:
        pieces.append(whole[:cut])
        whole = whole[cut:]
    pieces.append(whole)

    async def main() -> list[object]:
        ended = trio.Event()
        reader = LineReader(Pieces([piece for piece in pieces if piece]), Inbound(), ended)
        found = [item async for item in reader]
        assert ended.is_set()
        return [item.message.id for item in found if isinstance(item, SessionMessage) and hasattr(item.message, "id")]

    assert trio.run(main) == [number for number, kind in enumerate(kinds) if kind == "message"]


def test_after_a_message_that_was_cut_off_nothing_more_is_sent() -> None:
    class Stuck(trio.abc.SendStream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            await trio.sleep_forever()

        async def wait_send_all_might_not_block(self) -> None: ...

        async def aclose(self) -> None: ...

    async def main() -> None:
        writer = LineWriter(Stuck())
        message = SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method="ping"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.send, message)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with pytest.raises(anyio.BrokenResourceError):
            await writer.send(message)

    trio.run(main)
