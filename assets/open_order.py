"""Open a job from a run: on chain, as partitions that the UI offers, and as materializations of its data."""

import dagster as dg
import yaml

from assets.dataset import dataset_event, shard_events
from assets.fleet_run.progress import RoundProgress
from assets.launch.find_job import register_partitions
from assets.recorded.records import unless_recorded
from assets.recorded.source_version import source_facts, source_version
from atlas.content.store import ContentStore
from atlas.spec.job import JobSpec
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.automation import RetrainingRules
from resources.jobs.open_job import open_job
from resources.jobs.opened import OpenJob, refuse_ended_job
from resources.ledger import LedgerResource


def open_order(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    order: JobSpec,
    number: int,
    store: ContentStore,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
    progress: RoundProgress,
    rules: RetrainingRules | None = None,
) -> tuple[OpenJob, list[dg.AssetMaterialization]]:
    """Open a job, or load the one of this name and order, and register its partitions.

    A new job gets the rules, by which it is ordered again; an opened one keeps those that it has.

    Returns it with the materializations of its dataset and shards that are not recorded yet. Raises what `open_job`
    raises, and `JobEnded` when the job has ended before its round `number` began.
    """
    version = None  # of the source; determined before its rows are read
    if coordinator.registry.job(order.name) is None:
        version = source_version(order.dataset, coordinator.home.root / "cache", context.log)
        # Before the job is recorded: a run that crashes in between repeats both.
        rules = rules or RetrainingRules()
        coordinator.automations.put(order.name, order.payment.budget, rules.automation)
        coordinator.schedules.put(order.name, order.payment.budget, rules.schedule)
    job = open_job(
        order, coordinator.home, store, coordinator.registry, ledger.client, progress.note, on_reading=progress.passing
    )
    refuse_ended_job(job, number, ledger.client)
    register_partitions(context.instance, job)
    read = dataset_event(job.name, job.dataset, content.link, source_facts(order.dataset, version))
    events = [read, *shard_events(job.name, job.dataset, content.link)]
    return job, unless_recorded(context.instance, events)


def job_facts(job: OpenJob) -> dict[str, dg.MetadataValue]:
    """The metadata of an opened job: its number on chain, its documents, and its order as YAML."""
    text = yaml.safe_dump(job.spec.model_dump(mode="json"), sort_keys=False)
    return {
        "job": dg.MetadataValue.text(job.name),
        "job_on_chain": dg.MetadataValue.int(job.job_id),
        "contract": dg.MetadataValue.text(job.contract),
        "spec": dg.MetadataValue.text(job.spec_cid),
        "model": dg.MetadataValue.text(job.model_cid),
        "dataset": dg.MetadataValue.text(job.dataset_cid),
        "order": dg.MetadataValue.md(f"```yaml\n{text}```"),
    }
