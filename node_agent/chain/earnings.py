"""A node's earnings on chain, per round."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, Field

from atlas.ids import JobId, NodeId
from chain_bridge.client.messages import Job, Round
from chain_bridge.ledger import Ledger
from chain_bridge.settlement import amounts
from node_agent.home.journal import JournalEntry

ROUNDS = 20


class RoundEarning(BaseModel):
    """A node's finished tasks in a round, and its pay for them in micro-units."""

    job: JobId
    round: int
    tasks: int = Field(description="that the node has finished, by its own journal")
    state: Literal["open", "due", "credited"] = Field(description="not submitted yet, to be settled, settled")
    amount: int | None = Field(default=None, description="null until the job's owner has submitted the round")
    settle_from: int | None = Field(default=None, description="unix seconds: the end of the challenge window")


class Earnings(BaseModel):
    """What `atlas-node rewards` shows; amounts are in micro-units of `denom`."""

    address: str
    denom: str
    balance: int
    credit: int = Field(description="can be withdrawn")
    rounds: list[RoundEarning]


def earnings(ledger: Ledger, node_id: NodeId, recent: Iterable[JournalEntry]) -> Earnings:
    """Query the chain for the newest rounds in which a node has finished tasks. Raises `ChainError`. Blocks."""
    done = Counter((one.hint.job_id, one.hint.round) for one in recent if one.state == "completed")
    jobs = {job: ledger.job(job) for job in {job for job, _ in list(done)[:ROUNDS]}}
    return Earnings(
        address=ledger.address,
        denom=ledger.network.denom,
        balance=ledger.balance(ledger.address),
        credit=ledger.credit(ledger.address),
        rounds=[
            round_earning(jobs[job], number, tasks, ledger.round(job, number), node_id)
            for (job, number), tasks in list(done.items())[:ROUNDS]
        ],
    )


def round_earning(job: Job, number: int, tasks: int, outcome: Round | None, node_id: NodeId) -> RoundEarning:
    """A node's earnings from a round in which it finished `tasks` tasks."""
    if outcome is None:
        return RoundEarning(job=job.id, round=number, tasks=tasks, state="open")
    credited = amounts(job.reward * outcome.leaf_count, outcome.per_node, dict(outcome.struck))
    return RoundEarning(
        job=job.id,
        round=number,
        tasks=tasks,
        state="due" if outcome.settled_at is None else "credited",
        amount=credited.get(node_id, 0),
        settle_from=outcome.settle_from,
    )
