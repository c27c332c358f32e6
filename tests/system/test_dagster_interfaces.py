"""Dagster's own commands on a fresh instance: a round, a shard alone, the next round, a retraining by schedule."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from assets.recorded.records import newest_record, recorded_version
from atlas.content.format.cid import cid_of_bytes
from atlas.home import AtlasHome
from atlas_pipelines.definitions import defs
from atlas_pipelines.sensors import next_round
from resources.jobs.registry import Attempt, JobRegistry, RoundRef
from resources.jobs.schedules import JobSchedules
from resources.local.network import ensure_local_network
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]


MODULE = "atlas_pipelines.definitions"
PROGRAMS = Path(sys.executable).parent
RETRAIN = """
import datetime as dt, json, sys
import dagster as dg
from atlas_pipelines.definitions import defs

with dg.DagsterInstance.get() as instance:
    monday = dt.datetime(2026, 1, 5, 3, tzinfo=dt.UTC)
    schedule = defs.resolve_schedule_def("retrain_tiny")
    ticks = list(schedule(dg.build_schedule_context(instance=instance, scheduled_execution_time=monday)))
    result = defs.resolve_job_def("federated_round").execute_in_process(
        instance=instance, partition_key=ticks[0].partition_key, run_config=ticks[0].run_config, tags=ticks[0].tags
    )
    facts = {
        "keys": [tick.partition_key for tick in ticks],
        "registered": sorted(instance.get_dynamic_partitions("round")),
        "success": result.success,
        "modules": sorted(sys.modules),
    }
print("FACTS", json.dumps(facts))
"""


class Place:
    """A home whose local network runs, and a Dagster instance that starts empty."""

    def __init__(self, root: Path) -> None:
        self.home = AtlasHome(root / "atlas")
        self.dagster = root / "dagster"
        self.dagster.mkdir()
        self.environment = {
            **os.environ,
            "ATLAS_HOME": str(self.home.root),
            "DAGSTER_HOME": str(self.dagster),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment to its end; fails with what it printed when it fails."""
        done = subprocess.run(
            [PROGRAMS / program, *arguments], cwd=REPOSITORY, env=self.environment, text=True, capture_output=True
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
        return done.stdout

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.dagster))

    def attempts(self, job: str, number: int) -> dict[int, Attempt]:
        """The only attempt of each slot."""
        registry = JobRegistry(self.home.jobs_database)
        row = registry.job(job)
        found = registry.attempts(RoundRef(row.contract, row.job_id, number))
        assert len({attempt.slot for attempt in found}) == len(found)
        return {attempt.slot: attempt for attempt in found}


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model, tiny_csv):
    root = tmp_path_factory.mktemp("dagster")
    place = Place(root)
    spec = {
        "name": "anything",
        "model": {"source": f"path:{tiny_model}", "task": "sequence-classification"},
        "dataset": {"source": str(tiny_csv), "labels": ["negative", "positive"], "shard_by": {"column": "domain"}},
        "lora": {"rank": 4, "target_modules": ["query", "value"]},
        "training": {"steps": 4, "batch_size": 4, "max_length": 16, "checkpoint_every": 2},
        "rounds": 2,
        "payment": {"budget": 1_000_000, "reward_per_task": 100_000},
        "schedule": {"cron": "0 3 * * 1", "timezone": "Europe/Berlin"},
    }
    (root / "spec.yaml").write_text(yaml.safe_dump(spec))
    config = {"ops": {"base_checkpoint": {"config": {"spec": str(root / "spec.yaml"), "seed": 5}}}}
    (root / "run.yaml").write_text(yaml.safe_dump(config))
    with ensure_local_network(place.home, agents=2, threads=1):
        place.run(
            *("dagster", "job", "execute", "-m", MODULE, "-j", "federated_round"),
            *("--tags", json.dumps({"dagster/partition": "tiny-r0001"}), "-c", str(root / "run.yaml")),
        )
        yield place


@pytest.fixture(scope="module")
def second_round(place):
    """Train one shard of the second round alone, ask the sensor what comes next, and launch that."""
    asset = ("dagster", "asset", "materialize", "-m", MODULE, "--select")
    place.run(*asset, "base_checkpoint", "--partition", "tiny-r0002")
    place.run(*asset, "shard_adapter", "--partition", "tiny-r0002|tiny-s001")
    alone = place.attempts("tiny", 2)
    with place.instance() as instance:
        tick = next_round(dg.build_sensor_context(instance=instance, definitions=defs))
    (request,) = tick.run_requests
    assert "run requests for 1 run(s)" in place.run("dagster", "sensor", "preview", "next_round", "-m", MODULE)
    place.run("dg", "launch", "--job", "federated_round", "--partition", request.partition_key)
    return alone, request.partition_key, place.attempts("tiny", 2)


