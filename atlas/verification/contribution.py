"""How good a round's updates were: the score by which the tokens of each are paid.

A score is an integer in thousandths, 500 to 1,500, or 0 for an update that changes nothing. 1,000 says that an update
neither helped nor harmed; an update with twice the score of another earns twice as much per token, and the bounds keep
one outlier from taking or losing all.
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
"""Honest work on a shard that does not help is paid half, and no score triples another."""
NEGLIGIBLE = 2.0**-40
"""A squared length below this share of what it is the difference of is rounding, not a direction."""
MOST_UPDATES = 8
SAMPLED_ROWS = 2000
FEWEST_ROWS = 250
"""Leave-one-out judges one more checkpoint per update, on a sample of the held-out rows: 2,000 rows in all, which is
what the base and the checkpoint take on the usual thousand, and so at most doubles the time of an evaluation; but no
fewer than 250 each, for below that the noise is larger than what one update changes."""


def choose_method(asked: Scoring, updates: int) -> ScoringMethod:
    """What a job's `payment.scoring` means for a round; it depends on nothing but the spec and the round's manifest.

    A single update has nothing to be compared with.
    """
    if asked == "none" or updates < 2:
        return "none"
    if asked != "auto":
        return asked
    return "leave-one-out" if updates <= MOST_UPDATES else "alignment"


def rows_to_sample(updates: int) -> int:
    """How many of the held-out rows judge each checkpoint that leaves one update out."""
    return max(FEWEST_ROWS, SAMPLED_ROWS // updates)


def leave_one_out_scores(losses: Mapping[str, tuple[float, float]]) -> dict[str, int]:
    """Scores from held-out losses, per update: of the round's checkpoint, and of the one made without the update.

    value = loss without it - loss; score = 1 + value / (2 mean |value|), cut to 0.5..1.5. Where all values are small,
    the mean counts as a thousandth of the mean loss, so that noise is not blown up into pay. Exact fractions, rounded
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
    """Scores from how far each update points where the others point; `shards` names them in the geometry's order.

    score = 1 + half the cosine of an update's change with the weighted mean of the others' changes, in the space in
    which the round's strategy adds changes up; an update that changes nothing has 0. Where the others cancel out, down
    to a millionth of what they and this one are, there is nothing to point at, and the score is neutral. The sums are
    exact or rounded once, so the scores are the same on every machine. Source: Xu et al., Gradient-Driven Rewards to
    Guarantee Fairness in Collaborative Machine Learning (CGSV), NeurIPS 2021, with the others' mean in place of the
    whole one, so that no update praises itself.
    """
    if len(shards) < 2:
        return dict.fromkeys(shards, NEUTRAL)
    gram, weights = geometry.gram, geometry.weights
    shares = [math.fsum((gram[i] * weights).tolist()) for i in range(len(shards))]
    whole = math.fsum(share * weight for share, weight in zip(shares, weights.tolist(), strict=True))
    return {shard: _alignment(float(gram[i, i]), shares[i], float(weights[i]), whole) for i, shard in enumerate(shards)}


def _alignment(own: float, share: float, weight: float, whole: float) -> int:
    """The score of change d of this weight, from |d|^2, its product with the weighted sum S of all changes, and |S|^2.

    The others' sum is S - weight * d.
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
