"""The gate `norm`: refuses a change that is longer than training can produce, or far longer than the others."""

import statistics
from collections.abc import Mapping, Sequence

from atlas.aggregation.gates.refusal import Refusal
from atlas.counts import counted

FEWEST = 3
"""With fewer lengths, the median may be that of a false update."""


def reach_refusal(norm: float, farthest: float) -> Refusal | None:
    """Refuse a change that is longer than the job's steps allow; needs no other update for comparison.

    For the node's owner: the update was scaled, or trained with another learning rate or more steps.
    """
    if norm <= farthest:
        return None
    return Refusal(
        "norm",
        f"changes its base by {norm:.6g}; the steps and the learning rate of the job move an adapter by "
        f"{farthest:.6g} at most",
    )


def norm_refusal(norm: float, known: Sequence[float], largest: float, expected: int = 0) -> Refusal | None:
    """Refuse a change that is more than `largest` times as long as the median of the known ones.

    `norm` and `known` are lengths of one kind: of whole changes, or per number where ranks are mixed. Nothing is
    refused while fewer than three lengths are known, or fewer than two thirds of the `expected` updates of the round:
    false updates may arrive first, and their median would exclude the honest ones. Nothing is refused if the median is
    zero.

    For the node's owner: the update was scaled, or trained with another learning rate, more steps or another base.
    """
    if len(known) < FEWEST or 3 * len(known) < 2 * expected:
        return None
    median = statistics.median(known)
    if median <= 0 or norm <= largest * median:
        return None
    return Refusal(
        "norm",
        f"changes its base by {norm:.6g}, {norm / median:.3g} times the median of {counted(len(known), 'update')} "
        f"({median:.6g}); expected at most {largest:g} times",
    )


def growth_refusal(norm: float, before: Sequence[float], largest: float, usual: float) -> Refusal | None:
    """Refuse a change, in a round of fewer than three updates, that exceeds `largest` times the previous round's.

    `before` are the lengths of the previous round's accepted updates, of the same kind as `norm`. The shortest one is
    the reference, so that a node cannot raise the limit with a long update. As the shortest may itself be false,
    nothing is refused up to `usual`, the largest length that the job's steps and learning rate usually reach. Without a
    previous round, nothing is refused.

    For the node's owner: as for `norm_refusal`.
    """
    if not before or norm <= max(usual, largest * min(before)):
        return None
    return Refusal(
        "norm",
        f"changes its base by {norm:.6g}; the shortest change of the round before was {min(before):.6g}, and a round "
        f"of fewer than {FEWEST} updates takes at most {largest:g} times that, or {usual:.6g} where that is more",
    )


def check_round(norms: Mapping[str, float], largest: float) -> dict[str, Refusal]:
    """Compare each change of a complete round with the round's median, which `norm_refusal` could not know on arrival.

    `norms` are lengths of one kind by shard; the result holds the shards that are refused.
    """
    known = [norms[shard] for shard in sorted(norms)]
    verdicts = {shard: norm_refusal(norms[shard], known, largest) for shard in sorted(norms)}
    return {shard: verdict for shard, verdict in verdicts.items() if verdict is not None}
