"""typing: names for annotations, which are never evaluated, and for aliases, which may be."""

from __future__ import annotations

from typing import Any, Final

from .module import Facade, readable


class Hint:
    """Stands for a name of typing: takes parameters and makes unions, and means nothing."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __getitem__(self, parameters: object) -> Hint:
        return self

    def __or__(self, other: object) -> Hint:
        return self

    __ror__ = __or__

    # Else a loop over one would go through __getitem__, for ever.
    __iter__ = None


def _cast(typ: object, val: Any) -> Any:
    return val


def _type_variable(name: str, *constraints: object, bound: object = None) -> Hint:
    return Hint(name)


_NAMES: Final = (
    "Annotated Any AnyStr AsyncGenerator AsyncIterable AsyncIterator Awaitable Callable ClassVar Collection "
    "Concatenate Container Coroutine Counter DefaultDict Deque Dict Final FrozenSet Generator Hashable Iterable "
    "Iterator List Literal LiteralString Mapping Match MutableMapping MutableSequence MutableSet Never NoReturn "
    "NotRequired Optional OrderedDict ParamSpec Pattern Required Reversible Self Sequence Set Sized SupportsFloat "
    "SupportsIndex SupportsInt Text Tuple Type TypeAlias TypeGuard Union Unpack"
)

FACADE: Final = Facade(
    modules={
        "typing": {
            **{name: Hint(name) for name in _NAMES.split()},
            "TYPE_CHECKING": False,
            "TypeVar": _type_variable,
            "cast": _cast,
        }
    },
    types=(readable(Hint, "", is_value=False),),
)
