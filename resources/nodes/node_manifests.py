"""The manifests in which nodes describe themselves; the chain has their CIDs."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from atlas.content.store import ContentStore
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from atlas.ids import Cid
from node_agent.presence.machine import NodeManifest

AT_ONCE = 8


class NodeManifests:
    """Reads each manifest once, by its CID; thread-safe. A manifest that cannot be read is not requested again."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._known: dict[Cid, NodeManifest | None] = {}
        self._lock = Lock()

    def get(self, cid: Cid) -> NodeManifest | None:
        """The manifest; None if it is not available or not valid. Blocks."""
        with self._lock:
            if cid in self._known:
                return self._known[cid]
        found = self._read(cid)
        with self._lock:
            return self._known.setdefault(cid, found)

    def read(self, cids: Iterable[Cid]) -> None:
        """Read the manifests that are not known yet, in parallel: an unreachable node fails only after its timeout."""
        unknown = {cid for cid in cids if cid not in self._known}
        if unknown:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(self.get, sorted(unknown)))

    def price(self, cid: Cid) -> int:
        """The least reward per task that the node works for, in micro-units; 0 if its manifest cannot be read."""
        manifest = self.get(cid)
        return manifest.price if manifest else 0

    def _read(self, cid: Cid) -> NodeManifest | None:
        try:
            return get_document(self._store, cid, NodeManifest)
        except (ContentError, SpecError):
            return None  # a node may register any CID, also one that is no manifest
