"""math and statistics."""

from __future__ import annotations

import math
import statistics
import sys
from typing import Final

from .module import Facade, pick, readable

if sys.version_info >= (3, 12):
    import _pylong  # noqa: F401 - divisions of huge integers import it, and the child cannot read files

FACADE: Final = Facade(
    modules={
        # All C functions of numbers, and constants.
        "math": {name: value for name, value in vars(math).items() if not name.startswith("_")},
        # No NormalDist, whose class methods make instances of anything that inherits from it.
        "statistics": pick(
            statistics,
            "StatisticsError correlation covariance fmean geometric_mean harmonic_mean linear_regression mean median "
            "median_grouped median_high median_low mode multimode pstdev pvariance quantiles stdev variance",
        ),
    },
    types=(
        readable(statistics.StatisticsError, "args"),
        readable(statistics.LinearRegression, "slope intercept count index", is_value=False),
    ),
)
