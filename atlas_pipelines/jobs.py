"""The Dagster jobs: a whole round, only the dataset of a job, or the plan of an order."""

import dagster as dg

from assets import partitions
from assets.alert import send_alert
from assets.plan import plan_order
from assets.run_tags import round_tags

CONTINUED = {
    "dagster/max_retries": "3",
    "dagster/retry_strategy": "ALL_STEPS",
    "dagster/retry_on_asset_or_op_failure": "false",
}
"""Dagster's tags for a run that the daemon launches again when its process was killed, but not when a step failed."""


def unattended_round(key: str, config: dg.RunConfig | None = None) -> dg.RunRequest:
    """The request for a round that a sensor or schedule launches; Dagster launches a run key only once."""
    return dg.RunRequest(run_key=key, partition_key=key, run_config=config, tags={**round_tags(key), **CONTINUED})


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
    description="Sends one alert through one hook of the operator's settings. The sensors alert_on_* launch it.",
)
def alert() -> None:
    """One op, which is retried until the alert is delivered or given up."""
    send_alert()
