"""What the SDK reads of a server, as far as its bounds admit it, whatever the transport."""

from __future__ import annotations

from typing import Self

import anyio
import trio
from mcp.shared.message import SessionMessage

from .inbound import Inbound, OutOfBounds


class AdmittedMessages:
    """Ends, and sets `ended`, where the transport ends, and where the server leaves its bounds."""

    def __init__(self, inbound: Inbound, ended: trio.Event) -> None:
        self._inbound = inbound
        self._ended = ended

    async def _next(self) -> SessionMessage | None:
        """What came next; None: nothing that the SDK is to see. Raises StopAsyncIteration and OutOfBounds."""
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            while True:
                if (message := await self._next()) is not None:
                    return message
        except OutOfBounds as error:
            self._ended.set()
            raise StopAsyncIteration from error
        except StopAsyncIteration:
            self._ended.set()
            raise

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await self.__anext__()
        except StopAsyncIteration as error:
            raise anyio.EndOfStream from error
