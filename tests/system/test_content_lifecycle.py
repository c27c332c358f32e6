"""What no job needs goes, and everything that was promised is still there: on the real commands, over real rounds."""

import json

import dagster as dg
import pytest
import yaml

from assets.recorded.records import newest_record
from assets.recorded.source_version import opened_source
from atlas.content.local.store import LocalStore
from atlas_pipelines.definitions import defs
from atlas_pipelines.retraining.on_events import automatic_retraining
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.automation import JobAutomation

pytestmark = pytest.mark.system

NOW = ("--unused-hours", "0")


def test_content_is_collected_and_jobs_go_on(workplace, tiny_spec, tiny_csv, tmp_path, monkeypatch):
    place = workplace()
    spec = tiny_spec()
    summary = place.json("run", spec)
    store = LocalStore(place.home / "content")
    unknown = store.put(b"of nobody")
    before = {one.cid for one in store.held()}
    assert place.json("content", "verify")["bad"] == {}

    dry = place.json("content", "gc", "--dry-run", *NOW)
    assert [one["cid"] for one in dry["removed"]] == [unknown]
    assert {one["because"] for one in dry["reasons"]} >= {"job tiny is open", "nodes are registered"}
    assert {one.cid for one in store.held()} == before
    assert place.json("content", "gc", "--yes")["waiting"] == 1
    assert store.has(unknown)
    assert place.json("content", "gc", "--yes", *NOW)["removed"] == dry["removed"]
    assert {one.cid for one in store.held()} == before - {unknown}

    place.run("job", "close", "tiny")
    done = place.json("content", "gc", "--yes", *NOW)
    assert place.json("content", "verify")["bad"] == {}
    words = {one["was"].partition(", attempt")[0] for one in done["removed"]}
    assert words >= {f"tiny, round 1, training checkpoint of s00{number}" for number in range(4)}
    assert not [word for word in words if "shard" in word or "update" in word or "receipt" in word]
    verified = place.json("verify", summary["checkpoint"])
    assert [entry["round"] for entry in verified["checkpoints"]] == [2, 1, 0]
    assert len(place.json("job", "round", "tiny", "2")["accepted"]) == 4
    assert place.json("job", "show", "tiny")["checkpoint"] == summary["checkpoint"]

    second = place.json("run", tiny_spec(name="second", rounds=1))
    dropped = place.json("content", "gc", "--drop-updates", "--keep-rounds", "1", "--yes", *NOW)
    assert any("update of s000" in one["was"] for one in dropped["removed"])
    assert place.json("content", "verify")["bad"] == {}
    assert [entry["round"] for entry in place.json("verify", second["checkpoint"])["checkpoints"]] == [1, 0]
    assert "is not in" in place.run("verify", summary["checkpoint"], expect=1).stderr
    place.run("model", "export", summary["checkpoint"], "--merged", tmp_path / "model")

    _checks_and_sensor(place, tiny_csv, tmp_path, monkeypatch)


def _checks_and_sensor(place, tiny_csv, tmp_path, monkeypatch) -> None:
    """The instance that those runs have written: copies, freshness, and an order once the source has changed."""
    monkeypatch.setenv("DAGSTER_HOME", str(place.home / "dagster"))
    network = {"chain_id": "away", "url": "grpc+http://127.0.0.1:1", "contract": "contract"}
    path = tmp_path / "network.yaml"
    content = str(place.home / "content")
    path.write_text(yaml.safe_dump({"network": network, "bus": "nats://127.0.0.1:1", "content": content}))
    coordinator = CoordinatorResource(atlas_home=str(place.home), network_file=str(path))
    resources = {
        "coordinator": coordinator,
        "content": ContentResource(coordinator=coordinator),
        "fleet": None,
        "ledger": None,
        "progress": None,
    }
    with dg.DagsterInstance.get() as instance:
        result = dg.materialize(
            [*defs.assets, *defs.asset_checks],
            selection=dg.AssetSelection.checks(*defs.asset_checks),  # not those that the assets report themselves
            instance=instance,
            resources=resources,
        )
        verdicts = {
            (one.asset_key.to_user_string(), one.check_name): one for one in result.get_asset_check_evaluations()
        }
        assert verdicts["aggregated_checkpoint", "replicas"].passed
        assert verdicts["dataset", "replicas"].passed
        assert verdicts["dataset", "fresh"].passed
        event = newest_record(instance, "aggregated_checkpoint", "tiny-r0002").asset_materialization
        assert event.metadata["cid"].value in event.metadata["content"].value

        for job in ("tiny", "second"):
            coordinator.automations.put(job, 1, JobAutomation(on_new_data=True))
        with dg.build_sensor_context(
            instance=instance, definitions=defs, resources={"coordinator": coordinator}
        ) as context:
            assert isinstance(automatic_retraining(context), dg.SkipReason)
        assert opened_source(instance, "second").version
        kept = tiny_csv.read_text()
        try:
            tiny_csv.write_text(kept + "one more fine row,positive,books\n")
            with dg.build_sensor_context(
                instance=instance, definitions=defs, resources={"coordinator": coordinator}, cursor=context.cursor
            ) as context:
                found = automatic_retraining(context)
        finally:
            tiny_csv.write_text(kept)
        orders = {request.partition_key.rpartition("-v")[0]: request for request in found.run_requests}
        assert orders.keys() == {"tiny", "second"}
        assert json.loads(found.cursor).keys() == {"tiny", "second"}
