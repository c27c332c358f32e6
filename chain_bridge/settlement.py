"""Divide a round's pool: from contributions to basis points, and from basis points to the credited amounts.

Uses only integers and fractions, so that every machine computes the same numbers from the same evidence.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from atlas.ids import NodeId
from chain_bridge.client.messages import Share
from chain_bridge.errors import ChainError

WHOLE_BPS = 10_000


class DivisionError(ChainError):
    """A pool cannot be divided by the given contributions or weights."""


@dataclass(frozen=True)
class PaidTask:
    """A completed task of a round; `contribution` is None for one whose pay does not depend on quality."""

    node: NodeId
    contribution: int | None = None


def divide_round(tasks: Iterable[PaidTask]) -> list[Share]:
    """Each node's part of a round's pool, by node id; the parts sum to exactly 10,000 basis points.

    Every task adds the same reward to the pool. A task without a contribution gets exactly that reward. The other tasks
    share the rest in proportion to their contributions, or equally when all contributions are zero. Raises
    `DivisionError` for no task, or a contribution below zero.
    """
    tasks = list(tasks)
    counts = Counter(task.node for task in tasks)
    if any(task.contribution is not None and task.contribution < 0 for task in tasks):
        raise DivisionError(
            "A contribution is negative; expected tokens and scores of zero or more. Compute them again."
        )
    total = sum(task.contribution or 0 for task in tasks)
    judged = sum(task.contribution is not None for task in tasks)
    weights = {node: Fraction(0) for node in counts}
    for task in tasks:
        if task.contribution is None or total == 0:
            weights[task.node] += 1
        else:
            weights[task.node] += Fraction(judged * task.contribution, total)
    bps = apportion(WHOLE_BPS, weights)
    return [Share(node, counts[node], bps[node]) for node in sorted(counts)]


def amounts(pool: int, parts: Iterable[Share], struck: Mapping[NodeId, int] | None = None) -> dict[NodeId, int]:
    """The credit per node, in micro-units, as the contract's `division.rs` computes it.

    `struck` counts the tasks per node that upheld challenges removed. Such a node gets
    floor(amount x (count - struck) / count), and the rest goes back to the job's escrow.
    """
    struck = struck or {}
    parts = list(parts)
    whole = apportion(pool, {part.node: Fraction(part.bps) for part in parts})
    return {part.node: whole[part.node] * (part.count - struck.get(part.node, 0)) // part.count for part in parts}


def apportion(total: int, weights: Mapping[NodeId, Fraction]) -> dict[NodeId, int]:
    """Divide an integer in proportion to weights by largest remainder; ties go to the lower key.

    Each key gets the floor of its quota; the remaining units go, one each, to the largest remainders. Source:
    A. Hamilton's method of apportionment. Raises `DivisionError` when no weight is above zero.
    """
    whole = sum(weights.values(), Fraction(0))
    if whole <= 0:
        raise DivisionError(f"Cannot divide by the weights {dict(weights)}; expected at least one above zero.")
    quotas = {key: total * weight / whole for key, weight in weights.items()}
    parts = {key: quota.numerator // quota.denominator for key, quota in quotas.items()}
    left = total - sum(parts.values())
    for key in sorted(quotas, key=lambda key: (parts[key] - quotas[key], key))[:left]:
        parts[key] += 1
    return parts
