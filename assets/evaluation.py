"""The asset `evaluation`: metrics of a round's checkpoint on rows that no node has trained on."""

from collections.abc import Mapping

import dagster as dg

from assets import partitions
from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.fleet_run.progress import RoundProgress
from assets.fleet_run.running import run_tasks
from assets.launch.find_job import find_round
from assets.plain_errors import plain_errors
from assets.recorded.inputs import round_inputs
from assets.recorded.records import recorded_cid
from assets.shown import graph, tables
from atlas.documents.metric_names import measures_of_the_model
from atlas.ids import Cid
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.dispatch.outcomes import CompletedTask
from resources.fleet import FleetResource
from resources.ledger import LedgerResource
from resources.rounds.evaluating import evaluation_result, plain_mean_of

NO_WORSE = dg.AssetCheckSpec(
    "no_worse_than_base",
    asset="evaluation",
    description="The checkpoint is not worse than its base, by accuracy and loss on the same rows. An error if one of "
    "them is worse by more than two standard errors, and the loss also by more than evaluation.tolerance; a warning if "
    "it is worse by less. A classifier's loss may rise within the tolerance.",
)


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[aggregated_checkpoint],
    check_specs=[NO_WORSE],
    group_name="evaluation",
    kinds={"huggingface"},
    owners=graph.NODES,
    tags=graph.CHAIN_WRITTEN,
)
@plain_errors
def evaluation(
    context: dg.AssetExecutionContext,
    coordinator: CoordinatorResource,
    fleet: FleetResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: dg.ResourceParam[RoundProgress],
) -> dg.MaterializeResult:
    """Loss and accuracy of a round's checkpoint and of its base on the held-out rows, measured by one node."""
    round_ = find_round(context.partition_key, coordinator, content, ledger)
    job, checkpoint = round_.job, recorded_cid(context, "aggregated_checkpoint")
    (outcome,) = run_tasks(
        context,
        round_,
        [round_.plan_evaluation(checkpoint)],
        fleet=fleet,
        progress=progress,
        address=("evaluation", lambda task: context.partition_key),
    )
    if not isinstance(outcome, CompletedTask):
        raise round_.task_lost(f"The checkpoint of round {round_.number} was not evaluated", outcome)
    result = evaluation_result(job, outcome)
    return dg.MaterializeResult(
        metadata={
            "receipt": outcome.receipt_cid,
            "content": content.link(outcome.receipt_cid),
            "checkpoint": checkpoint,
            "base": round_.base,
            "node": outcome.node_id,
            "rows": job.dataset.holdout.rows,
            "metrics": tables.metrics_table(result.base, result.checkpoint),
            **_left_out(round_.checkpoints_without(checkpoint), outcome),
            **_plain_mean(plain_mean_of(outcome.task, round_.store), outcome),
            **{
                name: dg.MetadataValue.float(tables.rounded(result.checkpoint[name]))
                for name in measures_of_the_model(result.checkpoint)
            },
        },
        data_version=dg.DataVersion(outcome.receipt_cid),
        tags=round_inputs(context, "aggregated_checkpoint"),
        check_results=[
            dg.AssetCheckResult(
                check_name="no_worse_than_base",
                passed=result.passed,
                # Neither severity stops the round: completed training is paid.
                severity=dg.AssetCheckSeverity.ERROR if result.verdict.failed else dg.AssetCheckSeverity.WARN,
                description=result.verdict.sentence,
                metadata={
                    "loss": tables.rounded(result.checkpoint["loss"]),
                    "base_loss": tables.rounded(result.base["loss"]),
                    "tolerance": job.spec.evaluation.tolerance,
                },
            )
        ],
    )


def _left_out(without: Mapping[str, Cid], outcome: CompletedTask) -> dict[str, dg.MetadataValue]:
    """The loss of the checkpoint without each update, where measured. The scores are computed from these losses."""
    metrics = outcome.receipt.metrics
    rows = [
        {
            "left_out": shard,
            "loss": tables.rounded(metrics[cid]["loss"]),
            "loss_with_all": tables.rounded(metrics[cid]["reference_loss"]),
            "checkpoint": cid,
        }
        for shard, cid in without.items()
        if cid in metrics
    ]
    return tables.table_with_cids("leave_one_out", rows, ["left_out"], ["checkpoint"]) if rows else {}


def _plain_mean(cid: Cid | None, outcome: CompletedTask) -> dict[str, dg.MetadataValue]:
    """The loss that plain averaging would have given; empty unless the robust rule changed the result."""
    if cid is None:
        return {}
    metrics = outcome.receipt.metrics[cid]
    with_rule = tables.rounded(metrics["reference_loss"])
    row = {"loss": tables.rounded(metrics["loss"]), "loss_with_the_rule": with_rule}
    return {"plain_mean": tables.table([row]), "plain_mean_checkpoint": dg.MetadataValue.text(cid)}
