"""The example of another team's Dagster project: checked, scaffolded, and materialized on a local network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.recorded.records import recorded_version
from atlas.home import AtlasHome
from atlas_pipelines.definitions import defs
from atlas_pipelines.sensors import started_jobs
from resources.local.network import ensure_local_network
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.system, pytest.mark.slow]

DG = Path(sys.executable).with_name("dg")


class Project:
    """A copy of the example, whose job takes a tiny model."""

    def __init__(self, root: Path, model: Path) -> None:
        self.folder, self.home, self.dagster = root / "project", AtlasHome(root / "atlas"), root / "dagster"
        ignored = shutil.ignore_patterns("__pycache__", "data", "cards")
        shutil.copytree(REPOSITORY / "examples/dagster_project", self.folder, ignore=ignored)
        self.dagster.mkdir()
        (self.dagster / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        job = self.folder / "reviews/defs/reviews_model/job.yaml"
        spec = yaml.safe_load(job.read_text())
        spec["model"] = {"source": f"path:{model}", "task": "sequence-classification"}
        spec["lora"]["target_modules"] = ["query", "value"]
        spec["training"] |= {"steps": 4, "batch_size": 4, "max_length": 16}
        job.write_text(yaml.safe_dump(spec))

    def run(self, *arguments: str) -> str:
        """`dg ARGUMENTS` in the project; returns its output, and fails with it if the command fails."""
        environment = {
            **os.environ,
            "ATLAS_HOME": str(self.home.root),
            "DAGSTER_HOME": str(self.dagster),
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run([DG, *arguments], cwd=self.folder, env=environment, text=True, capture_output=True)
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
        return done.stdout

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.dagster))


@pytest.fixture
def project(tmp_path, tiny_model):
    return Project(tmp_path, tiny_model)


def test_a_second_job_is_scaffolded_and_both_are_listed(project):
    project.run("scaffold", "defs", "atlas_pipelines.component.FineTuning", "second_model")
    written = project.folder / "reviews/defs/second_model"
    assert yaml.safe_load((written / "defs.yaml").read_text()) == {
        "type": "atlas_pipelines.component.FineTuning",
        "attributes": {"job": "job.yaml"},
    }
    project.run("check", "defs")
    listed = {asset["asset_key"] for asset in json.loads(project.run("list", "defs", "--json"))["assets"]}
    assert {"reviews", "model_card", "started_job/reviews", "started_job/second-model"} <= listed
    assert {asset.key.to_user_string() for asset in defs.resolve_asset_graph().asset_nodes} <= listed


def test_the_project_goes_from_its_data_to_a_page_about_the_checkpoint(project):
    with ensure_local_network(project.home, agents=2, threads=1):
        project.run("launch", "--assets", "reviews,started_job/reviews")
        with project.instance() as instance:
            tick = started_jobs(dg.build_sensor_context(instance=instance, definitions=defs))
        assert [request.partition_key for request in tick.run_requests] == ["reviews-r0001"]
        project.run("launch", "--job", "federated_round", "--partition", "reviews-r0001")
        project.run("launch", "--assets", "model_card", "--partition", "reviews-r0001")
    with project.instance() as instance:
        checkpoint = recorded_version(instance, "aggregated_checkpoint", "reviews-r0001")
    page = (project.folder / "cards/reviews-r0001.md").read_text()
    assert f"Checkpoint: `{checkpoint}`" in page
    assert "accuracy" in page
