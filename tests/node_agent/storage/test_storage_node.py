"""A real storage node: it keeps the files of registered models, announces them, and answers audits."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas.content.audit import audit_answer
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.manifests import Checkpoint
from atlas.documents.stored import put_document
from chain_bridge.client.messages import Holding
from tests.support.nodes.nats_server import NatsServer
from tests.support.nodes.small_network import SmallNetwork, wait_until

pytestmark = pytest.mark.slow
ANY = cid_of_bytes(b"any")


@pytest.fixture
def network(tmp_path: Path, nats_server: NatsServer) -> Iterator[SmallNetwork]:
    network = SmallNetwork(tmp_path, nats_server, settings={"audit_seconds": 20})
    network.start()
    yield network
    network.stop()


def register_model(network: SmallNetwork, job: int, version: int) -> dict[str, str]:
    """Register a checkpoint as a version of the model `tone`; the CIDs of its files by their role."""
    files = {name: network.store.put(f"{name} {version}".encode()) for name in ("job", "adapter", "manifest")}
    checkpoint = Checkpoint(round=version, parent=None, **files)
    files["checkpoint"] = put_document(network.store, checkpoint)
    network.ledger.register_model("tone", version, files["checkpoint"], job)
    return files


def holdings(network: SmallNetwork, node: int) -> dict[str, Holding]:
    return {one.cid: one for one in network.ledger.holdings(node)}


def test_it_keeps_announces_proves_and_lets_go(network: SmallNetwork) -> None:
    job = network.ledger.create_job("tone", ANY, ANY, 1, 2, 1, lease_seconds=60, escrow=4)
    first, second = (register_model(network, job, version) for version in (1, 2))
    network.ledger.register_model("lost", 1, ANY, job)  # nobody has this one
    agent = network.agent(role="storage", capacity=8).start()
    node = agent.node_id
    assert (network.ledger.node(node).kind, network.ledger.node(node).capacity) == ("storage", 8)

    everything = {*first.values(), *second.values()}
    wait_until(lambda: holdings(network, node).keys() == everything, "every file to be announced")
    own = LocalStore(agent.home / "content")
    assert all(own.has(cid) for cid in everything)
    wait_until(lambda: "cannot keep" in agent.output, "the lost model to be logged")

    wanted = second["adapter"]
    nonce = bytes(range(32))
    answer = audit_answer(nonce, network.store.fetch(wanted))
    network.ledger.open_audit(wanted, node, nonce, hashlib.sha256(answer).digest())
    wait_until(lambda: holdings(network, node)[wanted].proven_at, "the audit to be answered")

    network.ledger.deprecate_model("tone", 1)
    wait_until(lambda: holdings(network, node).keys() == set(second.values()), "the deprecated model to go")
    assert network.ledger.node(node).used == 4

    assert agent.stop() == 0
    agent.start()
    wait_until(lambda: holdings(network, node).keys() == set(second.values()), "nothing to change")


def test_a_content_that_is_lost_is_not_announced_any_more(network: SmallNetwork) -> None:
    job = network.ledger.create_job("tone", ANY, ANY, 1, 2, 1, lease_seconds=60, escrow=4)
    files = register_model(network, job, 1)
    agent = network.agent(role="storage").start()
    wait_until(lambda: len(holdings(network, agent.node_id)) == 4, "every file to be announced")
    agent.kill()
    for store in (network.store.root, agent.home / "content"):
        (store / files["adapter"][-2:] / files["adapter"]).unlink()
    agent.start()
    wait_until(lambda: files["adapter"] not in holdings(network, agent.node_id), "the lost file to be dropped")


def test_a_node_does_not_change_its_role_by_its_settings(network: SmallNetwork) -> None:
    agent = network.agent(role="storage").start()
    assert agent.stop() == 0
    settings = agent.home / "config.yaml"
    settings.write_text(settings.read_text().replace("role: storage", "role: compute"))
    with pytest.raises(AssertionError, match="is registered for storage, and `role` in the settings is compute"):
        agent.start()
