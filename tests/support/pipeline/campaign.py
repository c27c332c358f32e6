"""Jobs as Dagster and the coordinator have recorded them, and looks of the sensor that orders them again."""

import datetime as dt

import dagster as dg

from assets.recorded.records import DATA_VERSION
from assets.recorded.run_tags import JOB_TAG
from assets.recorded.source_version import source_facts
from atlas.content.format.cid import cid_of_bytes
from atlas.data.fingerprint import source_fingerprint
from atlas.spec.dataset import DatasetSpec
from atlas_pipelines.definitions import defs
from atlas_pipelines.retraining.on_events import order_jobs_again
from resources.coordinator import CoordinatorResource
from resources.jobs.automation import JobAutomation
from resources.jobs.registry import JobRow

BUDGET = 100
NEW_YEAR = dt.datetime(2026, 1, 31, 23, 30, tzinfo=dt.UTC)
CID = cid_of_bytes(b"any")


class Campaign:
    """A Dagster instance, a coordinator's home, and the sensor with the cursor that its last look left."""

    def __init__(self, instance: dg.DagsterInstance, coordinator: CoordinatorResource):
        self.instance, self.coordinator, self.cursor = instance, coordinator, None
        self.reason = ""

    def look(self, now: dt.datetime = NEW_YEAR) -> list[str]:
        """The partitions that the sensor requests; otherwise `reason` is that of the skipped tick."""
        with dg.build_sensor_context(instance=self.instance, definitions=defs, cursor=self.cursor) as context:
            found = order_jobs_again(context, self.coordinator, now)
            if isinstance(found, dg.SkipReason):
                self.cursor, self.reason = context.cursor, found.skip_message
                return []
        self.cursor = found.cursor
        (added,) = found.dynamic_partitions_requests
        assert added.partition_keys == [one.partition_key for one in found.run_requests]
        self.requests = found.run_requests
        return [one.partition_key for one in found.run_requests]

    def launch(self, name: str, status=dg.DagsterRunStatus.STARTED) -> dg.DagsterRun:
        """A run of the first round of a job."""
        return self.instance.create_run_for_job(
            defs.resolve_job_def("federated_round"), tags={JOB_TAG: name}, status=status
        )

    def open(self, name: str, source, version: str | None = "", rounds: int = 1) -> None:
        """What the opening of a job records; by default with the source's current version."""
        spec = DatasetSpec(source=str(source), shard_by={"rows": 1})
        version = self.version_of(source) if version == "" else version
        facts = source_facts(spec, version)
        if self.coordinator.registry.job(name) is None:
            self.coordinator.registry.save_job(JobRow(name, CID, CID, CID, CID, "contract", 1))
        self.instance.add_dynamic_partitions("job", [name])
        self.instance.add_dynamic_partitions("round", [f"{name}-r{at:04d}" for at in range(1, rounds + 1)])
        self.report("dataset", name, metadata=facts, tags={DATA_VERSION: f"manifest-{name}"})
        self.report("base_checkpoint", f"{name}-r0001", metadata={"dataset": f"manifest-{name}"})

    def settle(self, *keys: str) -> None:
        for key in keys:
            self.report("reward_settlement", key)

    def report(self, asset: str, partition: str, **fields) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, **fields))

    def version_of(self, source) -> str:
        return source_fingerprint(
            DatasetSpec(source=str(source), shard_by={"rows": 1}), self.coordinator.home.root / "fingerprints"
        )

    def automate(self, job: str, **events) -> None:
        self.coordinator.automations.put(job, BUDGET, JobAutomation(**events))

    def finish_retraining(self, source) -> str:
        """Open and settle the retraining that was requested last; returns its name."""
        name = self.requests[0].tags[JOB_TAG]
        self.open(name, source)
        self.settle(*(one.partition_key for one in self.requests))
        return name
