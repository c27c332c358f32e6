"""Orders that are refused by name, before anything is started or written."""

import pytest
from typer.testing import CliRunner

from atlas.home import AtlasHome
from atlas_pipelines.cli.main import app
from resources.jobs.registry import JobRegistry

CASES = [
    ({"model": {"source": "package:nosuch", "task": "sequence-classification"}}, ["nosuch", "minilm"]),
    ({"dataset": {"text_column": "body"}}, ["body", "text"]),
    ({"dataset": {"labels": ["bad", "good"]}}, ["negative", "bad"]),
    ({"dataset": {"source": "no/such/file.csv"}}, ["no/such/file.csv"]),
    ({"payment": {"budget": 0}}, ["payment.budget", "greater than 0"]),
    ({"payment": {"budget": 100_000}}, ["100000", "1000000"]),
    ({"aggregation": {"strategy": "alchemy"}}, ["aggregation.strategy", "fedavg"]),
    ({"training": {"stepz": 3}}, ["training.stepz"]),
    ({"training": {"max_length": 100_000}}, ["training.max_length is 100000", "positions for"]),
    ({"lora": {"shard_ranks": {"s009": 2}}, "aggregation": {"strategy": "stack"}}, ["shard_ranks names s009"]),
]


@pytest.mark.parametrize(("change", "words"), CASES, ids=[str(next(iter(change.values()))) for change, _ in CASES])
def test_a_bad_spec_is_refused_by_name(tiny_spec, tmp_path, monkeypatch, change, words):
    home = AtlasHome(tmp_path / "atlas")
    monkeypatch.setenv("ATLAS_HOME", str(home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(home.root / "dagster"))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    done = CliRunner().invoke(app, ["run", str(tiny_spec(**change))])
    assert done.exit_code == 1, done.output
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert JobRegistry(home.jobs_database).job("tiny") is None
    assert not (home.logs / "supervisor.log").exists(), "the network was started"
    assert not (home.root / "dagster").exists()
