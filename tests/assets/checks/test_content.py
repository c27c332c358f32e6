"""The checks on real content, by themselves and after a materialization, and the links beside the CIDs."""

import dagster as dg
import pytest
import yaml

from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.checks.content import checkpoint_replicas, dataset_fresh, dataset_replicas
from assets.dataset import dataset, dataset_event
from assets.recorded.records import DATA_VERSION
from assets.recorded.source_version import source_facts
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.content.places.open import IpfsPlaces
from atlas.data.fingerprint import source_fingerprint
from atlas.documents.manifests import Checkpoint, DatasetManifest
from atlas.documents.stored import get_document
from atlas.home import AtlasHome
from atlas.spec.dataset import DatasetSpec
from chain_bridge.client.network import Network
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.registry import JobRegistry
from resources.ledger import LedgerResource
from resources.settings import Addresses
from tests.support.jobs.small_round import SHARDS, small_round

ROUND = "tiny-r0001"
ASSETS = [dataset, aggregated_checkpoint, dataset_replicas, dataset_fresh, checkpoint_replicas]


@pytest.fixture
def home(tmp_path):
    return AtlasHome(tmp_path / "atlas")


def coordinator_over(content, home: AtlasHome, tmp_path) -> CoordinatorResource:
    network = Network(chain_id="nowhere", url="grpc+http://127.0.0.1:1", contract="contract")
    addresses = Addresses(network=network, bus="nats://127.0.0.1:1", content=content)
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump(addresses.model_dump(mode="json")))
    return CoordinatorResource(atlas_home=str(home.root), network_file=str(path))


@pytest.fixture
def resources(home, tmp_path):
    coordinator = coordinator_over(home.content, home, tmp_path)
    return {
        "coordinator": coordinator,
        "content": ContentResource(coordinator=coordinator),
        "ledger": LedgerResource(coordinator=coordinator),
    }


@pytest.fixture
def instance(home):
    """An instance that has recorded the job `tiny` and its round's manifest, but no checkpoint."""
    manifest = small_round(home)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("job", ["tiny", "somebody typed this"])
        instance.add_dynamic_partitions("round", [ROUND, "somebody typed this"])
        made = dg.AssetMaterialization("round_manifest", partition=ROUND, tags={DATA_VERSION: manifest.cid})
        instance.report_runless_asset_event(made)
        yield instance


def record_dataset(home: AtlasHome, instance: dg.DagsterInstance, source: str = "rows.csv", version=None) -> None:
    row = JobRegistry(home.jobs_database).job("tiny")
    manifest = get_document(LocalStore(home.content), row.dataset_cid, DatasetManifest)
    facts = source_facts(DatasetSpec(source=source, shard_by={"rows": 1}), version)
    instance.report_runless_asset_event(dataset_event("tiny", manifest, dg.MetadataValue.text, facts))


