"""The standard errors of changes of the metrics, over the held-out rows."""

import math
from collections.abc import Sequence

from atlas.documents.metric_names import CHANGE_ERROR
from atlas.training.tasks.batches import RowScore


def change_errors(before: Sequence[RowScore], after: Sequence[RowScore]) -> dict[str, float]:
    """The standard errors of the changes of `loss` and, if the rows have classes, of `accuracy`.

    Both sequences score the same rows in the same order. Fewer than two rows have no standard error.
    """
    rows = [score.targets for score in before]
    pairs = list(zip(before, after, strict=True))
    values = {"loss": [new.loss - old.loss for old, new in pairs]}
    if all(score.expected >= 0 for score in before):
        values["accuracy"] = [float(_right(new)) - float(_right(old)) for old, new in pairs]
    if len(rows) < 2:
        return {}
    return {f"{name}{CHANGE_ERROR}": paired_error(changes, rows) for name, changes in values.items()}


def paired_error(changes: Sequence[float], sizes: Sequence[int]) -> float:
    """The standard error of `sum(changes) / sum(sizes)` over rows drawn at random, for at least two rows.

    It is that of a ratio estimator: Cochran, Sampling Techniques, 3rd edition, (6.9), for a large population. With
    sizes of 1 it is the standard error of the mean of the changes.
    """
    rows, total = len(changes), sum(sizes)
    mean = math.fsum(changes) / total
    squares = math.fsum((change - mean * size) ** 2 for change, size in zip(changes, sizes, strict=True))
    return math.sqrt(rows / (rows - 1) * squares) / total


def _right(score: RowScore) -> bool:
    return score.predicted == score.expected
