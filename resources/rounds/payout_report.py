"""The payout of a round to each node, as the contract divides it."""

from dataclasses import dataclass

from atlas.content.store import ContentStore
from atlas.documents.manifests import RoundEvidence
from atlas.ids import NodeId
from chain_bridge.client.messages import Round, Share
from chain_bridge.settlement import amounts
from resources.rounds.evidence import receipt_of


@dataclass(frozen=True)
class Payout:
    """One node's pay for a round."""

    node: NodeId
    address: str
    count: int
    """Completed tasks."""
    tokens: int
    """Validated tokens of its tasks."""
    score: int | None
    """Their mean score, weighted by tokens, in thousandths; None without validated tokens."""
    bps: int
    amount: int
    """Micro-units."""


def payouts_of(evidence: RoundEvidence, reward: int, on_chain: Round | None, store: ContentStore) -> list[Payout]:
    """Payouts by node id; each task adds `reward` to the pool. Tasks that the chain has struck are not paid."""
    shares = [Share(one.node_id, one.count, one.bps) for one in evidence.per_node]
    struck = dict(on_chain.struck) if on_chain else {}
    paid = amounts(reward * len(evidence.records), shares, struck)
    return [_payout(evidence, share, paid[share.node], store) for share in shares]


def _payout(evidence: RoundEvidence, share: Share, amount: int, store: ContentStore) -> Payout:
    records = [record for record in evidence.records if record.node_id == share.node]
    tokens = sum(record.tokens or 0 for record in records)
    contribution = sum(record.contribution or 0 for record in records)
    return Payout(
        node=share.node,
        address=receipt_of(records[0].receipt, store).node,
        count=share.count,
        tokens=tokens,
        score=contribution // tokens if tokens else None,
        bps=share.bps,
        amount=amount,
    )
