"""Named parts, whose modules are imported on first access."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar

Part = TypeVar("Part")


class Registry(Mapping[str, Part]):
    """Parts by name. Names need no import, so settings can be validated without importing the parts."""

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
