"""Keeps contents on this node, announces them on chain, and answers audits. Blocking."""

import logging
from collections.abc import Callable, Iterator, Sequence
from threading import Event

from atlas.content.audit import audit_answer
from atlas.content.store import ContentStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from atlas.ids import Cid, NodeId
from chain_bridge.client.messages import Audit, Holding
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from node_agent.storage.plan import changes, checkpoints_to_keep, fitting

log = logging.getLogger(__name__)
PINNED_AS = "storage"
RETRY_SECONDS = 600.0
"""How long a content that could not be read is left alone, since an absent content costs a timeout."""
LARGEST_DOCUMENT = 4 << 20


class Keeper:
    """The contents of one storage node. `clock` gives unix seconds."""

    def __init__(
        self,
        ledger: Ledger,
        store: ContentStore,
        node_id: NodeId,
        capacity: int,
        most_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        """`capacity` is the most contents that the node has registered for, `most_bytes` their most bytes in all."""
        self._ledger, self._store, self._node_id = ledger, store, node_id
        self._capacity, self._most_bytes, self._clock = capacity, most_bytes, clock
        self._files: dict[Cid, dict[Cid, int]] = {}
        self._pinned: set[Cid] = set()
        self._retry_at: dict[Cid, float] = {}
        self._ended = Event()

    def end(self) -> None:
        """Begin no further content; the current one is the last."""
        self._ended.set()

    def look(self) -> None:
        """Answer open audits, then drop contents that are not wanted any more and announce new ones.

        A content that cannot be read is logged and left out. Raises `ChainError`.
        """
        holdings = self._ledger.holdings(self._node_id)
        for one in holdings:
            if one.audit is not None:
                self._answer(one, one.audit)
        wanted = fitting(self._models(), self._capacity, self._most_bytes)
        announced = {one.cid for one in holdings}
        lost = [cid for cid in wanted if cid in announced and not self._keep(cid)]
        if self._ended.is_set():
            return  # contents that were not looked at any more are not lost
        plan = changes(wanted, holdings, lost, self._capacity)
        self._drop(plan.drop)
        self._announce([cid for cid in plan.add if self._keep(cid)])

    def _answer(self, holding: Holding, audit: Audit) -> None:
        if self._clock() >= audit.until:
            log.error("the audit of %s was not answered in time, so it will count as failed", holding.cid)
            return
        try:
            answer = audit_answer(audit.nonce, self._store.fetch(holding.cid))
            self._ledger.answer_audit(holding.cid, answer)
        except (ContentError, ContractRefused) as error:
            log.error("the audit of %s is not answered: %s", holding.cid, error)
        else:
            log.info("the audit of %s is answered", holding.cid)

    def _models(self) -> Iterator[dict[Cid, int]]:
        """The files of each model that is to be kept and can be read, with their sizes."""
        for cid in checkpoints_to_keep(self._ledger.models()):
            if cid not in self._files and self._may_try(cid):
                try:
                    self._files[cid] = self._files_of(cid)
                except (ContentError, SpecError) as error:
                    self._try_later(cid, error)
            if cid in self._files:
                yield self._files[cid]

    def _files_of(self, cid: Cid) -> dict[Cid, int]:
        size = self._store.stat(cid).size
        if size > LARGEST_DOCUMENT:
            raise ContentError(f"{cid} has {size} bytes, more than a checkpoint's document.")
        found = get_document(self._store, cid, Checkpoint)
        files = (found.job, found.manifest, found.adapter, *found.merged, found.optimizer)
        return {cid: size} | {one: self._store.stat(one).size for one in files if one is not None}

    def _keep(self, cid: Cid) -> bool:
        """Fetch and pin a content, once; False if that is not possible now."""
        if cid in self._pinned:
            return True
        if self._ended.is_set() or not self._may_try(cid):
            return False
        try:
            if not self._store.fetch(cid).is_file():
                raise ContentError(f"{cid} is a folder, which cannot be audited.")
            self._store.pin(cid, PINNED_AS)
        except ContentError as error:
            self._try_later(cid, error)
            return False
        self._pinned.add(cid)
        return True

    def _announce(self, cids: Sequence[Cid]) -> None:
        for batch in self._batches(cids):
            self._ledger.announce_storage(batch)
            log.info("announced %d contents, the first of them %s", len(batch), batch[0])

    def _drop(self, cids: Sequence[Cid]) -> None:
        for batch in self._batches(cids):
            self._ledger.drop_storage(batch)
            log.info("dropped %d contents, the first of them %s", len(batch), batch[0])
            for cid in batch:
                self._pinned.discard(cid)
                self._store.unpin(cid, PINNED_AS)
        if cids:
            self._store.trim(self._most_bytes)

    def _batches(self, cids: Sequence[Cid]) -> Iterator[list[Cid]]:
        if not cids:
            return
        most = self._ledger.config().max_batch
        for start in range(0, len(cids), most):
            yield list(cids[start : start + most])

    def _may_try(self, cid: Cid) -> bool:
        return self._clock() >= self._retry_at.get(cid, 0.0)

    def _try_later(self, cid: Cid, error: Exception) -> None:
        self._retry_at[cid] = self._clock() + RETRY_SECONDS
        log.warning("cannot keep %s now: %s", cid, error)
