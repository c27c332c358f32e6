"""A whole job with its content on IPFS: coordinator and two agents, each beside a Kubo node of its own."""

import time
from pathlib import Path

import pytest
import yaml

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from resources.jobs.registry import Attempt, JobRegistry
from tests.support.content.kubo_nodes import KuboNodes, RunningNode, kubo_binary, kubo_nodes

pytestmark = [pytest.mark.system, pytest.mark.kubo]


@pytest.fixture
def own_kubo(tmp_path):
    """Three nodes that a test may kill."""
    if kubo_binary() is None:
        pytest.skip("Kubo is not built on this machine: run scripts/kubo build")
    with kubo_nodes(tmp_path / "kubo", 3) as nodes:
        yield nodes


def on(kubo: KuboNodes) -> list[str]:
    return [f"--ipfs={url}" for url in kubo.urls]


def content_of(folder: Path) -> dict:
    """What an agent's settings say of content."""
    return yaml.safe_load((folder / "config.yaml").read_text())["content"]


def test_a_job_over_three_nodes_ends_with_the_bytes_of_one_over_a_folder(workplace, tiny_spec, kubo):
    spec, place = tiny_spec(), workplace("ipfs")
    summary = place.json("run", spec, *on(kubo))
    assert summary["checkpoint"] == workplace("folder").json("run", spec)["checkpoint"]
    assert len(summary["rounds"]) == 2

    agents = [place.home / "nodes" / f"node-{number}" for number in (1, 2)]
    assert [content_of(folder)["nodes"] for folder in agents] == [[url] for url in kubo.urls[1:]]
    tasks = {one: [task for task in summary["tasks"] if task["node"] == one] for one in (1, 2)}
    assert all(tasks.values())
    for node, own in zip(kubo.running[1:], (1, 2), strict=True):
        for task in tasks[own]:
            assert cid_of_bytes(node.client.block(task["receipt"])) == task["receipt"]
            assert node.client.holds(task["receipt"])

    accepted = {task[made] for task in summary["tasks"] for made in ("receipt", "adapter")} - {None}
    assert [cid for cid in accepted if not kubo.nodes[0].holds(cid)] == []

    held = [one.cid for one in LocalStore(place.home / "content").held()]
    assert set(held) >= {summary["checkpoint"], *(task["receipt"] for task in summary["tasks"])}
    assert [cid for cid in held if not any(node.holds(cid) for node in kubo.nodes)] == []
    adapter = next(task["adapter"] for task in tasks[1] if task["adapter"])
    elsewhere = place.home.parent / "adapter"
    kubo.running[2].ipfs("get", "-o", elsewhere, adapter)
    assert cid_of_bytes(elsewhere.read_bytes()) == adapter

    assert place.json("verify", summary["checkpoint"])["verified"] is True
    assert place.json("content", "verify")["bad"] == {}
    copies = place.json("content", "replicas", *on(kubo), *held)
    assert [one["cid"] for one in copies if not one["enough"]] == []


def test_a_round_outlives_the_kubo_node_of_an_agent(workplace, tiny_spec, own_kubo):
    place = workplace()
    training = {"steps": 1000, "checkpoint_every": 20, "learning_rate": 0.001}
    spec = tiny_spec(rounds=1, training=training)
    run = place.start("run", spec, *on(own_kubo), "--json")
    registry = JobRegistry(place.home / "coordinator.db")

    def in_the_middle() -> Attempt | None:
        """A task of a shard that has uploaded a checkpoint and goes on."""
        job = registry.job("tiny")
        for attempt in registry.attempts(job.round(1)) if job else []:
            if attempt.state == "assigned" and registry.newest_checkpoint(attempt.task_id) is not None:
                return attempt
        return None

    victim: RunningNode = own_kubo.running[place.wait_for(in_the_middle, "a shard with a checkpoint").node_id]
    victim.kill()
    time.sleep(10)
    victim.start_again()

    assert run.wait(timeout=400) == 0, place.output()[-6000:]
    summary = place.json("run", spec)
    completed = {task["shard"] for task in summary["tasks"] if task["state"] == "completed"}
    assert completed == {"s000", "s001", "s002", "s003", None}
    assert place.json("verify", summary["checkpoint"])["verified"] is True
