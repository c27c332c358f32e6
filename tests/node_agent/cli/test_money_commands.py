"""The commands about a node's money, on a real chain that costs something."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.networks.faucet import send_coins
from chain_bridge.networks.feegrants import GivenFeeGrants
from node_agent.cli.main import app
from node_agent.home.config import NodeHome
from node_agent.home.journal import Journal
from node_agent.wire.messages import AssignHint
from tests.support.nodes.nats_server import NatsServer
from tests.support.nodes.small_network import SmallNetwork, wait_until

pytestmark = pytest.mark.slow
STAKE, TASKS = 1000, 20
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallNetwork]:
    folder = tmp_path_factory.mktemp("network")
    settings = {"min_stake": STAKE, "dispute_seconds": 1, "unbonding_seconds": 2, "jail_seconds": 1}
    network = SmallNetwork(folder, NatsServer(folder), gas_price=0.01, settings=settings)
    network.start()
    yield network
    network.stop()


@pytest.fixture
def home(network: SmallNetwork, tmp_path: Path) -> NodeHome:
    """A node's folder with settings; its account holds nothing."""
    home = NodeHome(tmp_path / "node")
    home.root.mkdir(mode=0o700)
    write_config(network, home)
    return home


def write_config(network: SmallNetwork, home: NodeHome, **changes: Any) -> None:
    chain = network.network.model_dump(mode="json") | changes
    settings = {"network": chain, "bus": "nats://127.0.0.1:1", "content": str(network.store.root), "capacity": TASKS}
    home.config.write_text(yaml.safe_dump(settings))


