"""Whether a job has cost what its order plans, and whether its escrow pays for the rounds that are left."""

from dataclasses import dataclass
from typing import Literal

from atlas.counts import counted
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from resources.jobs.opened import OpenJob
from resources.jobs.order_checks import cost_of_round
from resources.jobs.registry import JobRegistry
from resources.rounds.checks.finding import Finding


@dataclass(frozen=True)
class JobCost:
    """A job's money after one of its rounds; amounts are in micro-units."""

    job: str
    state: Literal["open", "cancelled", "closed"]
    paid: int
    reserved: int
    free: int
    """The escrow that is neither reserved, paid nor refunded."""
    per_round: int
    """The pay for every shard and one evaluation, as `atlas plan` shows it."""
    rounds_begun: int
    rounds_left: int

    @property
    def planned(self) -> int:
        """The most that the rounds so far may cost."""
        return self.per_round * self.rounds_begun

    @property
    def needed(self) -> int:
        """The most that the rounds that are left may cost."""
        return self.per_round * self.rounds_left


def cost_so_far(job: OpenJob, number: int, registry: JobRegistry, ledger: Ledger) -> JobCost | None:
    """A job's money on chain after round `number`; None if the chain does not answer.

    A round that is run again may have later ones, which count as begun.
    """
    begun = number
    while begun < job.spec.rounds and registry.attempts(job.round(begun + 1)):
        begun += 1
    try:
        found = ledger.job(job.job_id)
    except ChainUnreachable:
        return None
    return JobCost(
        job=job.name,
        state=found.state,
        paid=found.paid,
        reserved=found.reserved,
        free=found.free,
        per_round=cost_of_round(job.spec, len(job.dataset.shards)),
        rounds_begun=begun,
        rounds_left=job.spec.rounds - begun,
    )


def cost_within_plan(cost: JobCost) -> Finding:
    """Compare the money paid and reserved with the plan, and the free escrow with the rounds that are left.

    Too little escrow is an error, because a later round would stop for it; it is compared while the job is open. Paid
    and reserved amounts above the plan are a warning.
    """
    problems = []
    if cost.paid + cost.reserved > cost.planned:
        problems.append(
            f"{cost.paid} is paid and {cost.reserved} reserved, but {counted(cost.rounds_begun, 'round')} at "
            f"{cost.per_round} cost {cost.planned} at most. Another coordinator with this key may hold leases of a "
            "later round. Stop it, or wait until its round ends."
        )
    short = cost.state == "open" and cost.free < cost.needed
    if short:
        problems.append(
            f"The free escrow is {cost.free}, but the {counted(cost.rounds_left, 'round')} left may cost "
            f"{cost.needed}. Add the rest with: atlas job top-up {cost.job} {cost.needed - cost.free}"
        )
    return Finding(not problems, " ".join(problems) or None, severe=short)
