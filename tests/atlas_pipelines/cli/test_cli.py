import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from atlas.content.format.cid import cid_of_bytes, cid_of_file
from atlas.content.local.store import LocalStore
from atlas.documents.stored import get_document, put_document
from atlas.home import AtlasHome
from atlas.models.files import model_manifest
from atlas.rounds.checkpoint import recompute, untrained_checkpoint
from atlas.spec.job import JobSpec, TaskSpec
from atlas_pipelines.cli.main import app
from resources.jobs.local_tasks import make_untrained_adapter
from resources.jobs.registry import Attempt, JobRegistry
from tests.support.jobs.small_round import small_round
from tests.support.paths import REPOSITORY

ANY = cid_of_bytes(b"any")


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """Run `atlas` in an empty home; the result has `stdout`, `stderr` and `exit_code`."""
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    run.home = AtlasHome(tmp_path)
    return run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "examples/sentiment.yaml", "--set", "training.stepz=1"], "training.stepz"),
        (["run", "examples/sentiment.yaml", "--set", "nonsense"], "FIELD=VALUE"),
        (
            ["run", "examples/sentiment.yaml", "--set", "aggregation.robust=trust"],
            "aggregation.robust: Value error, expected one of",
        ),
        (
            [
                "run",
                "examples/sentiment.yaml",
                "--set",
                "aggregation.robust=median",
                "--set",
                "aggregation.strategy=stack",
            ],
            "robust.rule median works number by number",
        ),
        (["run", "examples/sentiment.yaml", "--model", "gpt9"], "minilm, smollm2"),
        (["run", "examples/sentiment.yaml", "--name", "Not A Name"], "name:"),
        (["run", "examples/sentiment.yaml", "--ipfs", "localhost:5001"], "nodes.0: String should match"),
        (["run", "examples/sentiment.yaml", "--replicas", "2"], "--replicas counts nodes of --ipfs"),
        (["run", "examples/sentiment.yaml", "--nodes", "nowhere.yaml"], "nowhere.yaml"),
        (["up", "--nodes", "nowhere.yaml"], "nowhere.yaml"),
        (["job", "show", "nope"], "'nope'"),
        (["verify", "nonsense"], "'nonsense'"),
        (["verify", ANY], ANY),
        (["model", "export", ANY, "model", "--merged"], ANY),
    ],
)
def test_what_cannot_be_done_is_told_in_words(atlas, monkeypatch, arguments, told):
    monkeypatch.chdir(REPOSITORY)
    result = atlas(*arguments)
    assert result.exit_code == 1, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["run"], ["run", "a.yaml", "--rounds", "0"], ["run", "a.yaml", "--nope"], ["up", "--port", "0"], ["x"]],
)
def test_a_command_that_is_not_one_shows_its_usage(atlas, arguments):
    result = atlas(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_a_bad_order_leaves_no_trace(atlas):
    assert atlas("run", "examples/sentiment.yaml", "--set", "training.steps=0").exit_code == 1
    assert list(atlas.home.root.iterdir()) == []


def test_agents_are_as_many_as_have_settings(atlas, tmp_path):
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text("- {slots: 1}\n- {}\n- {}\n")
    result = atlas("run", "examples/sentiment.yaml", "--nodes", str(nodes), "--agents", "2")
    assert result.exit_code == 1
    assert "settings of 3 agents, and --agents is 2" in result.stderr


def test_a_described_network_is_not_mixed_with_a_local_one(atlas, tmp_path, monkeypatch):
    described = tmp_path / "network.yaml"
    network = {"chain_id": "any", "url": "grpc+http://127.0.0.1:1", "contract": "atlas1c"}
    described.write_text(json.dumps({"network": network, "bus": "nats://127.0.0.1:1", "content": str(tmp_path)}))
    monkeypatch.setenv("ATLAS_NETWORK", str(described))
    result = atlas("run", "examples/sentiment.yaml", "--ipfs", "http://127.0.0.1:1", "--nodes", "nodes.yaml")
    assert result.exit_code == 1
    assert "--ipfs and --nodes describe another" in result.stderr


def test_a_home_without_jobs_says_how_to_start_one(atlas):
    assert "atlas run" in atlas("job", "ls").stdout
    assert json.loads(atlas("job", "ls", "--json").stdout) == []


def test_the_list_names_the_newest_rounds_checkpoint_and_none_that_leaves_an_update_out(atlas):
    small_round(atlas.home)
    store, registry = LocalStore(atlas.home.content), JobRegistry(atlas.home.jobs_database)
    round_ = registry.job("tiny").round(1)
    evaluation = registry.attempts(round_)[-1]
    task = get_document(store, evaluation.task_cid, TaskSpec)
    again = task.model_copy(update={"attempt": 2, "checkpoints": [*task.checkpoints, ANY]})
    registry.record_assigned(round_, Attempt(3, 2, "3", put_document(store, again), node_id=7))
    registry.record_completed(round_, 3, 2, ANY, ANY)
    [listed] = json.loads(atlas("job", "ls", "--json").stdout)
    assert (listed["done"], listed["checkpoint"]) == (1, task.checkpoints[1])


def test_the_untrained_checkpoint_verifies(atlas):
    store = LocalStore(atlas.home.content)
    adapter = store.put(b"adapter")
    cid = put_document(store, untrained_checkpoint(ANY, adapter))
    told = json.loads(atlas("verify", cid, "--json").stdout)
    assert (told["verified"], [(one["check"], one["result"]) for one in told["checks"]]) == (
        True,
        [("files", "passed"), ("start", "not checked")],
    )
    [found] = told["checkpoints"]
    assert (found["cid"], found["round"], found["adapter"], found["updates"]) == (cid, 0, adapter, 0)
    assert atlas("verify", cid).stdout.endswith("Verified, except for the checks that were not made: start.\n")
    assert f"round 0: {cid} is the untrained adapter" in atlas("verify", cid).stdout


def test_a_checkpoint_of_a_job_that_was_opened_here_is_compared_with_its_data_set(atlas):
    manifest = small_round(atlas.home)
    checkpoint = recompute(manifest, LocalStore(atlas.home.content), cid_of_file).cid
    told = json.loads(atlas("verify", checkpoint, "--json").stdout)
    assert told["verified"] is False
    assert manifest.updates[0].data in told["error"]
    [failed] = told["checks"]
    assert (failed["check"], failed["result"], failed["text"]) == ("files", "failed", told["error"])
    assert (failed["expected"], failed["found"]) == (manifest.updates[0].data, None)


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_file_that_is_not_whole_fails_its_check_with_the_commands_that_bring_it_back(atlas, damage):
    store = LocalStore(atlas.home.content)
    adapter = store.put(b"adapter")
    cid, path = put_document(store, untrained_checkpoint(ANY, adapter)), store.fetch(adapter)
    path.unlink()
    if damage == "changed":
        path.write_bytes(b"other")
    refused = atlas("verify", cid, "--json")
    assert refused.exit_code == 1
    told = json.loads(refused.stdout)
    found = cid_of_bytes(b"other") if damage == "changed" else None
    assert told["checks"] == [
        {"check": "files", "result": "failed", "text": told["error"], "expected": adapter, "found": found}
    ]
    assert f"`atlas content get {adapter} --ipfs" in told["error"]
    original = atlas.home.root / "original"
    original.write_bytes(b"adapter")
    assert "`atlas content add FILE`" in told["error"]
    assert atlas("content", "add", str(original)).exit_code == 0
    assert atlas("verify", cid).exit_code == 0


def test_a_text_that_is_no_checkpoint_fails_the_check_of_files(atlas):
    cid = LocalStore(atlas.home.content).put(b"no document")
    [failed] = json.loads(atlas("verify", cid, "--json").stdout)["checks"]
    assert (failed["check"], failed["result"]) == ("files", "failed")


@pytest.mark.slow
def test_the_untrained_adapter_can_be_made_anew(atlas, tiny_spec, tmp_path):
    store, spec = LocalStore(atlas.home.content), JobSpec.load(tiny_spec())
    job = put_document(store, spec)
    cache, folder = atlas.home.root / "cache", tmp_path / "work"
    made = make_untrained_adapter(spec, model_manifest(spec.model.source, None, cache), cache, folder)
    honest, false = (
        put_document(store, untrained_checkpoint(job, store.put(one))) for one in (made, b"another adapter")
    )
    assert f"round 0: {honest} follows from the seed" in atlas("verify", honest, "--rebuild-start").stdout
    assert atlas("verify", false).exit_code == 0
    refused = atlas("verify", false, "--rebuild-start")
    assert refused.exit_code == 1
    assert "Round 0: the seed of job" in refused.stderr


def test_every_command_has_help(atlas):
    text = atlas("--help").stdout
    commands = re.findall(r"│ (run|up|verify|content|job|model) +(\S.*?) +│", text)
    assert {name for name, _ in commands} == {"run", "up", "verify", "content", "job", "model"}


def test_sigterm_ends_any_command_as_ctrl_c_does(tmp_path):
    code = """
import signal
from atlas_pipelines.cli.main import app
from resources.jobs.registry import JobRegistry
JobRegistry.jobs = lambda self: signal.raise_signal(signal.SIGTERM)
app(["job", "ls"])
"""
    environment = {**os.environ, "ATLAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")


def test_a_home_that_is_a_file_is_named(atlas, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.write_text("not a folder")
    monkeypatch.setenv("ATLAS_HOME", str(home))
    done = atlas("job", "ls")
    assert done.exit_code == 1
    assert str(home) in done.stderr
    assert "Unexpected" not in done.stderr