def test_a_round_runs_on_an_empty_instance(place):
    with place.instance() as instance:
        assert instance.get_dynamic_partitions("job") == ["tiny"]
        assert instance.get_dynamic_partitions("round") == ["tiny-r0001", "tiny-r0002"]
        for asset in ("base_checkpoint", "round_manifest", "aggregated_checkpoint", "evaluation", "reward_settlement"):
            assert recorded_version(instance, asset, "tiny-r0001"), asset
        resolver = CachingStaleStatusResolver(instance, defs.resolve_asset_graph(), LoadingContextForTest(instance))
        adapters = [("shard_adapter", f"tiny-r0001|tiny-s00{index}") for index in range(4)]
        for asset, partition in (("round_manifest", "tiny-r0001"), ("reward_settlement", "tiny-r0001"), *adapters):
            assert resolver.get_stale_causes(dg.AssetKey(asset), partition) == []
        shards = [f"tiny-s00{index}" for index in range(4)]
        assert all(recorded_version(instance, "dataset_shard", shard) for shard in shards)
        assert all(recorded_version(instance, "shard_adapter", f"tiny-r0001|{shard}") for shard in shards)


def test_the_schedule_of_the_jobs_file_is_kept(place):
    budget, schedule = JobSchedules(place.home.jobs_database).get("tiny")
    assert (budget, schedule.cron, schedule.timezone) == (1_000_000, "0 3 * * 1", "Europe/Berlin")


def test_a_data_version_is_the_cid_of_the_bytes(place):
    with place.instance() as instance:
        for asset, partition in (
            ("dataset", "tiny"),
            ("round_manifest", "tiny-r0001"),
            ("shard_adapter", "tiny-r0001|tiny-s002"),
        ):
            cid = recorded_version(instance, asset, partition)
            assert cid_of_bytes((place.home.content / cid[-2:] / cid).read_bytes()) == cid


def test_the_metadata_shows_what_a_person_wants_to_see(place):
    with place.instance() as instance:

        def metadata(asset: str, partition: str = "tiny-r0001") -> dict[str, dg.MetadataValue]:
            return newest_record(instance, asset, partition).asset_materialization.metadata

        curve = metadata("shard_adapter", "tiny-r0001|tiny-s000")["loss_curve"]
        assert curve.value.startswith("![loss by step](data:image/svg+xml;base64,")
        updates = [record.data for record in metadata("round_manifest")["updates"].records]
        assert [(update["shard"], update["verdict"]) for update in updates] == [
            (f"s00{index}", "accepted") for index in range(4)
        ]
        assert {row.data["metric"] for row in metadata("evaluation")["metrics"].records} >= {"loss", "accuracy"}
        settlement = metadata("reward_settlement")
        assert settlement["paid"].value == 500_000
        assert sum(row.data["credited"] for row in settlement["payouts"].records) == 500_000
        assert "seed: 5" in metadata("base_checkpoint")["order"].value


def test_one_shard_alone_is_trained_and_its_round_adopts_it(second_round):
    alone, _, whole = second_round
    assert {slot: attempt.state for slot, attempt in alone.items()} == {1: "completed"}
    assert set(whole) == {0, 1, 2, 3, 4}
    assert whole[1] == alone[1], "the shard was trained a second time"


def test_the_sensor_asks_for_the_round_that_is_next(second_round):
    assert second_round[1] == "tiny-r0002"


@pytest.mark.usefixtures("second_round")
@pytest.mark.parametrize(
    "command",
    [
        ("launch", "--tags", '{"dagster/partition": "tiny-r0001"}'),
        ("backfill", "--partitions", "tiny-r0001", "--noprompt"),
    ],
)
def test_a_round_is_queued_for_the_daemon(place, command):
    with place.instance() as instance:
        known = {run.run_id for run in instance.get_runs()}
        place.run("dagster", "job", *command, "-m", MODULE, "-j", "federated_round")
        (run,) = [run for run in instance.get_runs() if run.run_id not in known]
        assert (run.status, run.tags["dagster/partition"]) == (dg.DagsterRunStatus.QUEUED, "tiny-r0001")
        instance.delete_run(run.run_id)


def test_the_schedules_are_previewed(place):
    assert "+ weekly_retraining" in place.run("dagster", "schedule", "preview", "-m", MODULE)


def test_the_definitions_are_checked(place):
    place.run("dg", "check", "defs")


def test_the_dataset_job_gives_what_the_round_gave(place):
    with place.instance() as instance:
        before = recorded_version(instance, "dataset", "tiny")
    place.run("dg", "launch", "--job", "prepare_dataset", "--partition", "tiny")
    with place.instance() as instance:
        assert recorded_version(instance, "dataset", "tiny") == before
        records = instance.fetch_materializations(dg.AssetKey("dataset"), limit=10).records
    assert len(records) == 2


@pytest.mark.usefixtures("second_round")
def test_a_retraining_by_schedule_runs_without_the_training_libraries(place):
    done = subprocess.run(
        [sys.executable, "-c", RETRAIN], cwd=REPOSITORY, env=place.environment, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-8000:]
    facts = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("FACTS"))[6:])
    assert facts["success"]
    assert facts["keys"] == ["tiny-202601050400-r0001", "tiny-202601050400-r0002"]
    assert set(facts["keys"]) <= set(facts["registered"])
    assert {"torch", "transformers", "peft"}.isdisjoint(facts["modules"])
    registry = JobRegistry(place.home.jobs_database)
    assert registry.job("tiny-202601050400").dataset_cid == registry.job("tiny").dataset_cid
    assert list(JobSchedules(place.home.jobs_database).all()) == ["tiny"]
