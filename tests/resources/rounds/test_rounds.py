"""The steps of a round: tasks, manifest, checkpoint, evaluation, evidence and pay."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import RoundEvidence, RoundManifest
from atlas.documents.stored import get_document
from atlas.verification.checkpoint import verify_checkpoint
from atlas.verification.evidence import evidence_root
from resources.dispatch.outcomes import LostTask
from resources.errors import QuorumError, RoundOrderError, SettlementError
from resources.rounds.quorum import quorum_reached
from resources.rounds.tasks import (
    evaluation_task,
    training_tasks,
)
from tests.support.jobs.scripted_nodes import adapter_bytes, completes
from tests.support.jobs.whole_rounds import run, train_round


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


def test_training_tasks_are_one_per_shard_in_order(job):
    tasks = training_tasks(job, 1, job.untrained)
    assert [task.slot for task in tasks] == [0, 1, 2, 3]
    assert [task.shard for task in tasks] == ["s000", "s001", "s002", "s003"]
    assert [(task.data, task.rows) for task in tasks] == [(shard.cid, shard.rows) for shard in job.dataset.shards]
    assert [task.shard for task in training_tasks(job, 1, job.untrained, shards={"s003", "s001"})] == ["s001", "s003"]
    assert len({task.task_id for task in [*tasks, *training_tasks(job, 2, job.untrained)]}) == 8
    assert {task.rank for task in tasks} == {None}


def test_a_shard_of_a_lower_rank_is_said_in_its_task(place, paper_spec):
    lora = {"rank": 4, "target_modules": ["query"], "shard_ranks": {"s001": 2, "s002": 4}}
    job = place.open(paper_spec(lora=lora, aggregation={"strategy": "stack"}))
    assert [task.rank for task in training_tasks(job, 1, job.untrained)] == [None, 2, None, None]
    assert evaluation_task(job, 1, job.untrained, job.untrained).rank is None


async def test_two_rounds_end_to_end_are_paid_once_and_can_be_recomputed(place, job, add_node, bus):
    nodes = [await add_node(), await add_node()]
    first = await train_round(place, bus, job, 1)
    with pytest.raises(RoundOrderError, match="round 1"):
        place.round(job, 2).training_tasks()
    settled = place.round(job, 1).settle(first)
    assert (settled.leaf_count, settled.settled) == (5, True)
    assert sum(settled.payouts.values()) == 500_000
    assert set(settled.payouts) == {node.key.address for node in nodes}
    assert {node.key.address: place.ledger.credit(node.key.address) for node in nodes} == settled.payouts

    again = place.round(job, 1).settle(first)
    assert (again.submit_tx, again.settle_tx, again.settled) == (settled.submit_tx, None, True)
    assert (again.evidence, again.root, again.per_node) == (settled.evidence, settled.root, settled.per_node)
    assert place.ledger.job(job.job_id).paid == 500_000

    evidence = get_document(place.store, settled.evidence, RoundEvidence)
    assert [record.slot for record in evidence.records] == [0, 1, 2, 3, 4]
    assert evidence_root(evidence).hex() == settled.root == place.ledger.round(job.job_id, 1).root.hex()

    assert place.round(job, 2).base == first
    second = await train_round(place, bus, job, 2)
    place.round(job, 2).settle(second)
    place.round(job, 2).publish(second)
    place.round(job, 2).publish(second)
    assert place.ledger.models("paper")[-1].cid == second
    assert [one.round for one in verify_checkpoint(second, place.store)] == [2, 1, 0]
    with pytest.raises(SettlementError, match="cannot be registered under that name"):
        place.round(job, 2).publish(first)


async def test_the_checkpoint_is_the_mean_weighted_by_rows_of_the_manifest(place, paper_spec, add_node, bus):
    job = place.open(paper_spec(fleet={"trusted": True}))
    await add_node()
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    manifest = place.round(job, 1).build_manifest(reversed(outcomes))
    assert [update.shard for update in manifest.updates] == ["s000", "s001", "s002", "s003"]
    assert (manifest.refused, manifest.reference) == ([], None)
    assert get_document(place.store, manifest.cid, RoundManifest) == manifest
    checkpoint = place.round(job).aggregate(manifest)
    rows = [shard.rows for shard in job.dataset.shards]
    trained = [load(adapter_bytes(slot)) for slot in range(4)]
    mean = load(place.store.read(checkpoint.adapter))
    for name, value in mean.items():
        expected = sum(count * tensors[name] for count, tensors in zip(rows, trained, strict=True)) / sum(rows)
        assert np.allclose(value, expected, atol=1e-6)


ODD = save({"layer.lora_A.weight": np.ones((4, 7), np.float32), "layer.lora_B.weight": np.ones((7, 4), np.float32)})


async def slot_1_is_odd(node, task, hint, count):
    return node.completed(task, ODD) if task.slot == 1 else await completes(node, task, hint, count)


async def test_an_adapter_of_another_shape_is_refused_and_trained_elsewhere(place, job, add_node, bus):
    await add_node(slot_1_is_odd)
    gate = place.round(job, 1).gate()
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained), check=gate)
    manifest = place.round(job, 1).build_manifest(outcomes)
    assert [update.shard for update in manifest.updates] == ["s000", "s002", "s003"]
    assert [(one.shard, one.attempt, one.gate) for one in manifest.refused] == [
        ("s001", attempt, "schema") for attempt in (1, 2, 3)
    ]
    assert {one.adapter for one in manifest.refused} == {cid_of_bytes(ODD)}


async def test_an_adapter_that_only_the_whole_round_shows_to_be_odd_contributes_nothing(place, job, add_node, bus):
    await add_node(slot_1_is_odd)
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    manifest = place.round(job, 1).build_manifest(outcomes)
    assert [update.shard for update in manifest.updates] == ["s000", "s002", "s003"]
    assert place.round(job, 1).build_manifest(outcomes) == manifest
    settled = place.round(job, 1).settle(place.round(job, 1).aggregate(manifest).cid)
    evidence = get_document(place.store, settled.evidence, RoundEvidence)
    (rejected,) = evidence.rejected
    assert (rejected.shard, rejected.gate) == ("s001", "schema")
    assert [record.contribution == 0 for record in evidence.records] == [False, True, False, False]
    assert settled.leaf_count == 4


async def test_a_round_whose_updates_are_all_refused_says_by_which_gate(place, job, add_node, bus):
    async def odd(node, task, hint, count):
        return node.completed(task, ODD)

    node = await add_node(odd)
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    message = (
        f"4 of 4 shards failed: 4 times .refused by gate schema: .* \\(first: s000 on node {node.node_id}\\)"
        ".* Another run would end in the same way: `atlas job cancel"
    )
    with pytest.raises(QuorumError, match=message):
        place.round(job, 1).build_manifest(outcomes)


def test_nothing_trained_is_no_round(place, job):
    (task, *_) = training_tasks(job, 1, job.untrained)
    with pytest.raises(QuorumError, match=r"0 of the 2 updates .* 1 of 4 shards failed: once .gone."):
        place.round(job, 1).build_manifest([LostTask(task, "gone")])


async def test_the_quorum_counts_updates_against_shards(place, job, add_node, bus):
    await add_node()
    outcomes = await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    reached = []
    for count in (1, 2, 4):
        manifest = place.round(job, 1).build_manifest(outcomes[:count])
        reached.append(quorum_reached(job, manifest))
    assert reached == [False, True, True]


async def test_results_that_this_coordinator_does_not_know_of_stop_the_settlement(place, job, add_node, bus):
    await add_node()
    await run(place, bus, job, 1, training_tasks(job, 1, job.untrained))
    place.registry.record_lost(job.round(1), 2, 1, "forgotten")
    with pytest.raises(SettlementError, match="slot 2 attempt 1"):
        place.round(job, 1).settle(job.untrained)
    assert place.ledger.round(job.job_id, 1) is None


async def test_a_round_that_is_on_chain_with_another_checkpoint_is_refused(place, job, add_node, bus):
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    place.round(job, 1).settle(checkpoint)
    other = place.round(job).checkpoints_without(checkpoint)["s000"]
    with pytest.raises(SettlementError, match=other):
        place.round(job, 1).settle(other)
    with pytest.raises(SettlementError, match="untrained"):
        place.round(job, 1).settle(job.untrained)
