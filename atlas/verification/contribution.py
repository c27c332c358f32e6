"""Score a round's updates; the score multiplies the tokens that an update is paid for.

A score is an integer in thousandths, 500 to 1,500, or 0 for an update that changes nothing. 1,000 means that an update
neither helped nor harmed. An update with twice the score of another earns twice as much per token. The bounds keep one
outlier from earning everything or nothing.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from atlas.documents.manifests import ScoringMethod
from atlas.spec.job import Scoring

if TYPE_CHECKING:
    from atlas.aggregation.robust.rule import Geometry

NEUTRAL = 1000
LOWEST, HIGHEST = 500, 1500
"""Honest work that does not help still earns half, and no score is more than three times another."""
NEGLIGIBLE = 2.0**-40
"""A squared norm below this share of its operands' squared norms is rounding error and has no direction."""
MOST_UPDATES = 8
SAMPLED_ROWS = 2000
FEWEST_ROWS = 250
"""Leave-one-out evaluates one more checkpoint per update, on a sample of the held-out rows: 2,000 rows in total. The
base and the checkpoint take as many on the usual 1,000 rows, so an evaluation takes at most twice as long. Each sample
has at least 250 rows, because with fewer the noise exceeds the effect of one update."""


def choose_method(asked: Scoring, updates: int) -> ScoringMethod:
    """The scoring method of a round, from the job's `payment.scoring` and the number of updates in its manifest.

    It is "none" for a single update, which cannot be compared with others.
    """
    if asked == "none" or updates < 2:
        return "none"
    if asked != "auto":
        return asked
    return "leave-one-out" if updates <= MOST_UPDATES else "alignment"


def rows_to_sample(updates: int) -> int:
    """The number of held-out rows on which each checkpoint without one update is evaluated."""
    return max(FEWEST_ROWS, SAMPLED_ROWS // updates)


def leave_one_out_scores(losses: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    """Scores from two held-out losses per update: of the round's checkpoint, and of the checkpoint without the update.

    value = loss without it - loss; score = 1 + value / (2 mean |value|), clipped to 0.5..1.5. The mean is at least a
    thousandth of the mean loss, so that small values, which are noise, do not decide the pay. Exact fractions, rounded
    half to even at the end. Source of the value: leave-one-out in Ghorbani and Zou, Data Shapley, ICML 2019; for
    federated rounds Wang et al., A Principled Approach to Data Valuation for Federated Learning, 2020.
    """
    if not losses:
        return {}
    values = {name: Fraction(without) - Fraction(loss) for name, (loss, without) in losses.items()}
    mean = sum((abs(value) for value in values.values()), Fraction(0)) / len(values)
    mean_loss = sum((abs(Fraction(loss)) for loss, _ in losses.values()), Fraction(0)) / len(losses)
    unit = max(mean, mean_loss / 1000)
    return {name: _score(value / unit if unit else Fraction(0)) for name, value in values.items()}


def alignment_scores(shards: Sequence[str], geometry: "Geometry") -> dict[str, int]:
    """Scores from the alignment of each update with the others; `shards` names the updates in the geometry's order.

    score = 1 + half the cosine of an update's change with the weighted mean of the others' changes, in the space in
    which the round's strategy adds changes; an update that changes nothing has 0. If the others cancel out, down to a
    millionth of the lengths involved, they have no direction, and the score is neutral. The sums are exact or rounded
    once, so the scores are the same on every machine. Source: Xu et al., Gradient-Driven Rewards to Guarantee Fairness
    in Collaborative Machine Learning (CGSV), NeurIPS 2021. Unlike there, the mean is over the other updates only, so
    that no update increases its own score.
    """
    if len(shards) < 2:
        return dict.fromkeys(shards, NEUTRAL)
    gram, weights = geometry.gram, geometry.weights
    shares = [math.fsum((gram[i] * weights).tolist()) for i in range(len(shards))]
    whole = math.fsum(share * weight for share, weight in zip(shares, weights.tolist(), strict=True))
    return {shard: _alignment(float(gram[i, i]), shares[i], float(weights[i]), whole) for i, shard in enumerate(shards)}


def _alignment(own: float, share: float, weight: float, whole: float) -> int:
    """The score of a change d, from |d|^2, its product with S, its weight, and |S|^2; S is the weighted sum of changes.

    The weighted sum of the others is S - weight * d.
    """
    if own <= 0:
        return 0
    product = share - weight * own
    others = whole - 2 * weight * share + weight * weight * own
    if others <= NEGLIGIBLE * (whole + weight * weight * own):
        return NEUTRAL
    return _score(Fraction(product / (math.sqrt(own) * math.sqrt(others))))


def _score(excess: Fraction) -> int:
    return min(HIGHEST, max(LOWEST, round(NEUTRAL * (1 + excess / 2))))
