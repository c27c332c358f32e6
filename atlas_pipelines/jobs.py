"""The Dagster jobs: start a job, one whole round, only the dataset of a job, the plan of an order, or an alert."""

import dagster as dg

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from assets.launch.order import find_spec
from assets.ops.alert import send_alert
from assets.ops.plan import plan_order
from assets.ops.start import start_op
from assets.recorded.run_tags import round_tags
from atlas.spec.job import JobSpec

CONTINUED = {
    "dagster/max_retries": "3",
    "dagster/retry_strategy": "ALL_STEPS",
    "dagster/retry_on_asset_or_op_failure": "false",
}
"""Dagster's tags for a run that the daemon launches again when its process was killed, but not when a step failed."""


def unattended_round(key: str, config: dg.RunConfig | None = None, occasion: str | None = None) -> dg.RunRequest:
    """The request for a round that a sensor or schedule launches; Dagster launches it only once for each occasion."""
    run_key = key if occasion is None else f"{occasion}/{key}"
    return dg.RunRequest(run_key=run_key, partition_key=key, run_config=config, tags={**round_tags(key), **CONTINUED})


def retraining_requests(name: str, job: str, rounds: int) -> list[dg.RunRequest]:
    """One request per round of a job's retraining; its first round opens it."""
    config = dg.RunConfig(ops={"base_checkpoint": LaunchConfig(repeat=job)})
    return [unattended_round(partitions.round_key(name, number), config) for number in range(1, rounds + 1)]


federated_round = dg.define_asset_job(
    "federated_round",
    selection=dg.AssetSelection.assets(
        "base_checkpoint",
        "round_manifest",
        "aggregated_checkpoint",
        "evaluation",
        "reward_settlement",
    ),
    description="One round of a job: train every shard that is missing, aggregate, evaluate, pay.",
    executor_def=dg.in_process_executor,
    config=dg.PartitionedConfig(
        partitions_def=partitions.rounds,
        run_config_for_partition_key_fn=lambda key: {},
        tags_for_partition_key_fn=round_tags,
    ),
)

prepare_dataset = dg.define_asset_job(
    "prepare_dataset",
    selection=dg.AssetSelection.assets("dataset"),
    description="Read a job's data source, cut it into shards and write the manifest.",
    executor_def=dg.in_process_executor,
)


@dg.job(
    executor_def=dg.in_process_executor,
    description="What a job would do, take and cost: shards, rows, memory, nodes, time and money. "
    "The chain is only read.",
)
def plan() -> None:
    """One op, whose metadata is the plan."""
    plan_order()


@dg.job(
    executor_def=dg.in_process_executor,
    tags={"atlas/alert": "true"},
    description="Sends one alert through one hook of the operator's settings. The sensors alert_on_* launch it.",
)
def alert() -> None:
    """One op, which is retried until the alert is delivered or given up."""
    send_alert()


def _starting(name: str, op: str, example: str, description: str) -> dg.JobDefinition:
    """A job of one op, which opens an order. Its launchpad begins with an example, if the examples are installed."""
    path = find_spec(f"examples/{example}")
    opening = start_op(op, JobSpec.load(path) if path.is_file() else None)

    @dg.job(name=name, executor_def=dg.in_process_executor, description=description)
    def start() -> None:
        opening()

    return start


start_job = _starting(
    "start_job",
    "open_order",
    "sentiment.yaml",
    "Open a job and launch its rounds. The launchpad has the whole order, filled in with examples/sentiment.yaml.",
)
start_hospitals = _starting(
    "start_hospitals",
    "open_hospitals",
    "hospitals.yaml",
    "As start_job, but filled in with examples/hospitals.yaml, whose data stays on its nodes. It needs "
    "`atlas up --nodes examples/hospitals-nodes.yaml`.",
)
