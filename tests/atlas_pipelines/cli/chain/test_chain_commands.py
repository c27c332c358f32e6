"""`atlas chain` against a chain process that a file of networks names, with fees as on a public one."""

import json
import signal
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner, Result

from atlas.home import AtlasHome
from atlas_pipelines.cli.main import app
from atlas_pipelines.cli.network import using_network
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.client.network import Network
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from chain_bridge.networks.faucet import send_coins
from chain_bridge.networks.feegrants import GivenFeeGrants
from chain_bridge.outbox.outbox import Outbox
from resources.errors import CoordinatorError
from resources.local.deployments import NotDeployed, deployments, named_network

pytestmark = pytest.mark.slow

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
PREFIX, DENOM, GENESIS = "mine", "umine", 10**12


class Node:
    """A chain process of this test, at one address over its restarts."""

    def __init__(self, folder, operator):
        self._command = [sys.executable, "-m", "chain_bridge.embedded", "--home", str(folder), "--chain-id", "mine-1"]
        self._command += ["--prefix", PREFIX, "--denom", DENOM, "--gas-price", "0.025"]
        self._command += ["--genesis", f"{operator}={GENESIS}"]
        self.port = "0"
        self.start()

    def start(self):
        self._process = subprocess.Popen([*self._command, "--port", self.port], stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self._process.stdout.readline())["url"]
        self.port = self.url.rpartition(":")[2]

    def stop(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas"))
    monkeypatch.delenv("ATLAS_NETWORK", raising=False)
    return AtlasHome(tmp_path / "atlas")


@pytest.fixture
def operator(home):
    return load_or_create_key(home.operator_key, PREFIX)


@pytest.fixture
def node(home, tmp_path, operator):
    node = Node(tmp_path / "chain", operator.address)
    mine = {"chain_id": "mine-1", "url": node.url, "denom": DENOM, "prefix": PREFIX, "gas_price": 0.025}
    wrong = {**mine, "chain_id": "mine-2", "faucet_page": "https://faucet.example/"}
    (home.root / "networks.yaml").write_text(yaml.safe_dump({"mine": mine, "wrong": wrong}))
    yield node
    node.stop()


@pytest.fixture
def atlas(home):
    """Run `atlas chain …`; the result has `stdout`, `stderr` and `exit_code`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["chain", *arguments])

    return run


@pytest.fixture
def ask(atlas):
    """What a command prints as JSON on the network `mine`."""

    def run(*arguments: str):
        result = atlas(*arguments, "--network", "mine", "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


@pytest.fixture
def network(node, ask, home) -> Network:
    ask("deploy", "--heartbeat-seconds", "60", "--challenge-seconds", "0", "--slash-bps", "77")
    return named_network(home, "mine", {})


def test_the_contract_is_deployed_once_with_its_settings(node, network, atlas, ask, home):
    assert deployments(home)["mine"].contract == network.contract
    with Ledger(network) as ledger:
        assert (ledger.config().slash_bps, ledger.config().challenge_seconds) == (77, 0)
    refused = atlas("deploy", "--network", "mine")
    assert refused.exit_code == 1
    assert network.contract in refused.stderr
    assert "--again" in refused.stderr
    assert ask("deploy", "--again")["contract"] != network.contract
    assert named_network(home, "mine", {}).contract != network.contract


def test_status_tells_of_chain_contract_and_backlog_also_while_the_chain_is_down(node, network, ask, home, operator):
    with Ledger(network, operator) as ledger:
        ledger.register_node("compute", 1, CID)
    up = ask("status")
    assert (up["problem"], up["version"], up["nodes"], up["outbox"]) == (None, "0.2.0", {"active": 1}, None)
    assert up["followed to"] == up["height"]
    assert 0 < up["balance"] < GENESIS

    node.stop()
    with Ledger(network, operator, outbox=Outbox(home.outbox("mine-1", operator.address))) as ledger:
        ledger.later("beat").heartbeat()
    down = ask("status")
    assert "No answer" in down["problem"]
    assert (down["nodes"], down["followed to"]) == (up["nodes"], up["height"])
    assert down["outbox"]["waiting"] == 1

    node.start()
    again = ask("status")
    assert (again["problem"], again["outbox"]["waiting"]) == (None, 0)
    assert again["height"] > up["height"]


def test_status_before_anything_is_there(node, atlas, ask):
    found = ask("status")
    assert (found["contract"], found["problem"], found["balance"]) == (None, None, GENESIS)
    stopped = json.loads(atlas("status", "--json").stdout)
    assert stopped["network"] == "embedded"
    assert "atlas up" in stopped["problem"]


def test_rewards_and_withdrawal(node, network, ask, atlas, operator, tmp_path):
    worker = load_or_create_key(tmp_path / "worker" / "node.key", PREFIX)
    ask("grant", worker.address)
    with Ledger(network.model_copy(update={"fee_granter": operator.address}), worker) as ledger:
        ledger.register_node("compute", 4, CID)
    with Ledger(network, operator) as ledger:
        job = ledger.create_job("job", CID, CID, 1, 1, 100, lease_seconds=600, escrow=200)
        ledger.assign_batch(job, 1, CID, [Assignment(0, 1, 1), Assignment(1, 1, 1)])
        ledger.complete_batch(job, 1, [SlotAttempt(0, 1), SlotAttempt(1, 1)])
        ledger.submit_round(job, 1, bytes(32), 2, CID, CID, [Share(1, 2, 10_000)])
        ledger.settle(job, 1)
    row = {"owner": worker.address, "nodes": [1], "earned": 200, "withdrawn": 0, "credit": 200}
    assert ask("rewards") == [row]
    assert ask("withdraw", "--for", worker.address)["amount"] == 200
    assert ask("rewards") == [{**row, "withdrawn": 200, "credit": 0}]
    assert ask("balance", worker.address)["amount"] == 200
    nothing = atlas("withdraw", "--network", "mine")
    assert nothing.exit_code == 1
    assert operator.address in nothing.stderr


def test_grants_are_given_and_taken_back(node, network, ask, atlas, operator, tmp_path):
    worker = load_or_create_key(tmp_path / "worker" / "node.key", PREFIX).address
    grants = GivenFeeGrants(network, operator)
    assert ask("grant", worker, "--limit", "5000", "--days", "3")["limit"] == 5000
    assert grants.find(worker).left == 5000
    assert ask("revoke", worker)["revoked"] == [worker]
    assert grants.find(worker) is None
    grants.close()
    assert worker in atlas("revoke", worker, "--network", "mine").stderr


def test_the_owner_pauses_the_contract_and_resumes_it(node, network, ask, atlas, operator):
    assert (paused := ask("pause"))["paused"]
    assert paused["transaction"]
    assert ask("pause")["transaction"] is None
    with Ledger(network, operator) as ledger, pytest.raises(ContractRefused, match="atlas chain unpause"):
        ledger.create_job("job", CID, CID, 1, 1, 100, lease_seconds=600, escrow=200)
    assert ask("status")["paused"]
    assert "is now not paused" in atlas("unpause", "--network", "mine").stdout
    assert not ask("status")["paused"]


def test_settings_are_shown_and_changed(node, network, ask, atlas):
    before = ask("config")
    assert before.pop("transaction") is None
    assert (before["slash_bps"], before["challenge_seconds"]) == (77, 0)
    after = ask("config", "--set", "challenge_seconds=600", "--set", "max_batch=9")
    assert after.pop("transaction")
    assert after == {**before, "challenge_seconds": 600, "max_batch": 9}
    assert "challenge_seconds" in atlas("config", "--network", "mine").stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("challenge_second=1", "challenge_seconds"),
        ("denom=5", "not a setting that can be changed"),
        ("max_batch=-1", "a whole number"),
        ("max_batch", "a whole number"),
    ],
)
def test_a_change_that_is_no_setting_is_refused(atlas, change, told):
    result = atlas("config", "--set", change)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.split())


def test_the_contract_moves_to_another_account(node, network, ask, atlas, operator, tmp_path):
    path = tmp_path / "other" / "key"
    other = load_or_create_key(path, PREFIX).address
    send_coins(network, operator, {other: 10**9})
    refused = atlas("pause", "--network", "mine", "--key", str(path))
    assert refused.exit_code == 1
    assert f"Its owner is {operator.address}, and this command signs as {other}." in refused.stderr
    early = atlas("owner", "--accept", "--network", "mine", "--key", str(path))
    assert "is offered to no account" in early.stderr
    assert f"atlas chain owner --transfer {other}" in early.stderr

    shown = {"contract": network.contract, "owner": operator.address, "pending_owner": None}
    assert ask("owner") == {**shown, "transaction": None}
    offered = atlas("owner", "--transfer", other, "--network", "mine")
    assert f"pending owner  {other}" in offered.stdout
    assert "atlas chain owner --accept" in offered.stdout
    assert ask("owner", "--accept", "--key", str(path))["owner"] == other
    assert ask("owner")["pending_owner"] is None
    assert atlas("pause", "--network", "mine").exit_code == 1
    assert ask("pause", "--key", str(path))["paused"]


def test_an_offer_and_an_acceptance_are_two_commands(atlas):
    result = atlas("owner", "--transfer", "mine1a", "--accept")
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_faucet_is_asked_or_its_page_is_named(node, atlas):
    missing = atlas("faucet", "--network", "mine")
    assert missing.exit_code == 1
    assert "faucet_page" in missing.stderr
    other_chain = atlas("faucet", "--network", "wrong")
    assert "mine-1, not mine-2" in other_chain.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["balance", "--network", "nowhere"], "nowhere"),
        (["rewards", "--network", "mine"], "atlas chain deploy --network mine"),
        (["balance", "--network", "wrong"], "mine-1, not mine-2"),
        (["balance", "nonsense", "--network", "mine"], "bech32"),
        (["balance", "--network", "mine", "--key", "/nowhere/key"], "/nowhere/key"),
        (["grant", "nonsense", "--network", "mine"], "bech32"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(node, atlas, arguments, told):
    result = atlas(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_deployment_on_another_chain_of_that_name_does_not_count(node, network, home):
    text = (home.root / "networks.yaml").read_text()
    (home.root / "networks.yaml").write_text(text.replace("chain_id: mine-1", "chain_id: mine-3"))
    with pytest.raises(NotDeployed, match="mine-3"):
        named_network(home, "mine", {})


def test_a_chain_and_a_described_network_are_not_mixed(home, tmp_path, monkeypatch):
    described = tmp_path / "network.yaml"
    network = {"chain_id": "mine-1", "url": "grpc+http://127.0.0.1:1", "contract": "mine1c"}
    described.write_text(yaml.safe_dump({"network": network, "bus": "nats://127.0.0.1:1", "content": str(tmp_path)}))
    monkeypatch.setenv("ATLAS_NETWORK", str(described))
    with pytest.raises(CoordinatorError, match="Keep one of them"), using_network(home, chain="mine"):
        pass
    with using_network(home) as addresses:
        assert addresses.network.contract == "mine1c"
