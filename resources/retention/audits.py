"""Audits of storage nodes: whether they still hold the contents that they have announced on chain."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atlas.content.audit import audit_answer
from atlas.content.store import KeptStore
from atlas.errors import ContentError
from chain_bridge.client.messages import Holding
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Audited:
    """The outcome of a pass over all announced contents."""

    opened: list[Holding]
    """Holdings whose nodes were asked for a proof."""
    failed: list[Holding]
    """Holdings whose nodes gave no proof in time; they are no longer announced, and the nodes lost reputation."""
    holdings: list[Holding]
    """Every holding after the pass, by node and CID."""
    not_here: int
    """Holdings that were due, but whose content this coordinator does not have: the answer could not be checked."""


def audit_storage(
    ledger: Ledger, store: KeptStore, proven_seconds: float, limit: int, nonce: Callable[[], bytes]
) -> Audited:
    """End the audits that were not answered in time, and open up to `limit` new ones.

    A content is due if its node has not proven it within `proven_seconds`. `nonce` gives 32 random bytes that no node
    can know before. Only the contract's owner may open audits. Blocks.
    """
    _, now = ledger.newest_block()
    found = all_holdings(ledger)
    failed = [one for one in found if is_overdue(one, now) and _expire(ledger, one)]
    here = {one.cid for one in store.held()}
    waiting = due(found, now, proven_seconds)
    opened: list[Holding] = []
    for one in waiting:
        if len(opened) < limit and one.cid in here and _open(ledger, store, one, nonce()):
            opened.append(one)
    return Audited(opened, failed, all_holdings(ledger), sum(one.cid not in here for one in waiting))


def all_holdings(ledger: Ledger) -> list[Holding]:
    """The contents that storage nodes have announced, by node and CID."""
    nodes = [node.id for node in ledger.nodes() if node.kind == "storage" and node.status != "retired"]
    return [holding for node in nodes for holding in ledger.holdings(node)]


def is_overdue(holding: Holding, now: float) -> bool:
    """Whether the node has let the time for its answer pass; `now` in unix seconds by the chain."""
    return holding.audit is not None and holding.audit.until <= now


def due(holdings: Sequence[Holding], now: float, proven_seconds: float) -> list[Holding]:
    """The holdings to ask for, those that were never proven or not for the longest time first."""
    waiting = [one for one in holdings if one.audit is None and now - (one.proven_at or 0) >= proven_seconds]
    return sorted(waiting, key=lambda one: (one.proven_at or 0, one.cid, one.node))


def _expire(ledger: Ledger, holding: Holding) -> bool:
    try:
        ledger.expire_audit(holding.cid, holding.node)
    except ContractRefused as refusal:  # somebody else has ended it
        log.warning("the audit of %s at node %d was not ended: %s", holding.cid, holding.node, refusal.reason)
        return False
    return True


def _open(ledger: Ledger, store: KeptStore, holding: Holding, nonce: bytes) -> bool:
    try:
        answer = audit_answer(nonce, store.fetch(holding.cid))
        ledger.open_audit(holding.cid, holding.node, nonce, hashlib.sha256(answer).digest())
    except ContentError as error:
        log.warning("cannot audit %s, because the copy on this machine cannot be read: %s", holding.cid, error)
        return False
    except ContractRefused as refusal:  # the node has dropped it meanwhile
        log.warning("no audit of %s at node %d: %s", holding.cid, holding.node, refusal.reason)
        return False
    return True
