"""The events of a round's adapters, recorded as they arrive."""

import dagster as dg

from assets import partitions
from assets.dataset import Link
from assets.recorded.inputs import input_tags
from assets.recorded.records import is_recorded, newest_record, newest_records
from assets.shard_adapter import adapter_event, adapter_partition
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.opened import OpenJob


class AdapterEvents:
    """Makes the event of each adapter of a round.

    Reads the records of all shards at once, before the first adapter arrives: only this run trains the job's shards,
    and with a query per adapter the time of a round of 1,000 shards doubles.
    """

    def __init__(self, instance: dg.DagsterInstance, run_id: str, job: OpenJob, number: int, link: Link) -> None:
        self._run_id, self._job, self._link = run_id, job.name, link
        shards = [shard.key for shard in job.dataset.shards]
        adapters = [str(partitions.round_shard_key(job.name, number, shard)) for shard in shards]
        self._base = newest_record(instance, "base_checkpoint", partitions.round_key(job.name, number))
        self._data = newest_records(
            instance, "dataset_shard", [partitions.shard_key(job.name, shard) for shard in shards]
        )
        self._adapters = newest_records(instance, "shard_adapter", adapters)

    def of(self, outcome: CompletedTask) -> list[dg.AssetMaterialization]:
        """The event for an adapter; [] if its partition's newest materialization has the same data version."""
        data = self._data.get(partitions.shard_key(self._job, outcome.task.shard or ""))
        made_from = input_tags([self._base, data], self._run_id)
        event = adapter_event(self._job, outcome, self._link, made_from)
        newest = self._adapters.get(adapter_partition(self._job)(outcome.task))
        return [] if is_recorded(event, newest) else [event]
