"""The report of a job: every round, task and payout with its numbers, from registry, content and chain."""

from pydantic import BaseModel, Field

from atlas.content.store import ContentStore
from atlas.documents.document import Document
from atlas.documents.manifests import ModelManifest, Receipt, SignedReceipt
from atlas.documents.stored import get_document
from atlas.errors import ContentNotFound
from atlas.ids import Cid, NodeId
from chain_bridge.client.messages import Round
from chain_bridge.ledger import Ledger
from chain_bridge.settlement import amounts
from resources.jobs.opened import OpenJob
from resources.jobs.registry import JobRegistry
from resources.reports.summary import Metrics, RoundSummary, TaskSummary, summarize
from resources.rounds.verdict import main_metric


class TaskReport(TaskSummary):
    """One attempt at one task, with what its node reported of it; null without a result."""

    loss: float | None = Field(default=None, description="training loss at the last step; null for an evaluation")
    steps: int | None = None
    tokens: int | None = Field(default=None, description="tokens that the node trained on")
    bytes: int | None = Field(default=None, description="size of the update as sent; null if it was removed")
    seconds: float | None = Field(default=None, description="duration of the task by the node's clock")


class PayoutReport(BaseModel):
    """What one node earned in one round."""

    round: int
    node: NodeId
    tasks: int
    amount: int = Field(description="micro-units")
    settled: bool = Field(description="whether it is credited; otherwise it will be, after the challenge window")


class JobReport(Document):
    """A job with all numbers of its rounds so far. The same records give the same report."""

    job: str
    state: str = Field(description="on chain: open, cancelled or closed")
    contract: str
    job_on_chain: int
    model: str
    dataset: str
    rows: int = Field(description="rows of all shards")
    shards: int
    strategy: str
    rule: str = Field(description="the robust rule")
    ordered_rounds: int
    denomination: str
    main_metric: str = Field(description="accuracy of a classifier, otherwise loss")
    base: Metrics = Field(description="metrics of the untrained model")
    rounds: list[RoundSummary]
    tasks: list[TaskReport]
    payouts: list[PayoutReport]
    checkpoint: Cid | None = Field(description="the newest")


def collect_report(job: OpenJob, registry: JobRegistry, store: ContentStore, ledger: Ledger) -> JobReport:
    """Read all numbers of a job; raises `ContentError` when a receipt or the model's manifest is missing or altered."""
    summary = summarize(job, registry, store, ledger)
    spec, measured = job.spec, [one.metrics for one in summary.rounds if one.metrics]
    ended = [ledger.round(job.job_id, one.round) for one in summary.rounds]
    return JobReport(
        job=job.name,
        state=summary.state,
        contract=job.contract,
        job_on_chain=job.job_id,
        model=get_document(store, job.model_cid, ModelManifest).source,
        dataset=job.dataset.source,
        rows=sum(shard.rows for shard in job.dataset.shards),
        shards=len(job.dataset.shards),
        strategy=spec.aggregation.strategy,
        rule=spec.robust_aggregation.robust.rule,
        ordered_rounds=spec.rounds,
        denomination=ledger.network.denom,
        main_metric=main_metric(*measured),
        base=summary.base,
        rounds=summary.rounds,
        tasks=[_task(task, store) for task in summary.tasks],
        payouts=[payout for one in ended if one for payout in _payouts(one, spec.payment.reward_per_task)],
        checkpoint=summary.checkpoint,
    )


def _task(task: TaskSummary, store: ContentStore) -> TaskReport:
    facts = task.model_dump()
    if task.receipt is None:
        return TaskReport(**facts)
    receipt = get_document(store, task.receipt, SignedReceipt).receipt
    trained = task.shard is not None
    return TaskReport(
        **facts,
        loss=receipt.losses[-1].loss if receipt.losses else None,
        steps=receipt.steps if trained else None,
        tokens=receipt.tokens_seen if trained else None,
        bytes=_size(receipt, store),
        seconds=round(receipt.finished_at - receipt.started_at, 3),
    )


def _size(receipt: Receipt, store: ContentStore) -> int | None:
    """Bytes of the update as the node sent it; None for an evaluation, and once the update was removed."""
    sent = receipt.encoded or receipt.adapter
    if sent is None:
        return None
    try:
        return store.stat(sent).size
    except ContentNotFound:
        return None


def _payouts(ended: Round, reward: int) -> list[PayoutReport]:
    """The payouts of a round by node, as the contract divides them."""
    paid = amounts(reward * ended.leaf_count, ended.per_node, dict(ended.struck))
    settled = ended.settled_at is not None
    return [
        PayoutReport(round=ended.round, node=one.node, tasks=one.count, amount=paid[one.node], settled=settled)
        for one in sorted(ended.per_node, key=lambda one: one.node)
    ]
