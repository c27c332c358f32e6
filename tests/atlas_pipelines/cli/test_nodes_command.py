"""`atlas nodes` against a real chain: a table for people, JSON for programs."""

import io
import json
import time

import pytest
import typer
import yaml
from typer.testing import CliRunner

from atlas.content.local.store import LocalStore
from atlas.documents.stored import put_document
from atlas.home import AtlasHome
from atlas.terminal.console import WordConsole
from atlas_pipelines.cli.nodes import ago, facts, nodes, print_nodes
from atlas_pipelines.cli.output import AtlasCommands
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from node_agent.presence.machine import NodeManifest
from resources.local.parts import LocalParts
from resources.nodes.found_nodes import FoundNode

app = typer.Typer(cls=AtlasCommands)
app.command("nodes")(nodes)
app.command("other")(lambda: None)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    home = AtlasHome(tmp_path_factory.mktemp("servers"))
    parts = LocalParts(home, agents=0, threads=1)
    try:
        yield parts.start()
    finally:
        parts.stop()


@pytest.fixture
def atlas(servers, tmp_path, monkeypatch):
    """Run `atlas …` on the network of `servers`."""
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump(servers.model_dump(mode="json")))
    monkeypatch.setenv("ATLAS_NETWORK", str(path))
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["nodes", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_nodes_of_the_chain_are_listed_with_what_their_manifests_say(servers, atlas, tmp_path):
    assert atlas() == "No node was found.\n"
    assert json.loads(atlas("--json")) == []

    described = load_or_create_key(tmp_path / "described.key", servers.network.prefix)
    silent = load_or_create_key(tmp_path / "silent.key", servers.network.prefix)
    manifest = NodeManifest(
        address=described.address, version="0", platform="x", cpu="c", cores=4, memory_bytes=2**34, gpus=["G1"],
        slots=1, price=1500,
    )  # fmt: skip
    cid = put_document(LocalStore(servers.content), manifest)
    for key, named in ((described, cid), (silent, "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")):
        with Ledger(servers.network, key) as ledger:
            ledger.register_node("compute" if key is described else "storage", 1, named)

    before = time.time() - 60
    first, second = json.loads(atlas("--json"))
    assert first.pop("last_seen") > before
    assert first == {
        "node": 1,
        "address": described.address,
        "role": "compute",
        "hardware": "G1; 4 cores, 16 GiB",
        "price": 1500,
        "reputation": 100,
        "status": "active",
        "found": "chain",
        "peer_id": None,
        "addresses": [],
    }
    assert (second["address"], second["hardware"], second["price"]) == (silent.address, None, None)
    assert second["role"] == "storage"
    head, *lines = atlas().splitlines()
    assert " ".join(head.split()) == "node address role hardware price uatl reputation status last seen found"
    assert lines[0].split()[:2] == ["1", described.address]
    assert "1,500" in lines[0]
    assert lines[1].split()[2:5] == ["storage", "-", "-"]


def test_what_only_a_direct_address_told_of_is_shown_without_the_chain():
    node = FoundNode(3, "atlas1n", "direct")
    assert facts(node)["status"] == "unknown"
    console = WordConsole(io.StringIO())
    print_nodes([node], 0.0, "uatl", console)
    assert console.file.getvalue().splitlines()[1].split()[:2] == ["3", "atlas1n"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")]
)
def test_a_length_of_time_is_told_in_its_largest_unit(seconds, text):
    assert ago(seconds) == text
