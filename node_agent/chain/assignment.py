"""Checks of hints against the chain: the lease, its plan and its task decide, never the hint."""

from atlas.content.store import ContentStore
from atlas.documents.stored import get_document
from atlas.errors import ContentError, SpecError
from atlas.ids import NodeId
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.messages import Job, Lease
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from node_agent.errors import TaskRefused
from node_agent.wire.messages import AssignHint


def check_assignment(
    hint: AssignHint, sender: str, node_id: NodeId, contract: str, ledger: Ledger, store: ContentStore, price: int = 0
) -> Lease:
    """The live lease of a hint, if `sender` owns its job and the chain leased the task to this node.

    `price` is the least reward per task that this node works for, in micro-units. Raises `TaskRefused` with the reason,
    `ChainError` when the chain cannot be queried. Blocks.
    """
    try:
        job = ledger.job(hint.job_id)
    except ContractRefused as error:
        raise TaskRefused(f"The chain has no job {hint.job_id}: {error.reason}", lease_is_ours=False) from error
    if job.owner != sender:
        raise TaskRefused(f"Job {hint.job_id} belongs to {job.owner}, not to {sender}.", lease_is_ours=False)
    lease = ledger.lease(hint.job_id, hint.round, hint.slot)
    where = f"slot {hint.slot} in round {hint.round} of job {hint.job_id}"
    if lease is None:
        raise TaskRefused(f"The chain has no lease of {where}.", lease_is_ours=False)
    if (lease.node, lease.attempt) != (node_id, hint.attempt):
        raise TaskRefused(
            f"The lease of {where} is attempt {lease.attempt} of node {lease.node}; "
            f"expected attempt {hint.attempt} of node {node_id}.",
            lease_is_ours=False,
        )
    if not lease.live:
        raise TaskRefused(f"The lease of {where} is {lease.state} and not live.", lease_is_ours=False)
    _check_reward(job, price)
    true = hint_of(lease, contract, store)
    if hint.task != true.task:
        raise TaskRefused(
            f"The plan {lease.plan} has the task {true.task} for {where}, the hint names {hint.task}.",
            lease_is_ours=False,
        )
    if hint.task_id != true.task_id:
        raise TaskRefused(
            f"The hint has task_id {hint.task_id}, the task {hint.task} has {true.task_id}.", lease_is_ours=True
        )
    return lease


def unannounced_hint(lease: Lease, contract: str, ledger: Ledger, store: ContentStore, price: int) -> AssignHint:
    """The hint of a lease of this node that no message announced.

    Raises as `hint_of` does, `TaskRefused` also for a reward below `price`, `ChainError` when the chain cannot be
    queried. Blocks.
    """
    if price > 0:
        _check_reward(ledger.job(lease.job), price)
    return hint_of(lease, contract, store)


def hint_of(lease: Lease, contract: str, store: ContentStore) -> AssignHint:
    """The hint of a lease of this node, made from its plan and its task.

    Raises `TaskRefused` when one of them cannot be read or does not belong to the lease. Blocks.
    """
    where = f"slot {lease.slot}, attempt {lease.attempt} in round {lease.round} of job {lease.job}"
    try:
        plan = get_document(store, lease.plan, TaskPlan)
        planned = plan.tasks_in(contract, lease.job, lease.round).get((lease.slot, lease.attempt))
        if planned is None:
            raise TaskRefused(
                f"The plan {lease.plan} is for round {plan.round} of job {plan.job_id} on {plan.contract} and has no "
                f"task for {where} on {contract}.",
                lease_is_ours=True,
            )
        task = get_document(store, planned, TaskSpec)
    except (ContentError, SpecError) as error:
        raise TaskRefused(f"The task of {where} cannot be read: {error}", lease_is_ours=True) from error
    found = (task.contract, task.job_id, task.round, task.slot, task.attempt)
    if found != (contract, lease.job, lease.round, lease.slot, lease.attempt):
        raise TaskRefused(
            f"The task {planned} is for slot {task.slot}, attempt {task.attempt} in round {task.round} of job "
            f"{task.job_id} on {task.contract}; on the chain it is for {where} on {contract}.",
            lease_is_ours=True,
        )
    return AssignHint(
        task=planned,
        task_id=task.task_id,
        job_id=lease.job,
        round=lease.round,
        slot=lease.slot,
        attempt=lease.attempt,
    )


def _check_reward(job: Job, price: int) -> None:
    if job.reward < price:
        raise TaskRefused(
            f"Job {job.id} pays {job.reward} per task; this node works for {price} or more (its setting `price`).",
            lease_is_ours=True,
        )
