"""What a script holds instead of a module, and the parts of one that a facade file declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NoReturn


class Module:
    """The chosen members of a module under its name. Read-only; it holds no reference to the module itself.

    The real one never reaches a script: `json.codecs.open` reads files, `statistics.sys.modules` has everything.
    """

    __slots__ = ("_members", "_name")
    _members: Mapping[str, object]
    _name: str

    def __init__(self, name: str, members: Mapping[str, object]) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_members", MappingProxyType(dict(members)))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("modules are read-only")

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError("modules are read-only")

    def __repr__(self) -> str:
        return f"<module {self._name!r}>"


def module_name(module: Module) -> str:
    return module._name


def members(module: Module) -> Mapping[str, object]:
    return module._members


# Plain classes: a NamedTuple takes a cold start ten times as long to make.
class Readable:
    """What a script may read of the instances of one exact type, and of the type itself.

    `is_value`: may `type(x)` hand the type to a script? Only if calling it with anything is harmless.
    """

    __slots__ = ("attributes", "class_attributes", "cls", "is_value")

    def __init__(self, cls: type, attributes: str, class_attributes: str, *, is_value: bool) -> None:
        self.cls = cls
        self.attributes = frozenset(attributes.split())
        self.class_attributes = frozenset(class_attributes.split())
        self.is_value = is_value


def readable(cls: type, attributes: str, class_attributes: str = "", *, is_value: bool = True) -> Readable:
    return Readable(cls, attributes, class_attributes, is_value=is_value)


class Facade:
    """One file's share: members by module name, and the types that they give out."""

    __slots__ = ("modules", "types")

    def __init__(self, modules: Mapping[str, Mapping[str, object]], types: Iterable[Readable] = ()) -> None:
        self.modules = modules
        self.types = types


def pick(module: object, names: str) -> dict[str, object]:
    """The named members of a real module."""
    return {name: getattr(module, name) for name in names.split()}
