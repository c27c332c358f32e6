"""How good a round's checkpoint is on rows that no node has trained on."""

from collections.abc import Mapping

import dagster as dg

from assets import partitions, tables
from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.opening import find_round
from assets.plain_errors import plain_errors
from assets.progress import Progress
from assets.recorded import recorded_cid
from assets.running import run_tasks
from resources import rounds
from resources.causes import task_lost
from resources.content import ContentResource
from resources.fleet import FleetResource
from resources.ledger import LedgerResource
from resources.outcomes import CompletedTask
from resources.scoring import checkpoints_without

NO_WORSE = dg.AssetCheckSpec(
    "no_worse_than_base",
    asset="evaluation",
    description="The checkpoint's loss exceeds its base's by no more than evaluation.tolerance.",
)


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[aggregated_checkpoint],
    check_specs=[NO_WORSE],
    group_name="evaluation",
    kinds={"huggingface"},
)
@plain_errors
def evaluation(
    context: dg.AssetExecutionContext,
    fleet: FleetResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult:
    """Loss and accuracy of a round's checkpoint and of its base on the held-out rows, measured by one node."""
    job, number = find_round(context.partition_key, fleet, content, ledger)
    base = rounds.base_checkpoint(job, number, ledger.client)
    checkpoint = recorded_cid(context, "aggregated_checkpoint")
    without = checkpoints_without(job, checkpoint, content.store)
    (outcome,) = run_tasks(
        context,
        job,
        [rounds.evaluation_task(job, number, base, checkpoint, without)],
        fleet=fleet,
        ledger=ledger.client,
        store=content.store,
        progress=progress,
        address=("evaluation", lambda task: context.partition_key),
    )
    if not isinstance(outcome, CompletedTask):
        what = f"The checkpoint of round {number} was not evaluated"
        raise task_lost(job, number, what, outcome, fleet.registry, fleet.home.nodes)
    result = rounds.evaluation_result(job, outcome)
    return dg.MaterializeResult(
        metadata={
            "receipt": outcome.receipt_cid,
            "content": content.link(outcome.receipt_cid),
            "checkpoint": checkpoint,
            "base": base,
            "node": outcome.node_id,
            "rows": job.dataset.holdout.rows,
            "metrics": tables.metrics_table(result.base, result.checkpoint),
            **_left_out(without, outcome),
            **{
                name: dg.MetadataValue.float(value)
                for name, value in sorted(result.checkpoint.items())
                if name != "rows"
            },
        },
        data_version=dg.DataVersion(outcome.receipt_cid),
        check_results=[
            dg.AssetCheckResult(
                check_name="no_worse_than_base",
                passed=result.passed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "loss": result.checkpoint["loss"],
                    "base_loss": result.base["loss"],
                    "tolerance": job.spec.evaluation.tolerance,
                },
            )
        ],
    )


def _left_out(without: Mapping[str, str], outcome: CompletedTask) -> dict[str, dg.MetadataValue]:
    """The loss of the checkpoint without each update, when they were measured: the scores follow from it."""
    metrics = outcome.receipt.metrics
    rows = [
        {
            "left_out": shard,
            "loss": metrics[cid]["loss"],
            "loss_with_all": metrics[cid]["reference_loss"],
            "checkpoint": cid,
        }
        for shard, cid in without.items()
    ]
    return {"leave_one_out": tables.table(rows)} if rows else {}
