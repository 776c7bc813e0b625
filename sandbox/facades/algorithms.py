"""heapq and bisect."""

from __future__ import annotations

import bisect
import heapq
from typing import Final

from .module import Facade, pick

FACADE: Final = Facade(
    modules={
        "heapq": pick(heapq, "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest"),
        "bisect": pick(bisect, "bisect bisect_left bisect_right insort insort_left insort_right"),
    }
)
