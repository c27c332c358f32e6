"""Verified blocks from several places, each of which may fail, lack a block or return wrong bytes."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from atlas import activity
from atlas.content.format.cid import cid_of_bytes
from atlas.content.format.dag import check_block
from atlas.content.places.health import Health
from atlas.errors import ContentError, ContentNotFound, ContentUnreachable, CorruptContent
from atlas.ids import Cid


class Source(Protocol):
    """A place that returns unverified blocks."""

    @property
    def name(self) -> str:
        """Its address."""

    def block(self, cid: Cid, timeout_seconds: float | None = None) -> bytes:
        """The unverified bytes of one block; raises `ContentNotFound` when the place lacks it, else `ContentError`."""


@dataclass(frozen=True)
class FetchLimits:
    """Limits for one content, because its CID may come from an untrusted party."""

    most_bytes: int = 1 << 40
    most_entries: int = 100_000
    """Files and folders in a folder."""
    first_patience_seconds: float = 8.0
    """Timeout for the root block, which the place may lack."""
    patience_seconds: float = 60.0
    """Timeout for each further block from a place that has the root: 1 MiB at 17 KiB/s."""


LIMITS = FetchLimits()
_EMPTY = cid_of_bytes(b"")


class Blocks:
    """Blocks of one content, from the healthiest place first; thread-safe.

    A place that fails or returns wrong bytes is not asked again; this is recorded once in `health`.
    """

    def __init__(self, sources: Sequence[Source], health: Health, limits: FetchLimits = LIMITS) -> None:
        self._sources = health.order(sources)
        self._excluded = sorted({source.name for source in sources} - {source.name for source in self._sources})
        self._health = health
        self._limits = limits
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._failed: dict[str, ContentError] = {}

    def get(self, cid: Cid) -> bytes:
        """The bytes of one block, checked.

        Raises `ContentNotFound` when every place lacks the block, `CorruptContent` when some places returned wrong
        bytes and none the right ones, `ContentUnreachable` when a place that may have it failed.
        """
        if cid == _EMPTY:
            return b""  # the empty block needs no request, and Kubo does not exchange it
        lacking = []
        with self._lock:
            sources = list(self._sources)
        for source in sources:
            if source.name in self._failed:
                continue
            trusted = source.name in self._answered
            patience = self._limits.patience_seconds if trusted else self._limits.first_patience_seconds
            try:
                data = source.block(cid, patience)
                check_block(cid, data)
            except ContentNotFound:
                lacking.append(source.name)
                self._ask_last(source)
            except ContentError as error:
                self._give_up(source, error)
            else:
                self._trust(source)
                activity.advance(len(data))
                return data
        raise self._missing(cid, lacking)

    def _ask_last(self, source: Source) -> None:
        with self._lock:
            self._sources.remove(source)
            self._sources.append(source)

    def _give_up(self, source: Source, error: ContentError) -> None:
        with self._lock:
            if source.name in self._failed:
                return
            self._failed[source.name] = error
        if isinstance(error, CorruptContent):
            self._health.returned_wrong_bytes(source.name, error)
        else:
            self._health.failed(source.name, error)

    def _trust(self, source: Source) -> None:
        with self._lock:
            if source.name in self._answered:
                return
            self._answered.add(source.name)
        self._health.answered(source.name)

    def _missing(self, cid: Cid, lacking: list[str]) -> ContentError:
        said = [f"{name} does not have it" for name in sorted(lacking)]
        said += [f"{name} failed: {error}" for name, error in sorted(self._failed.items())]
        said += [f"{name} is excluded, because it sent wrong bytes" for name in self._excluded]
        message = f"{cid} cannot be fetched from any place: {'; '.join(said) or 'none is configured'}."
        if not all(isinstance(error, CorruptContent) for error in self._failed.values()):
            return ContentUnreachable(f"{message} Try again later, or add a place that holds it.")
        if self._failed:
            return CorruptContent(f"{message} Add a place that holds it.")
        return ContentNotFound(f"{message} Start a node that holds it, or put it again.")
