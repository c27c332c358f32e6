"""`atlas plan` shows what a run would do, and leaves a home as it was when the order cannot run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atlas.content.local.store import LocalStore
from atlas.data.prepare import prepare_dataset
from atlas.spec.job import JobSpec
from atlas_pipelines.cli.main import app


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """Run `atlas` in a home that does not exist yet."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)

    def run(*arguments: str):
        return CliRunner().invoke(app, list(arguments))

    run.home = tmp_path / "home"
    return run


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.slow
def test_a_plan_has_the_shards_of_the_dataset_and_what_the_trainer_would_count(atlas, tiny_spec, tmp_path):
    path = tiny_spec(training={"max_length": 6}, payment={"budget": 5_000_000})
    done = atlas("plan", str(path), "--set", "training.steps=3", "--rounds", "4", "--json")
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)

    spec = JobSpec.load(path)
    made = prepare_dataset(spec.dataset, LocalStore(tmp_path / "store"), tmp_path / "cache", spec.training.seed)
    shards = plan["data"]["shards"]
    assert [(one["key"], one["rows"], one["labels"]) for one in shards] == [
        (one.key, one.rows, one.labels) for one in made.shards
    ]
    # A row has five words; with [CLS] and [SEP] cut at six tokens; 3 steps of 4 rows.
    assert {one["tokens"] for one in shards} == {3 * 4 * 6}
    assert plan["data"]["holdout"]["tokens"] == 6 * made.holdout.rows
    assert plan["model"]["trainable"] == 2 * 2 * (4 * 32 + 32 * 4) + 32 * 2 + 2
    assert (plan["steps"]["total"], plan["cost"]["total"]) == (3 * 4 * 4, 4 * 5 * 100_000)
    assert {(row["tokens"], row["whole"]) for row in plan["preview"]} == {(6, 7)}
    assert {row["label"] for row in plan["preview"]} <= {"negative", "positive"}
    assert len(plan["preview"]) == 10
    assert plan["nodes"] is None
    assert {path.name for path in atlas.home.iterdir()} == {"cache"}
    assert {path.name for path in (atlas.home / "cache").iterdir()} == {"models"}


@pytest.mark.parametrize(
    "change",
    ["payment.budget=1", "dataset.text_column=words", "training.max_length=100", "lora.shard_ranks={s009: 2}"],
)
def test_an_order_that_cannot_run_ends_as_a_run_of_it_and_leaves_the_home_as_it_was(atlas, tiny_spec, change):
    path = str(tiny_spec(aggregation={"strategy": "qr-svd"}))
    planned = atlas("plan", path, "--set", change)
    assert planned.exit_code == 1
    assert not atlas.home.exists()
    atlas.home.mkdir()
    (atlas.home / "networks.yaml").write_text("{}")
    before = contents(atlas.home)
    assert atlas("plan", path, "--set", change).stderr == planned.stderr
    assert contents(atlas.home) == before
    ran = atlas("run", path, "--set", change)
    assert ran.exit_code == 1
    assert planned.stderr.partition("Error: ")[2] == ran.stderr.partition("Error: ")[2] != ""


def test_json_says_why_an_order_cannot_run(atlas, tiny_spec):
    done = atlas("plan", str(tiny_spec()), "--set", "payment.budget=1", "--json")
    assert done.exit_code == 1
    assert "payment.budget" in json.loads(done.stdout)["error"]
