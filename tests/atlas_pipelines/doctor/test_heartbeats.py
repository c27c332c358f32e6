"""`atlas doctor --listen` over a real message server."""

import threading
import time

from atlas_pipelines.doctor.heartbeats import listen_to_nodes
from chain_bridge.client.keys import load_or_create_key
from node_agent.wire import subjects
from node_agent.wire.bus import Bus


async def test_nodes_with_a_wrong_clock_are_told_by_their_heartbeats(addresses, tmp_path):
    findings = []
    listening = threading.Thread(target=lambda: findings.extend(listen_to_nodes(addresses.bus, 3.0)))
    listening.start()
    wrong, right = (load_or_create_key(tmp_path / name / "node.key", "atlas") for name in ("wrong", "right"))
    for number, key, offset in ((1, wrong, 75), (2, right, 0)):
        bus = await Bus.connect(addresses.bus, key, lambda offset=offset: time.time() + offset)
        for _ in range(20):
            await bus.publish(subjects.heartbeat(number), {})
            time.sleep(0.05)
        await bus.close()
    listening.join()
    assert [finding.state for finding in findings] == ["failed", "ok"]
    assert f"that of node 1 ({wrong.address})" in findings[0].text
    assert "s apart" in findings[0].text
    assert "1 of 2 node clocks" in findings[1].text


def test_a_message_server_that_does_not_answer_is_left_to_its_own_check():
    assert listen_to_nodes("nats://127.0.0.1:1", 0.1) == []
