"""The asset on a round that is in registry and content, while the chain does not answer."""

import dagster as dg
import pytest
import yaml

from assets.aggregated_checkpoint import aggregated_checkpoint
from assets.recorded.records import DATA_VERSION
from assets.shown.tables import rounded
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.round_diagnostics import RoundDiagnostics
from atlas.documents.stored import get_document
from atlas.home import AtlasHome
from atlas.rounds.diagnose import diagnose_round
from chain_bridge.client.network import Network
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.ledger import LedgerResource
from resources.settings import Addresses
from tests.support.jobs.small_round import small_round

PARTITION = "tiny-r0001"


@pytest.fixture
def home(tmp_path):
    return AtlasHome(tmp_path / "atlas")


@pytest.fixture
def coordinator(home, tmp_path):
    network = Network(chain_id="nowhere", url="grpc+http://127.0.0.1:1", contract="contract")
    addresses = Addresses(network=network, bus="nats://127.0.0.1:1", content=home.content)
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump(addresses.model_dump(mode="json")))
    return CoordinatorResource(atlas_home=str(home.root), network_file=str(path))


def test_the_checkpoint_comes_with_its_diagnostics(home, coordinator):
    manifest, store = small_round(home), LocalStore(home.content)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("round", [PARTITION])
        made = dg.AssetMaterialization("round_manifest", partition=PARTITION, tags={DATA_VERSION: manifest.cid})
        instance.report_runless_asset_event(made)
        result = dg.materialize(
            [aggregated_checkpoint],
            instance=instance,
            partition_key=PARTITION,
            resources={
                "coordinator": coordinator,
                "content": ContentResource(coordinator=coordinator),
                "ledger": LedgerResource(coordinator=coordinator),
            },
        )
    (event,) = result.asset_materializations_for_node("aggregated_checkpoint")
    facts = {name: value.value for name, value in event.metadata.items()}
    assert get_document(store, facts["cid"], Checkpoint).manifest == manifest.cid
    expected = diagnose_round(manifest, store)
    assert get_document(store, facts["diagnostics"], RoundDiagnostics) == expected
    assert facts["naive_residual"] == rounded(expected.residual)
    assert facts["verify"] == f"```\natlas verify {facts['cid']}\n```"
    shown = [tuple(row.data.values())[:4] for row in event.metadata["updates"].records]
    assert shown == [
        ("s000", 7, 1, "accepted"),
        ("s001", 8, 1, "accepted"),
        ("s002", 9, 1, "lost"),
        ("s002", 9, 2, "refused"),
    ]
    shares = [(row.data["shard"], row.data["influence"]) for row in event.metadata["influences"].records]
    assert shares == [(one.shard, rounded(one.share)) for one in expected.updates]
