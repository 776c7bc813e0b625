from __future__ import annotations

from tests.support.leaks import nothing_is_left, tasks_are_cut_off

__all__ = ["nothing_is_left", "tasks_are_cut_off"]
