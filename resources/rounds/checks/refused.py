"""How many of a round's updates the gates have refused, by gate and node."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from atlas.counts import counted
from atlas.documents.manifests import Gate
from atlas.ids import NodeId
from resources.jobs.registry import Attempt
from resources.rounds.checks.finding import Finding

FEW = 0.1
"""Up to this share of a round's updates, refusals pass."""
LISTED = 5
"""Pairs of gate and node that are named; the others are counted."""


@dataclass(frozen=True)
class RefusedShare:
    """The updates that a round's gates have judged."""

    judged: int
    refused: int
    by_gate_and_node: list[tuple[Gate, NodeId, int]]
    """Gate, node id and count; the largest counts first."""

    @property
    def share(self) -> float:
        """Refused updates, as a share of those that were judged; 0 without any."""
        return self.refused / self.judged if self.judged else 0.0


def refused_share(attempts: Collection[Attempt], evaluation_slot: int) -> RefusedShare:
    """Count a round's updates: every attempt at a shard that delivered one. Lost attempts have none."""
    judged = [
        one for one in attempts if one.slot < evaluation_slot and (one.state == "completed" or one.gate is not None)
    ]
    groups = Counter((one.gate, one.node_id) for one in judged if one.gate is not None)
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    return RefusedShare(len(judged), groups.total(), [(gate, node, number) for (gate, node), number in ordered])


def refused_updates(found: RefusedShare, tolerated: float) -> Finding:
    """Refused updates pass up to `FEW` of a round's updates.

    More is a warning, and an error above `tolerated`: the share of false updates that the job's robust rule tolerates.
    """
    if found.share <= FEW:
        return Finding(True)
    named = [
        f"node {node}, gate {gate}{'' if number == 1 else f' ({number} times)'}"
        for gate, node, number in found.by_gate_and_node[:LISTED]
    ]
    if rest := sum(number for _, _, number in found.by_gate_and_node[LISTED:]):
        named.append(f"and {rest} more")
    severe = found.share > tolerated
    limit = f" That is more than aggregation.robust.tolerated ({tolerated:g})." if severe else ""
    return Finding(
        False,
        f"The gates have refused {found.refused} of {counted(found.judged, 'update')}: {'; '.join(named)}.{limit} The "
        "table refused of round_manifest has the reasons. "
        "Ask the owners of these nodes to compare their version, model files and device with the other nodes'.",
        severe,
    )
