"""Names of networks: what comes with the package, what a file adds, and what is told when something is wrong."""

import json

import pytest

from chain_bridge.errors import WrongChain
from chain_bridge.ledger import Ledger
from chain_bridge.networks.localnet import find_localnet
from chain_bridge.networks.networks import NetworksFileError, UnknownNetwork, find_preset, load_presets

PUBLIC = {"osmosis": "osmo-test-5", "dorado": "dorado-1", "neutron": "pion-1"}


def test_the_package_knows_the_local_chains_and_three_test_networks():
    presets = load_presets()
    assert set(presets) == {"embedded", "local", *PUBLIC}
    for name, chain_id in PUBLIC.items():
        preset = presets[name]
        assert preset.chain_id == chain_id
        assert preset.gas_price > 0
        assert preset.max_fee > preset.gas_price * 10_000_000, "a transaction of the most gas is within the cap"
        assert preset.faucet or preset.faucet_page
        assert preset.network(preset.url).denom == preset.denom


def test_a_file_adds_a_network_and_changes_fields_of_another(tmp_path):
    own = tmp_path / "networks.yaml"
    own.write_text(
        "mine: {chain_id: mine-1, url: 'grpc+https://chain.example:9090', denom: umine, prefix: mine, gas_price: 0.1}\n"
        "dorado: {url: 'grpc+http://127.0.0.1:9090'}\n"
    )
    assert find_preset("mine", own).network("grpc+https://chain.example:9090", "mine1abc").contract == "mine1abc"
    dorado = find_preset("dorado", own)
    assert (dorado.url, dorado.denom) == ("grpc+http://127.0.0.1:9090", "atestfet")


def test_a_transaction_has_a_page_where_the_network_has_an_explorer(tmp_path):
    own = tmp_path / "networks.yaml"
    own.write_text("dorado: {explorer: 'https://explorer.example/{hash}/details'}\n")
    networks = {name: preset.network("grpc+http://127.0.0.1:1") for name, preset in load_presets(own).items()}
    assert networks["dorado"].transaction_page("AB12") == "https://explorer.example/AB12/details"
    assert networks["osmosis"].transaction_page("AB12") == "https://mintscan.io/osmosis-testnet/txs/AB12"
    assert networks["embedded"].transaction_page("AB12") is networks["local"].transaction_page("AB12") is None


def test_an_unknown_name_is_told_with_those_there_are(tmp_path):
    with pytest.raises(UnknownNetwork, match=r"'osmossis'.*dorado, embedded, local, neutron, osmosis.*networks\.yaml"):
        find_preset("osmossis", tmp_path / "networks.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mine: {chain_id: mine-1}", "denom"),
        ("dorado: {gas_price: -1}", "gas_price"),
        ("dorado: {gas_price: .nan}", "gas_price"),
        ("dorado: {url: 'https://chain.example'}", "url"),
        ("dorado: {faucet: 'http://faucet.example'}", "faucet"),
        ("dorado: {fees: 3}", "fees"),
        ("dorado: {explorer: 'https://explorer.example/tx/'}", "explorer"),
        ("dorado: {explorer: 'explorer.example/tx/{hash}'}", "explorer"),
        ("- dorado", "must map names"),
        ("dorado: [", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_field(tmp_path, text, told):
    own = tmp_path / "networks.yaml"
    own.write_text(text)
    with pytest.raises(NetworksFileError, match=told) as caught:
        load_presets(own)
    assert str(own) in str(caught.value)


def test_another_chain_behind_a_url_is_refused(server):
    with Ledger(find_preset("dorado").network(server.url)) as ledger, pytest.raises(WrongChain, match="dorado-1"):
        ledger.height()


@pytest.fixture
def temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def write(name: str):
        home = tmp_path / f"atlas-localnet.{name}"
        home.mkdir()
        found = {"url": f"grpc+http://127.0.0.1:{len(name)}", "chain_id": "atlas-local-wasmd", "key": str(home / "key")}
        (home / "localnet.json").write_text(json.dumps({**found, "pid": 1}))
        return home

    return write


def test_the_real_node_of_this_machine_is_found_by_what_its_script_wrote(temporary_folder):
    with pytest.raises(UnknownNetwork, match="scripts/localnet start"):
        find_localnet({})
    first = temporary_folder("a")
    assert find_localnet({}).key == first / "key"
    second = temporary_folder("bc")
    with pytest.raises(UnknownNetwork, match="ATLAS_LOCALNET_HOME"):
        find_localnet({})
    assert find_localnet({"ATLAS_LOCALNET_HOME": str(second)}).url == "grpc+http://127.0.0.1:2"
