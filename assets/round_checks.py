"""The checks that a round's assets report about their own results: specs, and results from findings."""

from collections.abc import Mapping

import dagster as dg

from assets import partitions
from assets.recorded.records import newest_record
from assets.shown import tables
from assets.shown.diagnostics import MEDIAN_NORM
from atlas.documents.round_diagnostics import RoundDiagnostics
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt
from resources.rounds.checks.cost import JobCost, cost_within_plan
from resources.rounds.checks.finding import Finding
from resources.rounds.checks.norm_drift import RECENT_ROUNDS, median_norm, norm_drift
from resources.rounds.checks.refused import refused_share, refused_updates
from resources.rounds.checks.settled import settled_in_time
from resources.rounds.settle import Settlement

NO_COST = Finding(True, "The chain does not answer, so the amounts paid and reserved are unknown and not compared.")

REFUSED_UPDATES = dg.AssetCheckSpec(
    "refused_updates",
    asset="round_manifest",
    description="The gates have refused at most a tenth of the round's updates. More is a warning, and an error above "
    "aggregation.robust.tolerated.",
)
UPDATE_NORM_DRIFT = dg.AssetCheckSpec(
    "update_norm_drift",
    asset="aggregated_checkpoint",
    description="The median length of the accepted updates is between a tenth and three times that of the rounds "
    "before.",
)
SETTLED_IN_TIME = dg.AssetCheckSpec(
    "settled_in_time",
    asset="reward_settlement",
    description="The nodes are credited on chain, or the challenge window is still open.",
)
COST_WITHIN_PLAN = dg.AssetCheckSpec(
    "cost_within_plan",
    asset="reward_settlement",
    description="The amounts paid and reserved are at most what the order plans for the rounds so far, and the free "
    "escrow pays for the rounds that are left.",
)


def refused_result(job: OpenJob, attempts: list[Attempt]) -> dg.AssetCheckResult:
    """The result of `refused_updates`, from all attempts of a round."""
    found = refused_share(attempts, job.evaluation_slot)
    rows = [{"gate": gate, "node": node, "updates": number} for gate, node, number in found.by_gate_and_node]
    return _result(
        REFUSED_UPDATES,
        refused_updates(found, job.spec.aggregation.robust.tolerated),
        {"refused": found.refused, "judged": found.judged, "share": tables.rounded(found.share)},
        {"nodes": tables.table(rows)} if rows else {},
    )


def norm_drift_result(
    instance: dg.DagsterInstance, partition: str, diagnostics: RoundDiagnostics
) -> dg.AssetCheckResult:
    """The result of `update_norm_drift`; the norms of earlier rounds are those that Dagster has recorded."""
    job, number = partitions.parse_round_key(partition)
    before = [
        norm
        for earlier in range(max(1, number - RECENT_ROUNDS), number)
        if (norm := _recorded_norm(instance, partitions.round_key(job, earlier))) is not None
    ]
    median = median_norm(diagnostics)
    return _result(
        UPDATE_NORM_DRIFT,
        norm_drift(median, before),
        {MEDIAN_NORM: tables.rounded(median), "rounds_compared": len(before)},
    )


def settled_result(settlement: Settlement, now: float) -> dg.AssetCheckResult:
    """The result of `settled_in_time`; `now` is in unix seconds."""
    facts = {"settled": settlement.state, "backlog": settlement.backlog}
    return _result(SETTLED_IN_TIME, settled_in_time(settlement, now), facts)


def cost_result(cost: JobCost | None) -> dg.AssetCheckResult:
    """The result of `cost_within_plan`; None for a chain that does not answer."""
    if cost is None:
        return _result(COST_WITHIN_PLAN, NO_COST, {})
    facts = {
        "paid": cost.paid,
        "reserved": cost.reserved,
        "planned": cost.planned,
        "free": cost.free,
        "rounds_left_cost": cost.needed,
    }
    return _result(COST_WITHIN_PLAN, cost_within_plan(cost), facts)


def _result(
    spec: dg.AssetCheckSpec,
    finding: Finding,
    facts: Mapping[str, int | float | str],
    shown: Mapping[str, dg.MetadataValue] | None = None,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=spec.name,
        asset_key=spec.asset_key,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if finding.severe else dg.AssetCheckSeverity.WARN,
        description=finding.text,
        metadata={**facts, **(shown or {})},
    )


def _recorded_norm(instance: dg.DagsterInstance, partition: str) -> float | None:
    """The median norm of an earlier round; None if the round was recorded without it, by an older version."""
    record = newest_record(instance, "aggregated_checkpoint", partition)
    event = record.asset_materialization if record else None
    found = event.metadata.get(MEDIAN_NORM) if event else None
    return found.value if isinstance(found, dg.FloatMetadataValue) else None
