"""datetime, without a clock: a rerun must see the same values."""

from __future__ import annotations

# strptime imports _strptime at its first call, and the child cannot read files.
import _strptime  # type: ignore[import-not-found]  # noqa: F401
import datetime  # noqa: ICN001 - the facade has its name
from typing import Final

from .module import Facade, pick, readable

_DATE: Final = "ctime day isocalendar isoformat isoweekday month replace strftime toordinal weekday year"
_TIME: Final = "fold hour microsecond minute second tzinfo utcoffset dst tzname"

FACADE: Final = Facade(
    modules={"datetime": pick(datetime, "MAXYEAR MINYEAR UTC date datetime time timedelta timezone")},
    types=(
        # Not now, today, utcnow: they are the clock.
        readable(
            datetime.datetime,
            f"{_DATE} {_TIME} astimezone date time timestamp timetz",
            "combine fromisocalendar fromisoformat fromordinal fromtimestamp max min strptime",
        ),
        readable(datetime.date, _DATE, "fromisocalendar fromisoformat fromordinal fromtimestamp max min"),
        readable(datetime.time, f"{_TIME} isoformat replace strftime", "fromisoformat max min"),
        readable(datetime.timedelta, "days microseconds seconds total_seconds", "max min resolution"),
        readable(datetime.timezone, "dst tzname utcoffset", "utc"),
        readable(type(datetime.date.min.isocalendar()), "count index week weekday year", is_value=False),
    ),
)
