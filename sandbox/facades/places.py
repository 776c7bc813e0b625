"""pathlib (names of paths only) and urllib.parse."""

from __future__ import annotations

import pathlib
import unicodedata  # noqa: F401 - urllib.parse and "\\N{...}" import it at their first use
import urllib.parse
from typing import Final

from .module import Facade, pick, readable

_TUPLE: Final = "count index"
_LOCATION: Final = "fragment geturl hostname netloc password path port query scheme username"

FACADE: Final = Facade(
    modules={
        # A pure path knows names. Path, and `parser` of a pure path, reach the disk.
        "pathlib": pick(pathlib, "PurePosixPath"),
        "urllib.parse": pick(
            urllib.parse,
            "parse_qs parse_qsl quote quote_plus unquote unquote_plus urldefrag urlencode urljoin urlparse urlsplit "
            "urlunparse urlunsplit",
        ),
    },
    types=(
        readable(
            pathlib.PurePosixPath,
            "anchor as_posix is_absolute is_relative_to joinpath match name parent parents parts relative_to root "
            "stem suffix suffixes with_name with_stem with_suffix",
        ),
        readable(urllib.parse.ParseResult, f"{_TUPLE} {_LOCATION} params", is_value=False),
        readable(urllib.parse.SplitResult, f"{_TUPLE} {_LOCATION}", is_value=False),
        readable(urllib.parse.DefragResult, f"{_TUPLE} fragment geturl url", is_value=False),
    ),
)
