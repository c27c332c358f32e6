"""How good a round's updates were: the score by which the tokens of each are paid.

A score is an integer in thousandths, 500 to 1,500, or 0 for an update that changes nothing. 1,000 says that an update
neither helped nor harmed; an update with twice the score of another earns twice as much per token, and the bounds keep
one outlier from taking or losing all.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from atlas.errors import AggregationError
from atlas.manifests import ScoringMethod
from atlas.spec import Scoring

NEUTRAL = 1000
LOWEST, HIGHEST = 500, 1500
"""Honest work on a shard that does not help is paid half, and no score triples another."""
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


@dataclass(frozen=True)
class WeightedUpdate:
    """An adapter and its weight in the round's mean."""

    name: str
    adapter: Path
    weight: int


def alignment_scores(updates: Sequence[WeightedUpdate], base: Path | None) -> dict[str, int]:
    """Scores from how far each update points where the others point.

    score = 1 + half the cosine of (adapter - base) with the weighted mean of the other updates, over all factors as one
    vector; an update that changes nothing has 0. Without a base adapter (round 1) only LoRA's B factors are read: they
    start at zero, while all else starts at values that are the same for every update and would drown the difference.
    Float64 sums in a fixed order, one tensor of each update in memory. Raises `AggregationError` when the adapters do
    not fit together. Source: Xu et al., Gradient-Driven Rewards to Guarantee Fairness in Collaborative Machine Learning
    (CGSV), NeurIPS 2021, with the others' mean in place of the whole one, so that no update praises itself.
    """
    if len(updates) < 2:
        return {update.name: NEUTRAL for update in updates}
    sums = [_Sums() for _ in updates]
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(update.adapter, framework="numpy")) for update in updates]
        start = stack.enter_context(safe_open(base, framework="numpy")) if base else None
        for name in sorted(files[0].keys()):
            if start is None and ".lora_B." not in name:
                continue
            total = sum(_change(file, start, name) * update.weight for file, update in zip(files, updates, strict=True))
            for file, update, found in zip(files, updates, sums, strict=True):
                own = _change(file, start, name)
                found.add(own, total - own * update.weight)
    return {update.name: found.score() for update, found in zip(updates, sums, strict=True)}


@dataclass
class _Sums:
    """The inner products of an update's change with itself and with the sum of the others."""

    own: float = 0.0
    others: float = 0.0
    product: float = 0.0

    def add(self, own: NDArray[np.float64], others: NDArray[np.float64]) -> None:
        self.own += float(np.sum(own * own))
        self.others += float(np.sum(others * others))
        self.product += float(np.sum(own * others))

    def score(self) -> int:
        if not self.own:
            return 0
        if not self.others:
            return NEUTRAL
        cosine = self.product / (np.sqrt(self.own) * np.sqrt(self.others))
        return _score(Fraction(float(cosine)))


def _change(file: Any, start: Any, name: str) -> NDArray[np.float64]:
    try:
        tensor: NDArray[np.float64] = file.get_tensor(name).astype(np.float64)
        return tensor if start is None else tensor - start.get_tensor(name).astype(np.float64)
    except (SafetensorError, ValueError) as error:
        raise AggregationError(f"The adapters of a round do not fit together at {name}: {error}.") from error


def _score(excess: Fraction) -> int:
    return min(HIGHEST, max(LOWEST, round(NEUTRAL * (1 + excess / 2))))