def atlas_node(home: NodeHome, *arguments: str) -> Any:
    """What the command prints as JSON."""
    done = CliRunner().invoke(app, [*arguments, "--home", str(home.root), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refusal(home: NodeHome, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--home", str(home.root), "--json"])
    assert done.exit_code == 1, done.output
    assert done.stderr == f"Error: {json.loads(done.stdout)['error']}\n"
    return str(done.stderr)


def equip(network: SmallNetwork, home: NodeHome, coins: int = STAKE) -> str:
    """Give the node's account coins, and grant its fees."""
    address = load_or_create_key(home.key, "atlas").address
    if coins:
        send_coins(network.network, network.key, {address: coins})
    grants = GivenFeeGrants(network.network, network.key)
    grants.give([address], 10**9, datetime.now(UTC) + timedelta(days=1))
    grants.close()
    write_config(network, home, fee_granter=network.key.address)
    return address


def test_a_node_without_coins_is_told_what_to_do_and_starts_through_a_grant(
    network: SmallNetwork, home: NodeHome
) -> None:
    said = refusal(home, "register")
    address = load_or_create_key(home.key, "atlas").address
    assert f"account {address} holds 0 uatl" in said
    assert f"send it at least {STAKE} more" in said
    assert f"atlas chain grant {address}" in said
    assert equip(network, home) == address
    node = atlas_node(home, "register")
    assert (node["owner"], node["stake"], node["status"]) == (address, STAKE, "active")
    assert node["public_key"]
    assert network.ledger.balance(address) == 0, "the operator paid the fees"
    assert atlas_node(home, "register") == node, "a second time changes nothing"


def test_stake_goes_in_unbonds_and_comes_back(network: SmallNetwork, home: NodeHome) -> None:
    address = equip(network, home, 3 * STAKE)
    assert "No node of" in refusal(home, "stake", "add", "5")
    atlas_node(home, "register")
    assert atlas_node(home, "stake", "add", "500")["node"]["stake"] == STAKE + 500
    begun = atlas_node(home, "stake", "withdraw", "200")["node"]
    assert (begun["stake"], [part["amount"] for part in begun["unbonding"]]) == (STAKE + 300, [200])
    assert refusal(home, "stake", "withdraw", "301")
    shown = atlas_node(home, "status")
    assert shown["node"]["unbonding"] == begun["unbonding"]
    assert "200 uatl" in CliRunner().invoke(app, ["status", "--home", str(home.root)]).stdout
    wait_until(lambda: time.time() > begun["unbonding"][0]["release_at"] + 1, "the unbonding time", 20)
    claimed = atlas_node(home, "stake", "claim")
    assert (claimed["credit"], claimed["node"]["unbonding"]) == (200, [])
    assert refusal(home, "stake", "claim")
    withdrawn = atlas_node(home, "withdraw")
    assert (withdrawn["amount"], withdrawn["balance"]) == (200, 3 * STAKE - STAKE - 500 + 200)
    assert "has no credit" in refusal(home, "withdraw")
    assert network.ledger.balance(address) == withdrawn["balance"]


def test_a_retired_node_comes_back_as_itself(network: SmallNetwork, home: NodeHome) -> None:
    equip(network, home, 2 * STAKE)
    first = atlas_node(home, "register")
    gone = atlas_node(home, "deregister")["node"]
    assert (gone["status"], gone["stake"], gone["unbonding"][0]["amount"]) == ("retired", 0, STAKE)
    again = atlas_node(home, "register")
    assert (again["id"], again["status"], again["stake"]) == (first["id"], "active", STAKE)


def open_job(network: SmallNetwork, key: str, lease_seconds: int) -> int:
    return network.ledger.create_job(
        key=key, spec=CID, dataset=CID, shards=TASKS, rounds=1, reward=100, lease_seconds=lease_seconds,
        escrow=100 * (TASKS + 1),
    )  # fmt: skip


def test_a_jailed_node_is_told_so_and_freed(network: SmallNetwork, home: NodeHome) -> None:
    equip(network, home, 2 * STAKE)
    node = atlas_node(home, "register")["id"]
    assert "not in jail" in refusal(home, "unjail")
    job = open_job(network, "late", lease_seconds=1)
    network.ledger.assign_batch(job, 1, CID, [Assignment(slot, node, 1) for slot in range(TASKS)])

    def expired() -> bool:
        return int(network.ledger.expire_leases(job, 1, TASKS).attribute("expired")) > 0

    wait_until(expired, "the leases to run out", 30)
    jailed = atlas_node(home, "status")["node"]
    assert (jailed["status"], jailed["reputation"]) == ("jailed", 0)
    assert (
        f"`atlas-node unjail --home {home.root}`"
        in CliRunner().invoke(app, ["status", "--home", str(home.root)]).stdout
    )
    wait_until(lambda: time.time() > jailed["jailed_until"] + 1, "the time in jail", 20)
    freed = atlas_node(home, "unjail")["node"]
    assert (freed["status"], freed["stake"], freed["reputation"] > 0) == ("active", 2 * STAKE, True)


def test_rewards_are_told_round_by_round(network: SmallNetwork, home: NodeHome) -> None:
    equip(network, home)
    node = atlas_node(home, "register")["id"]
    assert atlas_node(home, "rewards")["rounds"] == []
    job = open_job(network, "rewarded", lease_seconds=3600)
    network.ledger.assign_batch(job, 1, CID, [Assignment(0, node, 1)])
    finish_by_journal(home, job)
    network.ledger.complete_batch(job, 1, [SlotAttempt(0, 1)])
    assert atlas_node(home, "rewards")["rounds"] == [
        {"job": job, "round": 1, "tasks": 1, "state": "open", "amount": None, "settle_from": None}
    ]
    network.ledger.submit_round(job, 1, bytes(32), 1, CID, CID, [Share(node, 1, 10_000)])
    (due,) = atlas_node(home, "rewards")["rounds"]
    assert (due["state"], due["amount"]) == ("due", 100)
    wait_until(lambda: time.time() > due["settle_from"] + 1, "the challenge window", 20)
    network.ledger.settle(job, 1)
    found = atlas_node(home, "rewards")
    assert (found["rounds"][0]["state"], found["credit"]) == ("credited", 100)
    assert refusal(home, "claim", str(job), "1"), "a round that was submitted is not abandoned"


def finish_by_journal(home: NodeHome, job: int) -> None:
    """What the agent's journal says after it has done the task of slot 0."""
    journal = Journal(home.journal)
    hint = AssignHint(task=CID, task_id="0" * 16, job_id=job, round=1, slot=0, attempt=1)
    journal.save(journal.accept(hint, CID).model_copy(update={"state": "completed"}), now=1.0)
