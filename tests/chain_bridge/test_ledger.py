"""The life of a round through the ledger, with the contract's real bytecode."""

import hashlib

import pytest

from chain_bridge.errors import ContractRefused, InsufficientFunds
from chain_bridge.messages import Assignment, NodeCount, SlotAttempt

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


def task(slot, attempt=1):
    return f"{CID}{slot}{attempt}"


def assign(nodes):
    """Slots 0 and 1 to the first node, 2 and the evaluation to the second."""
    (_, first), (_, second) = nodes
    return [Assignment(slot, node, 1, task(slot)) for slot, node in enumerate([first, first, second, second])]


def submit(operator, job, nodes):
    (_, first), (_, second) = nodes
    operator.assign_batch(job, 1, assign(nodes))
    operator.complete_batch(job, 1, [SlotAttempt(slot, 1) for slot in range(SHARDS + 1)])
    root = hashlib.sha256(b"leaves").digest()
    return operator.submit_round(job, 1, root, 4, CID, CID, [NodeCount(first, 2), NodeCount(second, 2)])


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

    tx = operator.assign_batch(job, 1, assign(nodes))
    assert tx.attribute("action") == "assign_batch"
    assert operator.find(tx.hash) == tx
    assert operator.height() == tx.height
    assert operator.node(first_id).used == 2
    lease = operator.lease(job, 1, 0)
    assert (lease.node, lease.attempt, lease.task, lease.state, lease.live) == (1, 1, task(0), "active", True)
    assert lease.until == int(clock()) + 600
    assert [lease.slot for lease in operator.leases(job, 1)] == [0, 1, 2, 3]
    assert [lease.slot for lease in second.leases_of_node(second_id)] == [2, 3]

    operator.complete_batch(job, 1, [SlotAttempt(slot, 1) for slot in range(4)])
    assert operator.lease(job, 1, 0).state == "completed"
    assert [operator.node(node).reputation for node in (1, 2)] == [102, 102]

    root = hashlib.sha256(b"leaves").digest()
    operator.submit_round(job, 1, root, 4, CID, CID, [NodeCount(1, 2), NodeCount(2, 2)])
    submitted = operator.round(job, 1)
    assert (submitted.root, submitted.leaf_count, submitted.settled_at) == (root, 4, None)
    assert [(share.node, share.count) for share in submitted.per_node] == [(1, 2), (2, 2)]
    assert operator.job(job).reserved == 4 * REWARD
    check_conservation(operator)

    assert "can be settled from" in refused(first.settle, job, 1)
    clock.advance(10)
    second.settle(job, 1)
    assert operator.round(job, 1).settled_at == int(clock())
    assert [operator.credit(node.address) for node, _ in nodes] == [2 * REWARD, 2 * REWARD]
    assert check_conservation(operator).credit == 4 * REWARD
    assert operator.job(job).free == ESCROW - 4 * REWARD

    assert first.withdraw().attribute("amount") == str(2 * REWARD)
    assert first.balance(first.address) == 2 * REWARD
    assert operator.credit(first.address) == 0
    assert check_conservation(operator).withdrawn == 2 * REWARD

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
    assert "no version 1" in refused(operator.model, "none", 1)


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
    operator.assign_batch(job, 1, [Assignment(slot, node, 1, task(slot)) for slot in range(120)])
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
        return [Assignment(slot, node, attempt, task(slot))]

    assert "the last slot of the round is 3" in refused(operator.assign_batch, job, 1, one(slot=4))
    assert "slot 0, node 7: the node is not registered" in refused(operator.assign_batch, job, 1, one(node=7))
    assert "the attempt must be 1, not 2" in refused(operator.assign_batch, job, 1, one(attempt=2))
    operator.assign_batch(job, 1, one())
    assert "already assigned to node 1" in refused(operator.assign_batch, job, 1, one(node=2, attempt=2))
    assert "is at attempt 1, not 2" in refused(operator.complete_batch, job, 1, [SlotAttempt(0, 2)])
    assert "never assigned" in refused(operator.complete_batch, job, 1, [SlotAttempt(1, 1)])
    both = [*one(slot=1, node=2), *one(slot=0, node=2, attempt=2)]
    refused(operator.assign_batch, job, 1, both)
    assert operator.lease(job, 1, 1) is None, "a batch is assigned whole or not at all"
    clock.advance(61)
    assert "last heartbeat" in refused(operator.assign_batch, job, 1, one(slot=1, node=2))
    check_conservation(operator)


