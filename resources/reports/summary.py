"""The current state of a job: rounds, tasks, nodes and newest checkpoint, from registry, store and chain."""

from pydantic import BaseModel, Field

from atlas.content.store import ContentStore
from atlas.documents.manifests import Receipt, SignedReceipt
from atlas.documents.stored import get_document
from atlas.ids import Cid, NodeId
from atlas.spec.job import TaskSpec
from chain_bridge.client.messages import Round
from chain_bridge.ledger import Ledger
from chain_bridge.settlement import amounts
from resources.alerts.alert import FailedCheck
from resources.jobs.opened import OpenJob
from resources.jobs.registry import JobRegistry
from resources.rounds.evaluating import plain_mean_of
from resources.rounds.verdict import compare

Metrics = dict[str, float]


class RoundSummary(BaseModel):
    """A round that has ended."""

    round: int
    checkpoint: Cid
    metrics: Metrics
    worse: str = Field(
        default="", description="metrics that are worse than those of the checkpoint that the round started from"
    )
    plain_mean: Metrics | None = Field(
        default=None,
        description="what averaging without the robust rule would have given, on `rows` of the held-out rows, where "
        "the round's checkpoint has `reference_loss`; null where it was not measured or the rule changed nothing",
    )


class TaskSummary(BaseModel):
    """One attempt at one task; `shard` is null for an evaluation."""

    round: int
    shard: str | None
    node: NodeId
    attempt: int
    state: str
    adapter: Cid | None
    receipt: Cid | None
    reason: str | None


class NodeSummary(BaseModel):
    """The completed shards of one node, and its credits and balance in micro-units."""

    node: NodeId
    address: str
    shards: int
    reputation: int
    credited: int
    unclaimed: int = Field(description="credit that the node has not withdrawn from the contract yet")
    balance: int


class RoundCheck(FailedCheck):
    """A check of a round that did not pass."""

    round: int


class Summary(BaseModel):
    """The final output of `atlas run`."""

    job: str
    state: str = Field(description="on chain: open, cancelled or closed")
    base: Metrics
    rounds: list[RoundSummary]
    tasks: list[TaskSummary]
    nodes: list[NodeSummary]
    checkpoint: Cid | None
    seconds: float | None = None
    failed_checks: list[RoundCheck] | None = Field(
        default=None, description="of the rounds that `atlas run` has run; null if no round was run"
    )


def summarize(job: OpenJob, registry: JobRegistry, store: ContentStore, ledger: Ledger) -> Summary:
    """Read a job's state; raises `ContentError` when a receipt is missing or altered."""
    tasks, metrics, evaluations = _tasks(job, registry, store)
    ended = [found for number in range(1, job.spec.rounds + 1) if (found := ledger.round(job.job_id, number))]
    return Summary(
        job=job.name,
        state=ledger.job(job.job_id).state,
        base=metrics.get(job.untrained, {}),
        rounds=[_round(one, metrics.get(one.checkpoint, {}), evaluations.get(one.round), job, store) for one in ended],
        tasks=tasks,
        nodes=_nodes(job, tasks, ended, ledger),
        checkpoint=ended[-1].checkpoint if ended else None,
    )


def _round(
    ended: Round, metrics: Metrics, evaluation: Receipt | None, job: OpenJob, store: ContentStore
) -> RoundSummary:  # fmt: skip
    """A round with the results of its evaluation; without an evaluation, `worse` and `plain_mean` stay empty."""
    summary = RoundSummary(round=ended.round, checkpoint=ended.checkpoint, metrics=metrics)
    if evaluation is None:
        return summary
    task = get_document(store, evaluation.task, TaskSpec)
    before, after = (evaluation.metrics[cid] for cid in task.checkpoints[:2])
    mean = plain_mean_of(task, store)
    return summary.model_copy(
        update={
            "worse": compare(before, after, job.spec.evaluation.tolerance).worse,
            "plain_mean": evaluation.metrics[mean] if mean else None,
        }
    )


def _tasks(
    job: OpenJob, registry: JobRegistry, store: ContentStore
) -> tuple[list[TaskSummary], dict[str, Metrics], dict[int, Receipt]]:
    """Every attempt of every round, the metrics of every evaluated checkpoint, and each round's evaluation."""
    tasks: list[TaskSummary] = []
    metrics: dict[str, Metrics] = {}
    evaluations: dict[int, Receipt] = {}
    for number in range(1, job.spec.rounds + 1):
        for attempt in registry.attempts(job.round(number)):
            receipt = _receipt(store, attempt.receipt_cid)
            metrics.update(receipt.metrics if receipt else {})
            trained = attempt.slot < len(job.dataset.shards)
            if receipt is not None and not trained:
                evaluations[number] = receipt
            tasks.append(
                TaskSummary(
                    round=number,
                    shard=job.dataset.shards[attempt.slot].key if trained else None,
                    node=attempt.node_id,
                    attempt=attempt.attempt,
                    state=attempt.state,
                    adapter=receipt.adapter if receipt else attempt.result_cid,
                    receipt=attempt.receipt_cid,
                    reason=attempt.reason,
                )
            )
    return tasks, metrics, evaluations


def _receipt(store: ContentStore, cid: Cid | None) -> Receipt | None:
    return get_document(store, cid, SignedReceipt).receipt if cid else None


def _nodes(job: OpenJob, tasks: list[TaskSummary], ended: list[Round], ledger: Ledger) -> list[NodeSummary]:
    """One line per node that was assigned tasks."""
    credited: dict[int, int] = {}
    for one in ended:
        if one.settled_at is not None:
            pool = job.spec.payment.reward_per_task * one.leaf_count
            for node, amount in amounts(pool, one.per_node, dict(one.struck)).items():
                credited[node] = credited.get(node, 0) + amount
    nodes = [ledger.node(number) for number in sorted({task.node for task in tasks})]
    return [
        NodeSummary(
            node=node.id,
            address=node.owner,
            shards=sum(task.node == node.id and task.state == "completed" and task.shard is not None for task in tasks),
            reputation=node.reputation,
            credited=credited.get(node.id, 0),
            unclaimed=ledger.credit(node.owner),
            balance=ledger.balance(node.owner),
        )
        for node in nodes
    ]
