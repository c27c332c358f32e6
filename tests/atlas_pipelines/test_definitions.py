import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets.launch.job_config import order_from_config
from atlas.spec.job import JobSpec
from atlas_pipelines.definitions import defs
from tests.support.paths import REPOSITORY

LINEAGE = {
    # asset: (partitions, made from, group)
    "dataset": ("job", [], "data"),
    "dataset_shard": ("shard", ["dataset"], "data"),
    "base_checkpoint": ("round", [], "federated"),
    "shard_adapter": ("round|shard", ["base_checkpoint", "dataset_shard"], "federated"),
    "round_manifest": ("round", ["base_checkpoint", "shard_adapter"], "federated"),
    "aggregated_checkpoint": ("round", ["base_checkpoint", "round_manifest"], "federated"),
    "evaluation": ("round", ["aggregated_checkpoint"], "evaluation"),
    "reward_settlement": ("round", ["aggregated_checkpoint", "evaluation"], "settlement"),
    "job_report": ("job", ["evaluation", "reward_settlement"], "reports"),
}


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def partitions_of(spec: dg.AssetSpec) -> str:
    if isinstance(spec.partitions_def, dg.MultiPartitionsDefinition):
        return "|".join(part.name for part in spec.partitions_def.partitions_defs)
    return spec.partitions_def.name


def test_the_lineage():
    found = {
        name: (partitions_of(spec), sorted(dep.asset_key.to_user_string() for dep in spec.deps), spec.group_name)
        for name, spec in specs().items()
    }
    assert found == LINEAGE


def test_every_asset_says_in_one_sentence_what_it_is():
    for name, spec in specs().items():
        assert spec.description, name
        assert "\n" not in spec.description, name
        assert spec.kinds, name


def test_every_asset_says_who_makes_it_and_whether_it_writes_on_chain():
    found = {name: (spec.owners, spec.tags.get("chain")) for name, spec in specs().items()}
    by_nodes = {name for name, (owners, _) in found.items() if owners == ["team:nodes"]}
    assert by_nodes == {"shard_adapter", "evaluation"}
    assert all(owners == ["team:coordinator"] for name, (owners, _) in found.items() if name not in by_nodes)
    assert {chain for _, chain in found.values()} == {"written", "read", "unused"}


def test_every_asset_links_to_the_line_of_its_function():
    for name, spec in specs().items():
        (reference,) = spec.metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text().splitlines()[reference.line_number - 1 :]
        function = next(line for line in lines if line.startswith("def "))
        assert function.startswith(f"def {'shard_events' if name == 'dataset_shard' else name}("), name
        assert lines[0].startswith(("@dg.asset", "def ")), name


def test_a_round_runs_in_one_process_in_the_order_of_the_lineage():
    job = defs.resolve_job_def("federated_round")
    steps = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert steps == set(LINEAGE) - {"dataset", "dataset_shard", "job_report", "shard_adapter"}
    assert job.executor_def is dg.in_process_executor


def test_a_run_of_selected_assets_is_one_process_too():
    assert defs.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor


def test_the_jobs():
    assert {job.name for job in defs.resolve_all_job_defs()} >= {
        "federated_round",
        "plan",
        "prepare_dataset",
        "start_hospitals",
        "start_job",
    }


def test_the_checks():
    checks = {
        spec.name: spec.blocking
        for asset in defs.assets
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    assert {name for name, blocking in checks.items() if blocking} == {"quorum"}
    assert checks.keys() == {
        "quorum",
        "refused_updates",
        "update_norm_drift",
        "no_worse_than_base",
        "settled_in_time",
        "cost_within_plan",
    }


def test_a_round_checks_the_copies_of_its_checkpoint_without_being_asked():
    steps = {node.name for node in defs.resolve_job_def("federated_round").graph.nodes}
    assert "aggregated_checkpoint_replicas" in steps


def test_nothing_is_launched_by_itself_until_it_is_turned_on():
    assert defs.resolve_sensor_def("next_round").default_status is dg.DefaultSensorStatus.STOPPED
    assert defs.resolve_schedule_def("weekly_retraining").default_status is dg.DefaultScheduleStatus.STOPPED


def test_the_data_and_the_model_have_a_freshness_and_the_report_is_remade_only_once_that_is_turned_on():
    found = specs()
    assert {name for name, spec in found.items() if spec.freshness_policy} == {"dataset", "aggregated_checkpoint"}
    assert {name for name, spec in found.items() if spec.automation_condition} == {"job_report"}
    sensors = {sensor.name: sensor.default_status for sensor in defs.get_repository_def().sensor_defs}
    assert sensors["report_settled_jobs"] is dg.DefaultSensorStatus.STOPPED
    assert "default_automation_condition_sensor" not in sensors, "it would be on, beside ours"


@pytest.mark.parametrize(
    ("job", "op", "example"),
    [("start_job", "open_order", "sentiment"), ("start_hospitals", "open_hospitals", "hospitals")],
)
def test_the_launchpad_of_a_starting_job_begins_with_an_example(job, op, example):
    config = dg.validate_run_config(defs.resolve_job_def(job), {})["ops"][op]["config"]
    assert order_from_config(config["order"]).cid == JobSpec.load(REPOSITORY / f"examples/{example}.yaml").cid


def test_the_runs_of_a_round_bear_the_name_of_their_job():
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("round", ["demo-r0002"])
        partitioned = defs.resolve_job_def("federated_round").partitioned_config
        assert partitioned.get_tags_for_partition_key("demo-r0002", "federated_round")["atlas/job"] == "demo"


UNLOADED = {
    "datasets",
    "grpc",
    "httpx2",
    "huggingface_hub",
    "matplotlib",
    "nats",
    "numpy",
    "pandas",
    "peft",
    "playwright",
    "psutil",
    "pyarrow",
    "requests",
    "stamina",
    "torch",
    "transformers",
    "wasmtime",
}
"""Packages that take long to import, which a process of Dagster loads only when a step needs them."""
MOST_MODULES = 450
"""Modules beyond Dagster's own: 391 when this was written, and room for new files of the project."""


def loaded_by(modules: str) -> set[str]:
    script = f"import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout))


@pytest.mark.slow
def test_the_definitions_load_few_modules_beyond_dagster_and_none_that_are_slow():
    added = loaded_by("atlas_pipelines.definitions") - loaded_by("dagster")
    assert UNLOADED.isdisjoint(added)
    assert len(added) < MOST_MODULES


@pytest.mark.slow
def test_the_dagster_process_stays_without_the_training_libraries():
    loaded = loaded_by("atlas_pipelines.definitions, atlas_pipelines.cli.main")
    assert "dagster" in loaded
    assert {"torch", "transformers", "peft"}.isdisjoint(loaded)
