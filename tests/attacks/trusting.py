"""Parts of a host that trusts its child: what stands in for a guard of the wire that is switched off."""

from __future__ import annotations

from types import UnionType
from typing import Any, get_args

import msgspec

from vibe_workflows.sandbox.frames import ChildFrame, IdleFrame
from vibe_workflows.sandbox.inbound import Inbound

_KINDS: dict[object, Any] = {kind.__struct_config__.tag: kind for kind in get_args(ChildFrame)}
assert isinstance(ChildFrame, UnionType)


def decode_anything(body: bytes) -> Any:
    """A frame with whatever its fields hold; what cannot be one is passed over."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return IdleFrame()
    if not isinstance(fields, dict) or not isinstance(fields.get("t"), str) or fields["t"] not in _KINDS:
        return IdleFrame()
    kind = _KINDS[fields["t"]]
    required = kind.__struct_fields__[: len(kind.__struct_fields__) - len(kind.__struct_defaults__)]
    names = [name for name in kind.__struct_fields__ if name in required or name in fields]
    return kind(**{name: _fitted(kind.__annotations__[name], fields.get(name)) for name in names})


def _fitted(wanted: str, value: Any) -> Any:
    """Anything, in a shape that the code behind it does not trip over."""
    match wanted:
        case "int":
            return int(value or 0)
        case "str":
            return str(value)
        case "msgspec.Raw":
            return msgspec.Raw(msgspec.json.encode(value))
        case _:
            return value


class Everything:
    """Holds whatever is asked for."""

    def __contains__(self, _: object) -> bool:
        return True


class Newsworthy:
    """A counter of news for which everything is news."""

    def __init__(self) -> None:
        self._count = 0

    def __get__(self, _: Inbound, __: type) -> int:
        self._count += 1
        return self._count

    def __set__(self, _: Inbound, __: int) -> None: ...


class TrustingScopes:
    """Scopes that are all open, whoever names them."""

    open_bytes = 0

    def __init__(self, **_: int) -> None:
        self.open_calls = 0

    def issued(self, scope: int) -> bool:
        return True

    def open(self, scope: int, parent: int, branches: int) -> None: ...

    def close(self, scope: int) -> None: ...

    def begin(self, call: int, scope: int, size: int) -> None: ...

    def end(self, call: int) -> bool:
        return True

    def cancel(self, call: int) -> bool:
        return True
