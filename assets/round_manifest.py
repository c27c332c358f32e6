"""The asset `round_manifest`: train every missing shard of a round, over the whole fleet at once."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import dagster as dg

from assets import partitions
from assets.adapter_events import AdapterEvents
from assets.base_checkpoint import base_checkpoint
from assets.fleet_run.progress import RoundProgress
from assets.fleet_run.running import run_tasks
from assets.launch.begin_round import begin_round
from assets.launch.find_job import find_round
from assets.plain_errors import plain_errors
from assets.recorded.inputs import round_inputs, updates_tags
from assets.round_checks import REFUSED_UPDATES, refused_result
from assets.shard_adapter import adapter_partition, shard_adapter
from assets.shown import graph, plots, tables
from atlas.documents.manifests import RoundManifest
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.dispatch import events
from resources.dispatch.outcomes import CompletedTask, TaskOutcome
from resources.errors import QuorumError
from resources.fleet import FleetResource
from resources.jobs.opened import OpenJob
from resources.ledger import LedgerResource
from resources.rounds.causes import Cause, describe_causes
from resources.rounds.reference_update import reference_update
from resources.rounds.round import Round

QUORUM = dg.AssetCheckSpec(
    "quorum",
    asset="round_manifest",
    blocking=True,
    description="Enough shards have delivered an update that passed the gates.",
)


@dg.asset(
    partitions_def=partitions.rounds,
    deps=[base_checkpoint, shard_adapter],
    check_specs=[QUORUM, REFUSED_UPDATES],
    group_name="federated",
    kinds={"json"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_WRITTEN,
)
@plain_errors
def round_manifest(
    context: dg.AssetExecutionContext,
    coordinator: CoordinatorResource,
    fleet: FleetResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: dg.ResourceParam[RoundProgress],
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckResult | dg.MaterializeResult]:
    """The accepted updates of a round. Trains the missing shards, and takes over results of earlier runs."""
    begin_round(context, coordinator)
    round_ = find_round(context.partition_key, coordinator, content, ledger)
    name = round_.job.name
    reference = reference_update(round_, progress.note)
    events_of = AdapterEvents(context.instance, context.run.run_id, round_.job, round_.number, content.link).of
    outcomes: list[TaskOutcome] = []
    for outcome in run_tasks(
        context,
        round_,
        round_.training_tasks(),
        fleet=fleet,
        progress=progress,
        address=("shard_adapter", adapter_partition(name)),
        check=round_.gate(),
    ):
        outcomes.append(outcome)
        if isinstance(outcome, CompletedTask):
            yield from events_of(outcome)
    try:
        manifest = round_.build_manifest(outcomes, reference)
    except QuorumError as error:
        yield refused_result(round_.job, round_.attempts)
        yield _quorum(round_.job, 0, round_.causes(outcomes), error)
        raise
    for text in events.left_out(manifest, outcomes):
        context.log.warning("%s", text)
        progress.note(f"  {text}")
    causes = round_.causes(outcomes)
    too_few = round_.too_few(manifest, causes)
    yield dg.MaterializeResult(
        metadata={"content": content.link(manifest.cid), **_metadata(round_, manifest, outcomes)},
        data_version=dg.DataVersion(manifest.cid),
        tags={
            **round_inputs(context, "base_checkpoint"),
            **updates_tags(context.instance, {update.shard: update.adapter for update in manifest.updates}),
        },
        check_results=[
            refused_result(round_.job, round_.attempts),
            _quorum(round_.job, len(manifest.updates), causes, too_few),
        ],
    )
    if too_few is not None:
        raise too_few


def _quorum(job: OpenJob, updates: int, causes: Sequence[Cause], error: QuorumError | None) -> dg.AssetCheckResult:
    shards = len(job.dataset.shards)
    return dg.AssetCheckResult(
        check_name="quorum",
        passed=error is None,
        description=str(error) if error else describe_causes(causes, shards) if causes else None,
        metadata={
            "updates": updates,
            "shards": shards,
            "needed": job.spec.aggregation.quorum,
            "causes": tables.table(asdict(cause) for cause in causes),
        },
    )


def _metadata(round_: Round, manifest: RoundManifest, outcomes: Sequence[TaskOutcome]) -> dict[str, dg.MetadataValue]:
    completed = [outcome for outcome in outcomes if isinstance(outcome, CompletedTask)]
    receipts = {outcome.receipt_cid: outcome.receipt for outcome in completed}
    curves = {
        outcome.task.shard or "": [(point.step, point.loss) for point in outcome.receipt.losses]
        for outcome in completed
    }
    picture = plots.overview_chart(curves, "step", "loss")
    named = plots.line_chart(curves, "step", "loss")
    return {
        "cid": dg.MetadataValue.text(manifest.cid),
        "base": dg.MetadataValue.text(manifest.base),
        **tables.update_tables(round_.attempts, receipts, round_.job.dataset),
        "accepted": dg.MetadataValue.int(len(manifest.updates)),
        "refused": tables.refused_table(manifest.refused),
        "loss_curves": dg.MetadataValue.md(plots.as_markdown(picture, "loss by step, one line per shard")),
        "loss_curves_by_name": dg.MetadataValue.md(plots.as_markdown(named, "loss by step, with the shards' names")),
    }
