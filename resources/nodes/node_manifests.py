"""What nodes say of themselves in the manifests that the chain names."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from atlas.content.store import ContentStore
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from node_agent.presence.machine import NodeManifest

AT_ONCE = 8


class NodeManifests:
    """Reads each manifest once, by its CID; thread-safe. What cannot be read is not asked for again."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._known: dict[str, NodeManifest | None] = {}
        self._lock = Lock()

    def get(self, cid: str) -> NodeManifest | None:
        """The manifest; None for one that cannot be had or is none. Blocks."""
        with self._lock:
            if cid in self._known:
                return self._known[cid]
        found = self._read(cid)
        with self._lock:
            return self._known.setdefault(cid, found)

    def read(self, cids: Iterable[str]) -> None:
        """Read those that are not known yet, a few at a time, since a place that is away takes long to say so."""
        unknown = {cid for cid in cids if cid not in self._known}
        if unknown:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(self.get, sorted(unknown)))

    def price(self, cid: str) -> int:
        """The least reward per task that the node works for, in micro-units; 0 where that cannot be read."""
        manifest = self.get(cid)
        return manifest.price if manifest else 0

    def _read(self, cid: str) -> NodeManifest | None:
        try:
            return get_document(self._store, cid, NodeManifest)
        except (ContentError, SpecError):
            return None  # a node may write what it likes there; it is only taken at its word
