"""One of two nodes is killed with kill -9 in mid-round: its shard is assigned again and goes on where it was."""

import re
import signal

import pytest

from atlas.content.local.store import LocalStore
from atlas.documents.manifests import SignedReceipt
from atlas.documents.stored import get_document
from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system

REWARD = 100_000


def test_the_round_completes_without_it(workplace, tiny_spec):
    place = workplace(ATLAS_HEARTBEAT_SECONDS="6", ATLAS_RESTART_AGENTS="0")
    spec = tiny_spec(rounds=1, training={"steps": 1500, "checkpoint_every": 20, "learning_rate": 0.001})
    run = place.start("run", spec, "--json")

    registry = JobRegistry(place.home / "coordinator.db")

    def victim():
        """A node in the middle of a shard, with a checkpoint to go on from."""
        job = registry.job("tiny")
        if job is None:
            return None
        for attempt in registry.attempts(job.round(1)):
            checkpoint = registry.newest_checkpoint(attempt.task_id)
            if attempt.state == "assigned" and checkpoint is not None:
                return attempt
        return None

    lost = place.wait_for(victim, "a shard with a checkpoint")
    agents = place.processes("node_agent", "start")
    assert len(agents) == 2
    doomed = next(agent for agent in agents if f"node-{lost.node_id}" in " ".join(agent.cmdline()))
    doomed.send_signal(signal.SIGKILL)

    assert run.wait(timeout=500) == 0, place.output()[-6000:]
    told = rf"s00\d, round 1: moves from node {lost.node_id} to node \d and resumes from step \d+ \(attempt 2\)"
    assert re.search(told, place.output()), place.output()
    summary = place.json("run", spec)

    completed = [task for task in summary["tasks"] if task["state"] == "completed"]
    again = [task for task in completed if task["attempt"] == 2]
    assert again, summary["tasks"]
    store = LocalStore(place.home / "content")
    receipts = [get_document(store, task["receipt"], SignedReceipt).receipt for task in again]
    assert any(receipt.resumed_from for receipt in receipts)
    assert all(receipt.steps == 1500 for receipt in receipts if receipt.adapter)

    finished = {node["node"]: 0 for node in summary["nodes"]}
    for task in completed:
        finished[task["node"]] += 1
    assert sum(finished.values()) == 5
    credited = {node["node"]: node["credited"] for node in summary["nodes"]}
    assert sum(credited.values()) == 5 * REWARD
    assert {node for node, amount in credited.items() if amount} <= {node for node, count in finished.items() if count}
