"""Writing to a stream whose reader may leave: a closed pipe ends the output, and nothing else."""

from __future__ import annotations

import os
from typing import BinaryIO, TextIO


class Output:
    """A byte stream that goes silent once its reader is gone. Other errors of the stream are the caller's."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.closed = False

    @classmethod
    def of(cls, stream: TextIO) -> Output:
        return cls(stream.buffer)

    def write(self, text: str | bytes) -> None:
        """Written and flushed when it returns."""
        if self.closed:
            return
        data = text.encode("utf-8", "replace") if isinstance(text, str) else text
        try:
            self._stream.write(data)
            self._stream.flush()
        except BrokenPipeError:
            self._silence()
        except OSError:
            self._silence()  # what is still buffered cannot be written either
            raise

    def line(self, text: str) -> None:
        self.write(text + "\n")

    def _silence(self) -> None:
        """Point the descriptor at nothing, so that neither a later write nor the exit of Python trips over it."""
        self.closed = True
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, self._stream.fileno())
        finally:
            os.close(null)
