"""Whether the updates of a round are far longer or shorter than those of the rounds before."""

import statistics
from collections.abc import Sequence

from atlas.documents.round_diagnostics import RoundDiagnostics
from resources.rounds.checks.finding import Finding

GROWN = 3.0
"""More than this many times the rounds before is a warning. Training that diverges exceeds it within a few rounds."""
SHRUNK = 0.1
"""Less than this share of the rounds before is a warning. Training that converges shortens updates more slowly."""
RECENT_ROUNDS = 10
"""A round is compared with this many rounds before it."""


def median_norm(diagnostics: RoundDiagnostics) -> float:
    """The median length of a round's accepted updates."""
    return statistics.median(one.norm for one in diagnostics.updates)


def norm_drift(median: float, before: Sequence[float]) -> Finding:
    """Compare the median length of a round's updates with those of recent rounds, whose median is the reference.

    It passes between `SHRUNK` and `GROWN` times the reference, and without a round before it.
    """
    if not before:
        return Finding(True, "There is no round before it to compare with.")
    usual = statistics.median(before)
    found = (
        f"The median length of the accepted updates is {median:.4g}; in the rounds before it was {usual:.4g}, and "
        f"{SHRUNK * usual:.4g} to {GROWN * usual:.4g} is expected."
    )
    if median > GROWN * usual:
        return Finding(
            False,
            f"{found} Training may diverge, or nodes train with other settings: compare the norms in the table "
            "influences and the losses in the table updates. If the evaluation is worse, too, order the job with a "
            "lower training.learning_rate or fewer training.steps, under another name.",
        )
    if median < SHRUNK * usual:
        return Finding(
            False,
            f"{found} Nodes may train on little or nothing: compare the norms in the table influences and the losses "
            "in the table updates. If the loss no longer falls, the remaining rounds gain nothing, and "
            "`atlas job cancel` saves their cost.",
        )
    return Finding(True)
