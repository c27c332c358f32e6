"""How `base_checkpoint` and `round_manifest` begin: lock the job for this run, and tag the run with job and process."""

import dagster as dg

from assets import partitions
from assets.fleet_run.run_process import PROCESS_TAG, process_tag
from assets.recorded.run_tags import round_tags
from resources.coordinator import CoordinatorResource


def begin_round(context: dg.AssetExecutionContext, coordinator: CoordinatorResource) -> tuple[str, int]:
    """Lock the job of the step's round until the run ends; return the job's name and the round's number.

    Raises `JobAtWork` while another run holds the job, and `SpecError` for a partition that is not a round.
    """
    key, run_id = context.partition_key, context.run.run_id
    name, number = partitions.parse_round_key(key)
    coordinator.hold_job(name, run_id)
    context.instance.add_run_tags(run_id, {PROCESS_TAG: process_tag(run_id), **round_tags(key)})
    return name, number