def check(instance, resources, which: dg.AssetChecksDefinition) -> dg.AssetCheckEvaluation:
    """Run one check by itself, as its button in the UI does."""
    result = dg.materialize(
        [which, dataset, aggregated_checkpoint],
        selection=dg.AssetSelection.checks(which),
        instance=instance,
        resources={**resources, "ledger": None, "progress": None},
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def rows_of(evaluation: dg.AssetCheckEvaluation, name: str) -> list[dict]:
    return [record.data for record in evaluation.metadata[name].records]


def test_the_ui_knows_the_checks_and_none_of_them_stops_a_round():
    from atlas_pipelines.definitions import defs

    specs = [spec for check in defs.asset_checks for spec in check.check_specs]
    assert {(spec.asset_key.to_user_string(), spec.name, spec.blocking) for spec in specs} == {
        ("dataset", "replicas", False),
        ("dataset", "fresh", False),
        ("dataset", "teaches", False),
        ("dataset", "held_out_apart", False),
        ("aggregated_checkpoint", "replicas", False),
    }


def test_shards_without_a_copy_are_warned_about(home, instance, resources):
    record_dataset(home, instance)
    found = check(instance, resources, dataset_replicas)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "tiny: s000, tiny: s001, tiny: s002" in found.description
    manifest, *shards = rows_of(found, "copies")
    assert (manifest["content"], manifest["copies"], manifest["holders"]) == ("tiny: manifest", 1, str(home.content))
    assert [(row["wanted"], row["copies"]) for row in shards[:3]] == [(1, 0)] * 3
    assert [row["cid"] for row in rows_of(found, "copies_cids")[1:4]] == [one.cid for one in SHARDS]

    for number in range(3):
        LocalStore(home.content).put(b"%d" % number)
    assert check(instance, resources, dataset_replicas).passed


def test_the_copies_of_a_checkpoint_are_counted_when_it_is_made(home, instance, resources):
    result = dg.materialize(
        [aggregated_checkpoint, checkpoint_replicas], instance=instance, partition_key=ROUND, resources=resources
    )
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "replicas"]
    assert found.passed
    names = [row["content"] for row in rows_of(found, "copies")]
    assert names == [f"{ROUND}: checkpoint", f"{ROUND}: adapter", f"{ROUND}: round manifest"]

    (event,) = result.asset_materializations_for_node("aggregated_checkpoint")
    checkpoint = get_document(LocalStore(home.content), event.metadata["cid"].value, Checkpoint)
    LocalStore(home.content).remove(checkpoint.adapter, unused_since=4e9)
    later = check(instance, resources, checkpoint_replicas)
    assert not later.passed
    assert later.description == f"Too few copies of {ROUND}: adapter."


@pytest.mark.parametrize("which", [dataset_replicas, dataset_fresh, checkpoint_replicas])
def test_before_anything_is_recorded_there_is_nothing_to_say(instance, resources, which):
    assert check(instance, resources, which).passed


def test_a_source_that_moved_on_is_warned_about(home, instance, resources, tmp_path):
    path, cache = tmp_path / "rows.csv", home.root / "cache"
    path.write_text("text\nold\n")
    spec = DatasetSpec(source=str(path), shard_by={"rows": 1})
    record_dataset(home, instance, str(path), source_fingerprint(spec, cache))
    assert check(instance, resources, dataset_fresh).passed

    path.write_text("text\nnew\n")
    found = check(instance, resources, dataset_fresh)
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    (row,) = rows_of(found, "sources")
    assert (row["job"], row["state"], row["now"]) == ("tiny", "changed", cid_of_bytes(b"text\nnew\n"))

    path.unlink()
    (row,) = rows_of(check(instance, resources, dataset_fresh), "sources")
    assert row["state"].startswith(f"Cannot read the dataset {path}")


def test_links_lead_to_the_folder_or_to_the_gateway(home, tmp_path):
    cid = cid_of_bytes(b"0")
    coordinator = coordinator_over(home.content, home, tmp_path)
    assert ContentResource(coordinator=coordinator).link(cid) == dg.MetadataValue.path(
        str(home.content / cid[-2:] / cid)
    )
    path = LocalStore(home.content).fetch(LocalStore(home.content).put(b"0"))
    assert str(path) == ContentResource(coordinator=coordinator).link(cid).value

    node, gateway = "http://127.0.0.1:5001", "http://127.0.0.1:8080/"
    coordinator = coordinator_over(IpfsPlaces(nodes=[node], gateways=[gateway]), home, tmp_path)
    assert ContentResource(coordinator=coordinator).link(cid) == dg.MetadataValue.url(
        f"http://127.0.0.1:8080/ipfs/{cid}"
    )
    coordinator = coordinator_over(IpfsPlaces(nodes=[node]), home, tmp_path)
    assert ContentResource(coordinator=coordinator).link(cid).value == str(home.content / cid[-2:] / cid)


def test_a_manifest_that_is_gone_is_a_warning_and_no_failure(home, instance, resources):
    record_dataset(home, instance)
    row = JobRegistry(home.jobs_database).job("tiny")
    LocalStore(home.content).remove(row.dataset_cid, unused_since=4e9)
    assert check(instance, resources, dataset_replicas).description == "Too few copies of tiny: manifest."
