"""Who is paid what for a round, on a real contract: by contribution, once, and also when the chain is away."""

import asyncio
import json
import time
from fractions import Fraction

import numpy as np
import pytest
from safetensors.numpy import load

from atlas.data.merkle import merkle_proof
from atlas.documents.manifests import RoundEvidence
from atlas.documents.stored import get_document
from atlas.verification.evidence import evidence_leaves
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox
from chain_bridge.settlement import PaidTask, divide_round
from resources.errors import RoundOrderError
from resources.rounds.settle import settle_due
from tests.support.jobs.scripted_nodes import adapter_bytes, untrained_bytes
from tests.support.jobs.whole_rounds import train_round

REWARD = 100_000
WINDOW_SECONDS = 8


@pytest.fixture
def job(place, paper_spec):
    return place.open(paper_spec())


@pytest.fixture
def deaf(place):
    """The same coordinator with the same outbox, whose chain does not answer."""
    outbox = Outbox(place.home.outbox(place.ledger.network.chain_id, place.operator.address))
    network = place.ledger.network.model_copy(update={"url": "grpc+http://127.0.0.1:1"})
    with Ledger(network, place.operator, timeout_seconds=2.0, outbox=outbox) as ledger:
        yield ledger


def settle(place, job, checkpoint, **options):
    return place.round(job, ledger=options.pop("ledger", None)).settle(checkpoint, patience_seconds=0.0, **options)


def credits_of(place, settlement):
    return {one.address: place.ledger.credit(one.address) for one in settlement.per_node}


async def settle_when_due(place, job):
    """Ask until the window is over."""
    async with asyncio.timeout(60):
        while not settle_due([job.job_id], place.ledger, time.time()):
            await asyncio.sleep(0.2)