def test_refusals_of_rounds(operator, nodes, job, clock):
    root = bytes(32)
    assert "not submitted" in refused(operator.settle, job, 1)
    submit(operator, job, nodes)
    assert "already submitted" in refused(operator.submit_round, job, 1, root, 1, CID, CID, [NodeCount(1, 1)])
    assert "root has 3 bytes" in refused(operator.submit_round, job, 2, b"abc", 1, CID, CID, [NodeCount(1, 1)])
    assert "completed 0" in refused(operator.submit_round, job, 2, root, 1, CID, CID, [NodeCount(1, 1)])
    assert "settle them first" in refused(operator.close_job, job)
    clock.advance(10)
    operator.settle(job, 1)
    assert "already settled" in refused(operator.settle, job, 1)
    assert check_conservation(operator).credit == 4 * REWARD


def test_a_lost_node_frees_its_lease_and_pays_for_it(operator, nodes, job, clock):
    (first, _), (second, _) = nodes
    operator.assign_batch(job, 1, [Assignment(0, 1, 1, task(0)), Assignment(1, 2, 1, task(1))])
    clock.advance(40)
    second.heartbeat()
    clock.advance(40)
    assert [lease.live for lease in operator.leases(job, 1)] == [False, True]
    assert second.expire_leases(job, 1, limit=10).attribute("expired") == "1"
    assert [lease.state for lease in operator.leases(job, 1)] == ["expired", "active"]
    assert (operator.node(1).used, operator.node(1).reputation) == (0, 95)

    operator.assign_batch(job, 1, [Assignment(0, 2, 2, task(0, 2))])
    assert "is at attempt 2, not 1" in refused(operator.complete_batch, job, 1, [SlotAttempt(0, 1)])
    operator.complete_batch(job, 1, [SlotAttempt(0, 2)])
    first.heartbeat()
    assert operator.node(1).last_seen == int(clock())


def test_a_deadline_passes_though_the_node_lives(operator, nodes, job, clock):
    first = nodes[0][0]
    operator.assign_batch(job, 1, [Assignment(0, 1, 1, task(0))])
    for _ in range(11):
        clock.advance(55)
        first.heartbeat()
    assert not operator.lease(job, 1, 0).live
    operator.assign_batch(job, 1, [Assignment(0, 1, 2, task(0, 2))])
    assert operator.lease(job, 1, 0).attempt == 2
    assert operator.node(1).used == 1


def test_a_node_gives_a_lease_back(operator, nodes, job):
    (first, _), (second, _) = nodes
    operator.assign_batch(job, 1, [Assignment(0, 1, 1, task(0))])
    refused(second.release_batch, job, 1, [SlotAttempt(0, 1)])
    first.release_batch(job, 1, [SlotAttempt(0, 1)])
    assert operator.lease(job, 1, 0).state == "released"
    assert operator.node(1).reputation == 100


def test_models(operator, job, open_ledger):
    operator.register_model("tone", 1, CID, job)
    operator.register_model("tone", 2, CID, job, parent=CID)
    assert operator.model("tone", 2).parent == CID
    assert [model.version for model in operator.models("tone")] == [1, 2]
    assert [model.version for model in operator.models(start_after=("tone", 1))] == [2]
    assert "already has a version 1" in refused(operator.register_model, "tone", 1, CID, job)


def test_ownership_is_handed_over_in_two_steps(operator, open_ledger):
    other = open_ledger("other")
    operator.update_ownership("transfer_ownership", other.address)
    assert operator.ownership().owner == operator.address
    other.update_ownership("accept_ownership")
    assert operator.ownership().owner == other.address
    other.update_ownership("renounce_ownership")
    assert operator.ownership().owner is None
