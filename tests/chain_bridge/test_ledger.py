"""The life of a round through the ledger, with the contract's real bytecode."""

import hashlib

import pytest

from chain_bridge.client.messages import Assignment, Share, SlotAttempt
from chain_bridge.errors import ContractRefused, InsufficientFunds

REWARD = 100
SHARDS = 3
ESCROW = REWARD * (SHARDS + 1) * 2
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


@pytest.fixture
def nodes(open_ledger):
    """Two registered machines: (ledger, node id)."""
    ledgers = [open_ledger("first"), open_ledger("second")]
    return [(ledger, ledger.register_node("compute", 4, CID)) for ledger in ledgers]


@pytest.fixture
def job(operator):
    return create_job(operator)


def create_job(operator, key="job-1", escrow=ESCROW):
    return operator.create_job(key, CID, CID, SHARDS, 2, REWARD, lease_seconds=600, escrow=escrow)


def assign(nodes):
    """Slots 0 and 1 to the first node, 2 and the evaluation to the second."""
    (_, first), (_, second) = nodes
    return [Assignment(slot, node, 1) for slot, node in enumerate([first, first, second, second])]


def submit(operator, job, nodes):
    (_, first), (_, second) = nodes
    operator.assign_batch(job, 1, CID, assign(nodes))
    operator.complete_batch(job, 1, [SlotAttempt(slot, 1) for slot in range(SHARDS + 1)])
    root = hashlib.sha256(b"leaves").digest()
    return operator.submit_round(job, 1, root, 4, CID, CID, [Share(first, 2, 5_000), Share(second, 2, 5_000)])


def check_conservation(ledger):
    totals = ledger.totals()
    assert ledger.balance(ledger.contract) == totals.held
    return totals


def refused(action, *arguments, **named):
    with pytest.raises(ContractRefused) as caught:
        action(*arguments, **named)
    assert str(caught.value).endswith(caught.value.reason)
    return caught.value.reason


def test_a_round_from_registration_to_withdrawal(operator, nodes, job, clock, genesis):
    (first, first_id), (second, second_id) = nodes
    assert (first_id, second_id, job) == (1, 2, 1)
    assert operator.balance(operator.address) == genesis - ESCROW
    assert check_conservation(operator).escrow == ESCROW

    tx = operator.assign_batch(job, 1, CID, assign(nodes))
    assert tx.attribute("action") == "assign_batch"
    assert operator.find(tx.hash) == tx
    assert operator.height() == tx.height
    assert operator.node(first_id).used == 2
    assert operator.job(job).reserved == 4 * REWARD
    lease = operator.lease(job, 1, 0)
    assert (lease.node, lease.attempt, lease.plan, lease.state, lease.live) == (1, 1, CID, "active", True)
    assert lease.until == int(clock()) + 600
    assert [lease.slot for lease in operator.leases(job, 1)] == [0, 1, 2, 3]
    assert [lease.slot for lease in second.leases_of_node(second_id)] == [2, 3]

    operator.complete_batch(job, 1, [SlotAttempt(slot, 1) for slot in range(4)])
    assert operator.lease(job, 1, 0).state == "completed"
    assert [operator.node(node).reputation for node in (1, 2)] == [102, 102]

    root = hashlib.sha256(b"leaves").digest()
    operator.submit_round(job, 1, root, 4, CID, CID, [Share(1, 2, 6_000), Share(2, 2, 4_000)])
    submitted = operator.round(job, 1)
    assert (submitted.root, submitted.leaf_count, submitted.settled_at) == (root, 4, None)
    assert submitted.per_node == [Share(1, 2, 6_000), Share(2, 2, 4_000)]
    assert (submitted.settle_from, submitted.open_challenges, submitted.struck) == (int(clock()) + 10, 0, [])
    assert operator.rounds(job) == [submitted]
    check_conservation(operator)

    assert "can be settled from" in refused(first.settle, job, 1)
    clock.advance(10)
    second.settle(job, 1)
    assert operator.round(job, 1).settled_at == int(clock())
    assert [operator.credit(node.address) for node, _ in nodes] == [240, 160]
    assert check_conservation(operator).credit == 4 * REWARD
    assert operator.job(job).free == ESCROW - 4 * REWARD

    assert first.withdraw().attribute("amount") == "240"
    assert first.balance(first.address) == 240
    assert operator.credit(first.address) == 0
    assert check_conservation(operator).withdrawn == 240

    operator.close_job(job)
    assert operator.job(job).state == "closed"
    operator.withdraw()
    assert operator.balance(operator.address) == genesis - 4 * REWARD
    check_conservation(operator)


def test_what_is_not_there(operator, nodes, job):
    assert operator.node_of(operator.address) is None
    assert operator.job_of(operator.address, "other") is None
    assert operator.lease(job, 1, 0) is None
    assert operator.round(job, 1) is None
    assert operator.credit(operator.address) == 0
    assert operator.models() == []
    assert operator.find("00" * 32) is None
    assert refused(operator.node, 9) == "node 9 is not registered"
    assert refused(operator.job, 9) == "there is no job 9"


def test_what_is_there(operator, nodes, job):
    assert operator.config().heartbeat_seconds == 60
    assert operator.ownership().owner == operator.address
    assert operator.job_of(operator.address, "job-1") == operator.job(job)
    assert nodes[0][0].node_of(nodes[0][0].address) == operator.node(1)
    assert [node.id for node in operator.nodes()] == [1, 2]
    assert [node.id for node in operator.nodes(start_after=1)] == [2]
    assert [node.id for node in operator.nodes(limit=1)] == [1]