async def test_pay_follows_tokens_and_leave_one_out_scores(place, job, add_node, bus):
    nodes = [await add_node(), await add_node()]
    checkpoint = await train_round(place, bus, job, 1)
    settlement = settle(place, job, checkpoint)
    evidence = get_document(place.store, settlement.evidence, RoundEvidence)

    # The scripted nodes find update n missed by n x 0.1: the mean is 0.15.
    assert settlement.scoring == evidence.scoring == "leave-one-out"
    assert [record.score for record in evidence.records] == [1000, 1333, 1500, 1500, None]
    training = job.spec.training
    rows = training.steps * training.batch_size * training.gradient_accumulation
    lengths = [[len(line.split()) for line in texts(place, shard)] for shard in job.dataset.shards]
    tokens = [rows * sum(counts) // len(counts) for counts in lengths]
    assert [record.tokens for record in evidence.records] == [*tokens, None]

    total = sum(record.contribution for record in evidence.records[:4])
    for payout in settlement.per_node:
        mine = [record for record in evidence.records if record.node_id == payout.node]
        quota = sum(
            Fraction(1, 5) if record.contribution is None else Fraction(4 * record.contribution, 5 * total)
            for record in mine
        )
        assert abs(payout.bps - 10_000 * quota) < 1
        assert abs(payout.amount - 5 * REWARD * quota) < 5 * REWARD / 10_000
        assert payout.count == len(mine)
    assert sum(payout.bps for payout in settlement.per_node) == 10_000
    assert sum(payout.amount for payout in settlement.per_node) == 5 * REWARD
    assert {one.address for one in settlement.per_node} == {node.key.address for node in nodes}
    assert credits_of(place, settlement) == settlement.payouts
    # From the evidence alone, anyone gets the same parts.
    parts = divide_round(PaidTask(record.node_id, record.contribution) for record in evidence.records)
    assert parts == place.ledger.round(job.job_id, 1).per_node


def texts(place, shard):
    return [json.loads(line)["text"] for line in place.store.read(shard.cid).splitlines()]


def alignments(job) -> list[int]:
    """One plus half the cosine of each scripted update's change with the mean of the others', in thousandths."""
    start = load(untrained_bytes())
    changes = [
        np.concatenate([(tensors[name].astype(float) - start[name]).ravel() for name in sorted(start)])
        for tensors in (load(adapter_bytes(slot)) for slot in range(4))
    ]
    weighted = [shard.rows * change for shard, change in zip(job.dataset.shards, changes, strict=True)]
    scores = []
    for change, own in zip(changes, weighted, strict=True):
        others = sum(weighted) - own
        scores.append(round(1000 + 500 * (change @ others) / np.linalg.norm(change) / np.linalg.norm(others)))
    return scores


@pytest.mark.parametrize("scoring", ["none", "alignment"])
async def test_the_job_chooses_how_updates_are_scored(place, paper_spec, add_node, bus, scoring):
    job = place.open(paper_spec(payment={"budget": 1_000_000, "reward_per_task": REWARD, "scoring": scoring}))
    await add_node()
    settlement = settle(place, job, await train_round(place, bus, job, 1))
    evidence = get_document(place.store, settlement.evidence, RoundEvidence)
    expected = alignments(job) if scoring == "alignment" else [1000] * 4
    assert (evidence.scoring, [record.score for record in evidence.records[:4]]) == (scoring, expected)


async def test_a_chain_that_is_away_delays_the_pay_and_nothing_else(place, job, deaf, add_node, bus):
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    with pytest.raises(RoundOrderError, match="does not answer"):
        place.round(job, 2, deaf).training_tasks()

    for _ in range(2):  # a second run finds what the first has recorded
        pending = settle(place, job, checkpoint, ledger=deaf)
        place.round(job, 1, deaf).publish(checkpoint)
        assert (pending.state, pending.settled, pending.due_at) == ("pending", False, None)
        assert (pending.submit_tx, pending.settle_tx) == (None, None)
        assert deaf.backlog().undecided == 3
        assert pending.waiting_since == deaf.backlog().oldest_at is not None
    assert place.ledger.round(job.job_id, 1) is None
    assert place.round(job, 2, deaf).base == place.round(job, 2).base == checkpoint

    assert place.ledger.flush().undecided == 0
    settled = settle(place, job, checkpoint)
    assert settled.settled
    assert (settled.evidence, settled.per_node) == (pending.evidence, pending.per_node)
    assert credits_of(place, settled) == settled.payouts
    assert place.ledger.models("paper")[-1].cid == checkpoint
    assert place.ledger.job(job.job_id).paid == 5 * REWARD
    assert place.round(job, 2, deaf).base == checkpoint


@pytest.mark.slow
async def test_a_round_is_settled_when_its_window_is_over(place, job, add_node, bus):
    place.ledger.update_config(challenge_seconds=WINDOW_SECONDS)
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    due = settle(place, job, checkpoint, clock=lambda: 0.0)
    assert (due.state, due.settle_tx) == ("due", None)
    assert due.due_at == place.ledger.round(job.job_id, 1).submitted_at + WINDOW_SECONDS
    assert settle_due([job.job_id], place.ledger, due.due_at - 1) == []
    await settle_when_due(place, job)
    assert settle(place, job, checkpoint).settled
    assert settle_due([job.job_id], place.ledger, time.time()) == []
    assert place.ledger.job(job.job_id).paid == 5 * REWARD


async def test_a_paused_contract_delays_the_pay(place, job, add_node, bus):
    place.ledger.update_config(challenge_seconds=1)
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    due_at = settle(place, job, checkpoint, clock=lambda: 0.0).due_at
    place.ledger.pause(True)
    assert settle_due([job.job_id], place.ledger, due_at + 1) == []
    assert settle(place, job, checkpoint, clock=lambda: due_at + 1).state == "due"
    place.ledger.pause(False)
    await settle_when_due(place, job)


async def test_a_round_that_was_rolled_back_is_submitted_again(place, job, deaf, add_node, bus):
    place.ledger.update_config(challenge_seconds=3600)
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    settle(place, job, checkpoint)
    place.ledger.rollback_round(job.job_id, 1)
    with pytest.raises(RoundOrderError, match="not submitted"):
        place.round(job, 2).training_tasks()
    assert settle(place, job, checkpoint).state == "due"
    assert place.ledger.round(job.job_id, 1).checkpoint == checkpoint


@pytest.mark.slow
async def test_a_struck_task_is_not_paid_and_the_contract_agrees(place, job, add_node, bus):
    place.ledger.update_config(challenge_seconds=WINDOW_SECONDS)
    await add_node()
    await add_node()
    checkpoint = await train_round(place, bus, job, 1)
    settlement = settle(place, job, checkpoint)
    evidence = get_document(place.store, settlement.evidence, RoundEvidence)
    leaves = evidence_leaves(evidence)
    proof = [step.sibling for step in merkle_proof(leaves, 2)]
    place.ledger.challenge(job.job_id, 1, 2, leaves[2], proof, settlement.evidence)
    disputed = settle(place, job, checkpoint)
    assert disputed.state == "disputed", "the contract takes our leaf for what it is"

    accused = evidence.records[2].node_id
    place.ledger.resolve_challenge(job.job_id, 1, 2, upheld=True)
    await settle_when_due(place, job)
    settled = settle(place, job, checkpoint)
    before = {one.node: one for one in settlement.per_node}
    for one in settled.per_node:
        share = before[one.node]
        expected = share.amount * (share.count - 1) // share.count if one.node == accused else share.amount
        assert one.amount == expected
    assert credits_of(place, settled) == settled.payouts
