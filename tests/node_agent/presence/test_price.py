"""A real agent does not work for less than its price, and gives back what it was leased all the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atlas.documents.stored import get_document
from node_agent.presence.machine import NodeManifest
from node_agent.wire.bus import Bus
from tests.support.nodes.nats_server import NatsServer
from tests.support.nodes.small_network import SmallNetwork, ask, ask_until, wait_until

pytestmark = pytest.mark.slow
REWARD = 100_000


@pytest.fixture
def network(tmp_path: Path, nats_server: NatsServer) -> Iterator[SmallNetwork]:
    network = SmallNetwork(tmp_path, nats_server)
    network.start()
    yield network
    network.stop()


async def test_a_task_below_the_price_is_refused_and_its_lease_given_back(
    network: SmallNetwork, tiny_spec: Any
) -> None:
    spec = tiny_spec(training={"steps": 2}, payment={"reward_per_task": REWARD})
    first, second, *_ = network.open_job(spec)
    dear, fair = network.agent(price=REWARD + 1).start(), network.agent(price=REWARD).start()
    manifests = [network.ledger.node(agent.node_id).manifest for agent in (dear, fair)]
    prices = [get_document(network.store, cid, NodeManifest).price for cid in manifests]
    assert prices == [REWARD + 1, REWARD]

    bus = await Bus.connect(network.bus.url, network.key)
    refused = await ask(bus, dear, network.assign(first, dear))
    assert refused.state == "failed"
    assert f"pays {REWARD} per task; this node works for {REWARD + 1} or more" in (refused.error or "")
    assert network.lease(first).state == "released"

    network.assign(second, dear)  # no hint is sent: the agent finds the lease by itself
    wait_until(lambda: network.lease(second).state == "released", "the lease to be given back")

    again = first.model_copy(update={"attempt": 2})
    report = await ask_until(bus, fair, network.assign(again, fair), lambda report: report.state == "in_progress")
    assert report.state in ("in_progress", "completed")
    await bus.close()
