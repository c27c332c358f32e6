"""A store that keeps local copies of an upstream store's content."""

import logging
from pathlib import Path

from atlas.content.local.store import LocalStore
from atlas.content.store import PINNED, ContentStat, ContentStore, Replicas
from atlas.errors import ContentNotFound, CorruptContent
from atlas.ids import Cid

logger = logging.getLogger(__name__)


class CachedStore:
    """Reads come from `local`, or else from `upstream` with a verified copy into `local`; writes go to both."""

    def __init__(self, local: LocalStore, upstream: ContentStore) -> None:
        self.local = local
        self.upstream = upstream

    def put(self, source: Path | bytes) -> Cid:
        """Store the content in both stores; on return it is durable in both."""
        cid = self.local.put(source)
        return self.upstream.put(source if isinstance(source, bytes) else self.local.fetch(cid))

    def fetch(self, cid: Cid) -> Path:
        """The local copy, fetched or repaired from upstream if necessary; raises as `ContentStore.fetch` does."""
        try:
            return self.local.fetch(cid)
        except ContentNotFound:
            logger.debug("fetching %s from upstream", cid)
        except CorruptContent as error:
            logger.warning("%s A good copy is fetched from upstream.", error)
        found = self.local.put(self.upstream.fetch(cid))
        if found != cid:
            raise CorruptContent(f"Upstream returned other bytes for {cid}: expected {cid}, found {found}.")
        return self.local.fetch(cid)

    def read(self, cid: Cid) -> bytes:
        """The bytes, read through the local copy; raises as `fetch` does."""
        self.fetch(cid)
        return self.local.read(cid)

    def has(self, cid: Cid) -> bool:
        """Whether either store holds `cid`."""
        return self.local.has(cid) or self.upstream.has(cid)

    def stat(self, cid: Cid) -> ContentStat:
        """The size of `cid`, from a store that holds it; raises `ContentNotFound`."""
        return self.local.stat(cid) if self.local.has(cid) else self.upstream.stat(cid)

    def pin(self, cid: Cid, into: str = PINNED) -> None:
        """Keep a local copy of `cid`; the upstream store's pins do not change."""
        self.fetch(cid)
        self.local.pin(cid, into)

    def replicate(self, cid: Cid) -> Replicas:
        """Make the copies that the upstream store requires."""
        return self.upstream.replicate(cid)

    def unpin(self, cid: Cid, out_of: str | None = None) -> None:
        """Unpin the local copy of `cid`, so that `trim` may remove it."""
        self.local.unpin(cid, out_of)

    def trim(self, keep_bytes: int) -> int:
        """Remove local copies, as `LocalStore.trim` does; the upstream store is unchanged."""
        return self.local.trim(keep_bytes)