def test_lists_come_whole_over_many_pages(operator):
    job = operator.create_job("wide", CID, CID, 119, 1, 1, 600, escrow=120)
    node = operator.register_node("compute", 120, CID)
    operator.assign_batch(job, 1, CID, [Assignment(slot, node, 1) for slot in range(120)])
    assert [lease.slot for lease in operator.leases(job, 1)] == list(range(120))
    assert [lease.slot for lease in operator.leases(job, 1, start_after=110)] == list(range(111, 120))
    assert [lease.slot for lease in operator.leases_of_node(node, limit=105)] == list(range(105))
    assert len(operator.leases_of_node(node, start_after=(job, 1, 3))) == 116


def test_refusals_of_registration(operator, nodes):
    first = nodes[0][0]
    assert "already has node 1: use update_node" in refused(first.register_node, "compute", 4, CID)
    assert "has no node: use register_node" in refused(operator.heartbeat)
    assert "capacity" in refused(operator.register_node, "compute", 0, CID)
    assert first.node(1).capacity == 4
    first.update_node(capacity=9)
    assert (first.node(1).capacity, first.node(1).manifest) == (9, CID)
    check_conservation(operator)


def test_refusals_of_jobs(operator, job, open_ledger):
    assert refused(create_job, operator) == "job key job-1 is already used by job 1"
    reason = refused(create_job, operator, "job-2", escrow=1)
    assert f"an escrow of 1 does not cover {ESCROW}" in reason
    poor = open_ledger("poor")
    with pytest.raises(InsufficientFunds, match=f"spendable balance 0uatl is smaller than {ESCROW}uatl"):
        create_job(poor)
    assert "is not the owner of job 1" in refused(poor.close_job, job)
    assert "has no credit" in refused(poor.withdraw)
    assert check_conservation(operator).escrow == ESCROW


def test_refusals_of_assignments(operator, nodes, job, clock):
    def one(slot=0, node=1, attempt=1):
        return [Assignment(slot, node, attempt)]

    assert "the last slot of the round is 3" in refused(operator.assign_batch, job, 1, CID, one(slot=4))
    assert "slot 0, node 7: the node is not registered" in refused(operator.assign_batch, job, 1, CID, one(node=7))
    assert "the attempt must be 1, not 2" in refused(operator.assign_batch, job, 1, CID, one(attempt=2))
    operator.assign_batch(job, 1, CID, one())
    assert "already assigned to node 1" in refused(operator.assign_batch, job, 1, CID, one(node=2, attempt=2))
    assert "is at attempt 1, not 2" in refused(operator.complete_batch, job, 1, [SlotAttempt(0, 2)])
    assert "never assigned" in refused(operator.complete_batch, job, 1, [SlotAttempt(1, 1)])
    both = [*one(slot=1, node=2), *one(slot=0, node=2, attempt=2)]
    refused(operator.assign_batch, job, 1, CID, both)
    assert operator.lease(job, 1, 1) is None, "a batch is assigned whole or not at all"
    clock.advance(61)
    assert "last heartbeat" in refused(operator.assign_batch, job, 1, CID, one(slot=1, node=2))
    check_conservation(operator)


def test_refusals_of_rounds(operator, nodes, job, clock):
    root = bytes(32)
    assert "not submitted" in refused(operator.settle, job, 1)
    submit(operator, job, nodes)
    assert "already submitted" in refused(operator.submit_round, job, 1, root, 1, CID, CID, [Share(1, 1, 10_000)])
    assert "root has 3 bytes" in refused(operator.submit_round, job, 2, b"abc", 1, CID, CID, [Share(1, 1, 10_000)])
    assert "completed 0" in refused(operator.submit_round, job, 2, root, 1, CID, CID, [Share(1, 1, 10_000)])
    assert "settle them first" in refused(operator.close_job, job)
    clock.advance(10)
    operator.settle(job, 1)
    assert "already settled" in refused(operator.settle, job, 1)
    assert check_conservation(operator).credit == 4 * REWARD


def test_a_lost_node_frees_its_lease_and_pays_for_it(operator, nodes, job, clock):
    (first, _), (second, _) = nodes
    operator.assign_batch(job, 1, CID, [Assignment(0, 1, 1), Assignment(1, 2, 1)])
    clock.advance(40)
    second.heartbeat()
    clock.advance(40)
    assert [lease.live for lease in operator.leases(job, 1)] == [False, True]
    assert second.expire_leases(job, 1, limit=10).attribute("expired") == "1"
    assert [lease.state for lease in operator.leases(job, 1)] == ["expired", "active"]
    assert (operator.node(1).used, operator.node(1).reputation) == (0, 95)

    operator.assign_batch(job, 1, CID, [Assignment(0, 2, 2)])
    assert "is at attempt 2, not 1" in refused(operator.complete_batch, job, 1, [SlotAttempt(0, 1)])
    operator.complete_batch(job, 1, [SlotAttempt(0, 2)])
    first.heartbeat()
    assert operator.node(1).last_seen == int(clock())


def test_a_deadline_passes_though_the_node_lives(operator, nodes, job, clock):
    first = nodes[0][0]
    operator.assign_batch(job, 1, CID, [Assignment(0, 1, 1)])
    for _ in range(11):
        clock.advance(55)
        first.heartbeat()
    assert not operator.lease(job, 1, 0).live
    operator.assign_batch(job, 1, CID, [Assignment(0, 1, 2)])
    assert operator.lease(job, 1, 0).attempt == 2
    assert operator.node(1).used == 1


def test_a_node_gives_a_lease_back(operator, nodes, job):
    (first, _), (second, _) = nodes
    operator.assign_batch(job, 1, CID, [Assignment(0, 1, 1)])
    refused(second.release_batch, job, 1, [SlotAttempt(0, 1)])
    first.release_batch(job, 1, [SlotAttempt(0, 1)])
    assert operator.lease(job, 1, 0).state == "released"
    assert operator.node(1).reputation == 100
