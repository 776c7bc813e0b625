"""Holds what an MCP server sends to bounds, before the SDK sees it.

A server is somebody else's code. It may send without end, in lines without end, and ask for what nobody offers it.
"""

from __future__ import annotations

from typing import Final, assert_never

from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

#: One message, and all of them between two requests of ours.
MAX_MESSAGE_BYTES: Final = 4 << 20
MAX_BYTES: Final = 64 << 20
MAX_MESSAGES: Final = 10_000
#: Of these, what the server asks us (to all but a ping the answer is no), and lines that are no message.
MAX_REQUESTS: Final = 100
MAX_STRAY: Final = 100


class OutOfBounds(Exception):
    """The server sent more than any server needs to; the text ends a sentence that begins with its name."""


class Inbound:
    """Counts what came since our last request. `problem` says what is wrong with the connection, once that is known."""

    def __init__(self) -> None:
        self.problem = ""
        self.asked()

    def out_of_bounds(self, problem: str) -> OutOfBounds:
        """The error to raise for what the server did, told after its name."""
        self.problem = problem
        return OutOfBounds(problem)

    def asked(self) -> None:
        """We sent a request: the server may answer at length."""
        self._messages = self._bytes = self._requests = self._stray = 0

    def bytes(self, count: int) -> None:
        """Raises OutOfBounds."""
        self._bytes += count
        if self._bytes > MAX_BYTES:
            raise self.out_of_bounds(f"sent more than {MAX_BYTES >> 20} MB without an end")

    def stray(self) -> None:
        """What came is no message; some servers greet. Raises OutOfBounds."""
        self._stray += 1
        if self._stray > MAX_STRAY:
            raise self.out_of_bounds(f"sent more than {MAX_STRAY} lines that are no messages of the protocol")

    def admits(self, message: JSONRPCMessage) -> bool:
        """Whether the SDK is to see it. Raises OutOfBounds.

        No notification: nobody listens to progress, logs and news of lists, and each would cost a task.
        """
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise self.out_of_bounds(f"sent more than {MAX_MESSAGES:,} messages for one request")
        match message:
            case JSONRPCNotification():
                return False
            case JSONRPCRequest():
                self._requests += 1
                if self._requests > MAX_REQUESTS:
                    raise self.out_of_bounds(f"asked more than {MAX_REQUESTS} things during one request")
                return True
            case JSONRPCResponse() | JSONRPCError():
                return True
            case _ as unreachable:
                assert_never(unreachable)
