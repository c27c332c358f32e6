"""Content over several IPFS nodes and gateways, with copies in a local folder."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from atlas.content.format.cid import parse_cid
from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.blocks import Blocks, FetchLimits
from atlas.content.places.fetching import content_bytes, fetch
from atlas.content.places.gateway import Gateway
from atlas.content.places.health import Copies, Health, Place
from atlas.content.places.uploading import Uploads
from atlas.content.store import PINNED, ContentStat, HeldContent, Replicas
from atlas.errors import ContentError, ContentNotFound, CorruptContent
from atlas.ids import Cid

log = logging.getLogger(__name__)

SEARCH = FetchLimits(first_patience_seconds=5.0)
MADE_UP_AT_ONCE = 4
"""Missing copies of other contents that one `put` also makes; few, so that `put` stays fast."""


class FallbackStore:
    """Reads from `local`, else from nodes and gateways with verification; writes to `local` and to `replicas` nodes.

    A file under `local.root / "places"` records which places failed or returned wrong bytes, which copies were made,
    and which are still missing. Thread-safe; the threads of a call end with it.
    """

    def __init__(
        self,
        local: LocalStore,
        nodes: Sequence[KuboNode],
        gateways: Sequence[Gateway],
        replicas: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`nodes`: this machine's own first. `replicas`: the number of nodes on which each put makes a copy."""
        self.local = local
        self._nodes = list(nodes)
        self._sources: list[KuboNode | Gateway] = [*nodes, *gateways]
        self._wanted = replicas
        self._health = Health(local.root / "places" / "health.sqlite", clock)
        self._copies = Copies(local.root / "places" / "copies.sqlite")
        self._uploads = Uploads(local, nodes, replicas, self._health, self._copies)

    def put(self, source: Path | bytes) -> Cid:
        """Store a file, folder or bytes locally and on `replicas` nodes, and return the CID.

        The call succeeds if one node stores it. Missing copies are logged, recorded, and made by later puts or
        `replicate`. Raises `ContentUnreachable` when no node stores it; the local copy remains, and the put can be
        repeated.
        """
        cid = self.local.put(source)
        self._uploads.spread([cid])
        self._make_up([cid])
        return cid

    def put_many(self, sources: Sequence[Path | bytes]) -> list[Cid]:
        """Store many contents with one request per node; raises as `put` does."""
        cids = [self.local.put(source) for source in sources]
        if cids:
            self._uploads.spread(list(dict.fromkeys(cids)))
            self._make_up(cids)
        return cids

    def fetch(self, cid: Cid) -> Path:
        """The local copy, fetched or repaired from nodes and gateways if necessary; raises as `fetching.fetch` does."""
        try:
            return self.local.fetch(cid)
        except ContentNotFound:
            log.debug("fetching %s", cid)
        except CorruptContent as error:
            log.warning("%s A good copy is fetched.", error)
        return fetch(cid, self._sources, self.local, self._health)

    def read(self, cid: Cid) -> bytes:
        """The bytes, read through a local copy; raises as `fetch` does."""
        try:
            return self.local.read(cid)
        except (ContentNotFound, CorruptContent):
            self.fetch(cid)
            return self.local.read(cid)

    def has(self, cid: Cid) -> bool:
        """Whether `cid` is here, on a reachable node or gateway, or found by the first reachable node in its swarm."""
        if self.local.has(cid):
            return True
        if any(self._who_holds(self._usable(self._sources), cid).values()):
            return True
        try:
            Blocks(self._usable(self._nodes)[:1], self._health, SEARCH).get(cid)
        except ContentError as error:
            log.debug("%s", error)
            return False
        return True

    def stat(self, cid: Cid) -> ContentStat:
        """The size of `cid`, from its root node if there is no local copy; raises as `fetch` does."""
        if self.local.has(cid):
            return self.local.stat(cid)
        return ContentStat(cid, content_bytes(cid, self._sources, self._health))

    def pin(self, cid: Cid, into: str = PINNED) -> None:
        """Pin `cid` locally and on our nodes. Raises as `fetch` does, but only warns when nodes do not answer."""
        self.fetch(cid)
        self.local.pin(cid, into)
        self.replicate(cid)

    def unpin(self, cid: Cid, out_of: str | None = None) -> None:
        """Unpin the local copy, so that `trim` may remove it. Nodes keep our copies until `remove`: a job may need
        them.
        """
        self.local.unpin(cid, out_of)

    def trim(self, keep_bytes: int) -> int:
        """Remove local copies as `LocalStore.trim` does, and unpin them on the first node, too."""
        before = {content.cid for content in self.local.held()}
        freed = self.local.trim(keep_bytes)
        self._uploads.let_go(sorted(before - {content.cid for content in self.local.held()}), self._nodes[:1])
        return freed

    def held(self) -> Iterator[HeldContent]:
        """Every local copy, sorted by CID."""
        return self.local.held()

    def remove(self, cid: Cid, unused_since: float) -> int:
        """Remove the local copy as `LocalStore.remove` does; if it was removed, also unpin our copies on nodes."""
        freed = self.local.remove(cid, unused_since)
        if not self.local.has(cid):
            self._uploads.let_go([cid], self._nodes)
        return freed

    def replicas(self, cid: Cid) -> Replicas:
        """Ask all nodes in parallel. The local copy does not count, because other machines cannot reach it."""
        answers = self._who_holds(self._nodes, parse_cid(cid))
        holders = [name for name, holds in answers.items() if holds]
        silent = [name for name, holds in answers.items() if holds is None]
        return Replicas(cid, self._wanted, holders, silent)

    def under_replicated(self) -> list[Replicas]:
        """Contents that a put or `replicate` left with too few copies, according to the nodes' current answers."""
        found = [self.replicas(cid) for cid in self._copies.short()]
        self._copies.settle([replicas.cid for replicas in found if replicas.enough])
        return [replicas for replicas in found if not replicas.enough]

    def replicate(self, cid: Cid) -> Replicas:
        """Make the missing copies on the nodes that answer; raises as `fetch` does if it has to fetch."""
        found = self.replicas(cid)
        if found.enough:
            self._copies.settle([cid])
            return found
        self.fetch(cid)
        holders = self._uploads.upload([cid], found.holders)
        return Replicas(cid, self._wanted, holders, [name for name in found.silent if name not in holders])

    def _make_up(self, except_for: Sequence[Cid]) -> None:
        """Make a few missing copies of other contents, unless a node is failing."""
        if len(self._nodes) < self._wanted or len(self._health.available(self._nodes)) < len(self._nodes):
            return
        short = [cid for cid in self._copies.short() if cid not in except_for and self.local.has(cid)]
        for cid in short[:MADE_UP_AT_ONCE]:
            try:
                self.replicate(cid)
            except ContentError as error:
                log.warning("could not make another copy of %s: %s", cid, error)

    def _usable(self, places: Sequence[Place]) -> list[Place]:
        """The places without a recent failure; if there are none, all except the distrusted ones."""
        return self._health.available(places) or self._health.order(places)

    def _who_holds(self, places: Sequence[KuboNode | Gateway], cid: Cid) -> dict[str, bool | None]:
        """Ask all places in parallel whether they hold `cid`; None for a place that does not answer."""

        def ask(place: KuboNode | Gateway) -> bool | None:
            try:
                holds = place.holds(cid)
            except ContentError as error:
                self._health.failed(place.name, error)
                return None
            self._health.answered(place.name)
            return holds

        with ThreadPoolExecutor(max(1, len(places)), thread_name_prefix="ask") as pool:
            return dict(zip([place.name for place in places], pool.map(ask, places), strict=True))
