"""The asset `shard_adapter`: the adapter that one node trains on one shard in one round."""

from collections.abc import Callable, Mapping

import dagster as dg

from assets import partitions
from assets.base_checkpoint import base_checkpoint
from assets.dataset import Link, dataset_shard
from assets.fleet_run.progress import RoundProgress
from assets.fleet_run.running import run_tasks
from assets.launch.find_job import find_round
from assets.plain_errors import plain_errors
from assets.recorded.inputs import input_tags
from assets.recorded.records import DATA_VERSION, newest_record
from assets.shown import graph, plots, tables
from atlas.errors import SpecError
from atlas.spec.job import TaskSpec
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.dispatch.outcomes import CompletedTask
from resources.fleet import FleetResource
from resources.ledger import LedgerResource


@dg.asset(
    description="The LoRA adapter that one node trained on one shard in one round. Its partitions are every round with "
    "every shard of all jobs; only those whose round and shard are of the same job are ever materialized. "
    "round_manifest materializes all shards of its round; materialize one here to train that shard alone. A partition "
    "without an adapter is not trained yet, lost or refused; round_manifest has the reason.",
    partitions_def=partitions.round_shards,
    deps=[dataset_shard, base_checkpoint],
    group_name="federated",
    kinds={"huggingface", "safetensors"},
    owners=graph.NODES,
    tags=graph.CHAIN_WRITTEN,
    pool="nodes",
)
@plain_errors
def shard_adapter(
    context: dg.AssetExecutionContext,
    coordinator: CoordinatorResource,
    fleet: FleetResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: dg.ResourceParam[RoundProgress],
) -> dg.MaterializeResult:
    """A LoRA adapter that one node trained on one shard; round_manifest trains all shards of a round at once."""
    key = context.partition_key.keys_by_dimension
    round_ = find_round(key["round"], coordinator, content, ledger)
    shard = shard_of_round(key["round"], key["shard"])
    (outcome,) = run_tasks(
        context,
        round_,
        round_.training_tasks(shards=[shard]),
        fleet=fleet,
        progress=progress,
        address=("shard_adapter", adapter_partition(round_.job.name)),
        check=round_.gate(),
    )
    if not isinstance(outcome, CompletedTask):
        raise round_.task_lost(f"Shard {shard} was not trained in round {round_.number}", outcome)
    inputs = [("base_checkpoint", key["round"]), ("dataset_shard", key["shard"])]
    return dg.MaterializeResult(
        metadata=adapter_metadata(outcome, content.link),
        data_version=dg.DataVersion(outcome.result),
        tags=input_tags((newest_record(context.instance, *one) for one in inputs), context.run.run_id),
    )


def shard_of_round(round_key: str, shard_key: str) -> str:
    """The shard's key in its manifest; raises `SpecError` when round and shard belong to different jobs."""
    job, _ = partitions.parse_round_key(round_key)
    owner, shard = partitions.parse_shard_key(shard_key)
    if owner != job:
        raise SpecError(f"The round {round_key} is of job {job!r}, but the shard {shard_key} is of job {owner!r}.")
    return shard


def adapter_partition(job: str) -> Callable[[TaskSpec], str]:
    """A function from a training task of this job to its partition of `shard_adapter`."""
    return lambda task: str(partitions.round_shard_key(job, task.round, task.shard or ""))


def adapter_event(
    job: str, outcome: CompletedTask, link: Link, made_from: Mapping[str, str]
) -> dg.AssetMaterialization:
    """The event for a shard's adapter, recorded when it arrives; `made_from` are the tags of its inputs."""
    return dg.AssetMaterialization(
        "shard_adapter",
        partition=adapter_partition(job)(outcome.task),
        metadata=adapter_metadata(outcome, link),
        tags={**made_from, DATA_VERSION: outcome.result},
    )


def adapter_metadata(outcome: CompletedTask, link: Link) -> dict[str, dg.MetadataValue]:
    """The metadata of an adapter: its node, its cost in steps, rows and seconds, and the loss curve as a picture."""
    receipt = outcome.receipt
    curve = [(point.step, point.loss) for point in receipt.losses]
    facts: dict[str, dg.MetadataValue] = {
        "cid": dg.MetadataValue.text(outcome.result),
        "content": link(outcome.result),
        "node": dg.MetadataValue.int(outcome.node_id),
        "address": dg.MetadataValue.text(outcome.receipt.node),
        "attempt": dg.MetadataValue.int(outcome.receipt.attempt),
        "steps": dg.MetadataValue.int(receipt.steps),
        "rows": dg.MetadataValue.int(outcome.task.rows),
        "rows_seen": dg.MetadataValue.int(receipt.rows_seen),
        "tokens_seen": dg.MetadataValue.int(receipt.tokens_seen),
        "seconds": dg.MetadataValue.float(round(receipt.finished_at - receipt.started_at, 1)),
        "device": dg.MetadataValue.text(receipt.environment.device),
        "receipt": dg.MetadataValue.text(outcome.receipt_cid),
        "base": dg.MetadataValue.text(outcome.task.base),
    }
    if receipt.resumed_from is not None:
        facts["resumed_from"] = dg.MetadataValue.text(receipt.resumed_from)
    if curve:
        facts["loss"] = dg.MetadataValue.float(tables.rounded(curve[-1][1]))
        picture = plots.line_chart({outcome.task.shard or "": curve}, "step", "loss")
        facts["loss_curve"] = dg.MetadataValue.md(plots.as_markdown(picture, "loss by step"))
    return facts
