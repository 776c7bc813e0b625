"""Where tests keep the projects of thousands of runs: in memory, where the system has that.

The death of a process leaves what it has written to the kernel alone: memory does as well as a disk, and is faster.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def memory_folder() -> Iterator[Path]:
    within = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="vibe-test-", dir=within) as folder:
        yield Path(folder)
