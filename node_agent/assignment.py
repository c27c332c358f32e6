"""Is a hint true? The chain decides, and the task's own document, never the hint."""

from atlas.content.store import ContentStore, get_document
from atlas.errors import ContentError, SpecError
from atlas.spec import TaskSpec
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from node_agent.errors import TaskRefused
from node_agent.messages import AssignHint


def check_assignment(
    hint: AssignHint, sender: str, node_id: int, contract: str, ledger: Ledger, store: ContentStore
) -> TaskSpec:
    """The task that a hint speaks of, if `sender` may give it and the chain leased it to this node.

    Raises `TaskRefused` with the reason, `ChainError` when the chain cannot be asked. Blocks.
    """
    try:
        owner = ledger.job(hint.job_id).owner
    except ContractRefused as error:
        raise TaskRefused(f"The chain knows no job {hint.job_id}: {error.reason}", lease_is_ours=False) from error
    if owner != sender:
        raise TaskRefused(f"Job {hint.job_id} belongs to {owner}, not to {sender}.", lease_is_ours=False)
    lease = ledger.lease(hint.job_id, hint.round, hint.slot)
    where = f"slot {hint.slot} in round {hint.round} of job {hint.job_id}"
    if lease is None:
        raise TaskRefused(f"The chain knows no lease of {where}.", lease_is_ours=False)
    found = (lease.node, lease.attempt, lease.task)
    if found != (node_id, hint.attempt, hint.task):
        raise TaskRefused(
            f"The lease of {where} is attempt {lease.attempt} of node {lease.node} at {lease.task}; "
            f"expected attempt {hint.attempt} of node {node_id} at {hint.task}.",
            lease_is_ours=False,
        )
    if not lease.live:
        raise TaskRefused(f"The lease of {where} is {lease.state} and not live.", lease_is_ours=False)
    return _read_task(hint, contract, store)


def _read_task(hint: AssignHint, contract: str, store: ContentStore) -> TaskSpec:
    try:
        task = get_document(store, hint.task, TaskSpec)
    except (ContentError, SpecError) as error:
        raise TaskRefused(f"The task {hint.task} cannot be read: {error}", lease_is_ours=True) from error
    if task.contract != contract:
        raise TaskRefused(
            f"The task {hint.task} is for contract {task.contract}, this node works for {contract}.", lease_is_ours=True
        )
    for field in ("task_id", "job_id", "round", "slot", "attempt"):
        told, found = getattr(hint, field), getattr(task, field)
        if told != found:
            raise TaskRefused(f"The hint says {field} {told}, the task {hint.task} says {found}.", lease_is_ours=True)
    return task
