"""Named parts, each in a module of its own that is imported when the part is first asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar

Part = TypeVar("Part")


class Registry(Mapping[str, Part]):
    """Parts by name. The names alone cost no import, so settings can be checked without what the parts import."""

    def __init__(self, where: Mapping[str, str]) -> None:
        """`where`: each part's `module:attribute`, by the part's name."""
        self._where = dict(where)

    def __getitem__(self, name: str) -> Part:
        module, _, attribute = self._where[name].partition(":")
        part: Part = getattr(import_module(module), attribute)
        return part

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)
