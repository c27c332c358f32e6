"""Pin sets, whose contents are never removed: one folder per set, one empty file per content."""

import re
from collections import defaultdict
from pathlib import Path

from atlas.content.format.cid import parse_cid
from atlas.content.store import PINNED
from atlas.disk.files import sync
from atlas.errors import ContentError
from atlas.ids import Cid

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")


class PinSets:
    """The pins of one store, durable; contents may be in several sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, cid: Cid, into: str = PINNED) -> None:
        """Add a content to a set, which is created if missing; raises `ContentError` for an invalid name."""
        pins = self._folder / _checked(into)
        pins.mkdir(parents=True, exist_ok=True)
        (pins / parse_cid(cid)).touch()
        sync(pins)

    def discard(self, cid: Cid, out_of: str | None = None) -> None:
        """Remove a content from a set, or from all sets; no effect if it is in none."""
        parse_cid(cid)
        for name in self._names() if out_of is None else [_checked(out_of)]:
            (self._folder / name / cid).unlink(missing_ok=True)

    def of(self, cid: Cid) -> tuple[str, ...]:
        """The sets that a content is in."""
        return tuple(name for name in self._names() if (self._folder / name / cid).exists())

    def by_cid(self) -> dict[Cid, tuple[str, ...]]:
        """The sets of every pinned content, by CID."""
        found: dict[Cid, tuple[str, ...]] = defaultdict(tuple)
        for name in self._names():
            for pin in (self._folder / name).iterdir():
                found[Cid(pin.name)] += (name,)
        return found

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._folder.iterdir()) if self._folder.is_dir() else []


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ContentError(
            f"{name!r} is not a valid name of a pin set: expected lowercase letters, digits and hyphens."
        )
    return name
