"""The job `start_hospitals`, launched with the order of its launchpad: four sites, whose rows stay on their nodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from atlas.home import AtlasHome
from atlas_pipelines.definitions import defs
from resources.jobs.registry import JobRegistry
from resources.local.network import ensure_local_network
from resources.local.node_file import read_node_file
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]

SHORTER = {"rounds": 1, "training": {"steps": 1, "batch_size": 2, "max_length": 16}, "dataset": {"holdout_rows": 20}}
CHECKS = {
    ("round_manifest", "quorum"),
    ("round_manifest", "refused_updates"),
    ("aggregated_checkpoint", "update_norm_drift"),
    ("aggregated_checkpoint", "replicas"),
    ("reward_settlement", "settled_in_time"),
    ("reward_settlement", "cost_within_plan"),
}


def launchpad() -> dict:
    """The config that the launchpad of `start_hospitals` begins with, with less work."""
    config = dg.validate_run_config(defs.resolve_job_def("start_hospitals"), {})
    order = config["ops"]["open_hospitals"]["config"]["order"]
    for name, change in SHORTER.items():
        order[name] = {**order[name], **change} if isinstance(change, dict) else change
    return {"ops": {"open_hospitals": {"config": {"order": order, "schedule": {"cron": "0 3 1 * *"}}}}}


@pytest.mark.timeout(1800)
def test_start_hospitals_opens_its_example_and_its_round_runs(tmp_path):
    home, dagster = AtlasHome(tmp_path / "atlas"), tmp_path / "dagster"
    dagster.mkdir()
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(launchpad()))
    environment = {**os.environ, "ATLAS_HOME": str(home.root), "DAGSTER_HOME": str(dagster), "OMP_NUM_THREADS": "1"}

    def execute(job: str, *arguments: str | Path) -> None:
        command = [Path(sys.executable).parent / "dagster", "job", "execute", "-m", "atlas_pipelines.definitions"]
        done = subprocess.run(
            [*command, "-j", job, *arguments], cwd=REPOSITORY, env=environment, text=True, capture_output=True
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-8000:]}"

    sites = read_node_file(REPOSITORY / "examples" / "hospitals-nodes.yaml")
    with ensure_local_network(home, agents=4, threads=1, nodes=sites):
        execute("start_hospitals", "-c", config)
        assert JobRegistry(home.jobs_database).job("hospitals") is not None
        execute("federated_round", "--tags", json.dumps({"dagster/partition": "hospitals-r0001"}))
    with dg.DagsterInstance.from_config(str(dagster)) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("reward_settlement")) == {"hospitals-r0001"}
        assert len(instance.get_materialized_partitions(dg.AssetKey("shard_adapter"))) == 4
        (run,) = instance.get_runs(dg.RunsFilter(job_name="federated_round"))
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        checks = [entry.dagster_event.asset_check_evaluation_data for entry in entries]
        passed = {(one.asset_key.to_user_string(), one.check_name) for one in checks if one.passed}
        assert passed >= CHECKS
        assert ("evaluation", "no_worse_than_base") in {
            (one.asset_key.to_user_string(), one.check_name) for one in checks
        }
