"""The end of a round: evidence, its Merkle root on chain, and the payout.

Transactions are recorded in the outbox before they are sent, so an unreachable chain only delays the payout.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from atlas.content.store import ContentStore
from atlas.documents.manifests import RoundEvidence, ScoringMethod
from atlas.documents.stored import put_document
from atlas.ids import Cid, JobId
from atlas.verification.evidence import evidence_root
from chain_bridge.client.messages import RegisteredModel, Round, Share
from chain_bridge.errors import ChainUnreachable, ContractRefused, OutcomeUnknown
from chain_bridge.ledger import Ledger
from resources.errors import SettlementError
from resources.jobs.opened import OpenJob
from resources.jobs.registry import JobRegistry
from resources.rounds.payout_report import Payout, payouts_of
from resources.rounds.submissions import newest_submission, record_settle, record_submission

if TYPE_CHECKING:
    import stamina

log = logging.getLogger(__name__)

State = Literal["settled", "due", "disputed", "pending"]


@dataclass(frozen=True)
class Settlement:
    """The payout of a round. A transaction is None if it is not in a block yet, or if somebody else sent it."""

    evidence: Cid
    """CID of the RoundEvidence."""
    root: str
    """The Merkle root over the evidence, in hex."""
    leaf_count: int
    scoring: ScoringMethod
    per_node: list[Payout]
    """By node id: the amounts that are credited, or will be."""
    state: State
    """`due`: can be settled from `due_at` on, the end of the challenge window.

    `disputed`: a challenge is open. `pending`: the chain does not answer; the transactions wait in the outbox.
    """
    due_at: int | None
    """Unix seconds; None before the submission is on chain."""
    backlog: int
    """Messages that wait in the outbox."""
    waiting_since: float | None
    """When the oldest of them was recorded, in unix seconds; None if none waits."""
    submit_tx: str | None
    settle_tx: str | None

    @property
    def settled(self) -> bool:
        """Whether the nodes have their credit."""
        return self.state == "settled"

    @property
    def payouts(self) -> dict[str, int]:
        """Address -> micro-units credited, or to be credited."""
        return {one.address: one.amount for one in self.per_node}


def settle_evidence(
    job: OpenJob,
    evidence: RoundEvidence,
    store: ContentStore,
    ledger: Ledger,
    patience_seconds: float,
    clock: Callable[[], float],
) -> Settlement:
    """Submit a round's evidence and credit its nodes; steps that are already done are skipped.

    If the chain does not answer for `patience_seconds`, the settlement is `pending`: the outbox sends it with the next
    transaction, or at the next start. Call again to see the outcome. Raises `SettlementError` when the chain has
    another outcome of the round, or refuses this one.
    """
    number, cid = evidence.round, put_document(store, evidence)
    on_chain, settle_tx = None, None
    try:
        for attempt in _patiently(patience_seconds):
            with attempt:
                on_chain = _submitted(job, evidence, cid, ledger)
                if on_chain.settled_at is None and _is_due(on_chain, clock()):
                    settle_tx = _settle(job.job_id, number, ledger)
                    on_chain = ledger.round(job.job_id, number) or on_chain
    except OutcomeUnknown:
        pending = True  # the transaction is in the outbox
    except ChainUnreachable:
        pending = True
        _record_all(evidence, cid, on_chain, ledger)
    else:
        pending = False
    submission = newest_submission(ledger, job.job_id, number)
    backlog = ledger.backlog()
    return Settlement(
        evidence=cid,
        root=evidence_root(evidence).hex(),
        leaf_count=len(evidence.records),
        scoring=evidence.scoring,
        per_node=payouts_of(evidence, job.spec.payment.reward_per_task, on_chain, store),
        state="pending" if pending or on_chain is None else _state(on_chain),
        due_at=on_chain.settle_from if on_chain else None,
        backlog=backlog.undecided,
        waiting_since=backlog.oldest_at,
        submit_tx=submission.tx.hash if submission and submission.tx else None,
        settle_tx=settle_tx,
    )


def settle_due(jobs: Iterable[JobId], ledger: Ledger, now: float) -> list[tuple[JobId, int]]:
    """Settle every submitted round of these jobs whose challenge window is over; return the pairs (job, round).

    Rounds that the contract refuses are skipped, with a warning in the log.
    """
    rounds = [one for job in jobs for one in ledger.rounds(job)]
    due = [one for one in rounds if one.settled_at is None and _is_due(one, now)]
    return [(one.job, one.round) for one in due if _settle(one.job, one.round, ledger)]


def settle_due_of(registry: JobRegistry, ledger: Ledger, now: float) -> None:
    """Settle the rounds that are due, of the coordinator's jobs on this contract."""
    settle_due([job.job_id for job in registry.jobs() if job.contract == ledger.network.contract], ledger, now)


def publish_model(job: OpenJob, number: int, checkpoint: Cid, ledger: Ledger) -> None:
    """Register a round's checkpoint under the job's name, with the round as its version; once.

    If the chain does not answer, the registration waits in the outbox. Raises `SettlementError` when the name and
    version are taken by another checkpoint.
    """
    try:
        known = _model(job.name, number, ledger)
        if known is None:
            ledger.register_model(job.name, number, checkpoint, job.job_id, parent=job.model_cid)
    except ChainUnreachable:
        later = ledger.later(f"register-model:{job.name}:{number}:{checkpoint}")
        later.register_model(job.name, number, checkpoint, job.job_id, parent=job.model_cid)
        return
    if known is not None and known.cid != checkpoint:
        raise SettlementError(
            f"Model {job.name} {number} is registered as {known.cid} by job {known.job}, so {checkpoint} cannot be "
            "registered under that name. Choose another name for the job."
        )


def _model(name: str, version: int, ledger: Ledger) -> RegisteredModel | None:
    found = ledger.models(name, start_after=(name, version - 1), limit=1)
    return found[0] if found and found[0].version == version else None


def _submitted(job: OpenJob, evidence: RoundEvidence, cid: Cid, ledger: Ledger) -> Round:
    """The round on chain; it is submitted now if it was not before."""
    on_chain = ledger.round(job.job_id, evidence.round)
    if on_chain is None:
        _record_submission(evidence, cid, ledger)
        ledger.flush()
        on_chain = ledger.round(job.job_id, evidence.round)
    root, checkpoint = evidence_root(evidence), evidence.checkpoint
    if on_chain is None:
        entry = newest_submission(ledger, job.job_id, evidence.round)
        raise SettlementError(
            f"Round {evidence.round} of job {job.name!r} was not accepted by the chain: "
            f"{entry and (entry.error or entry.state)}. Run the round again; it takes over what is missing."
        )
    if (on_chain.root, on_chain.checkpoint) != (root, checkpoint):
        raise SettlementError(
            f"Round {evidence.round} of job {job.name!r} is on chain as {on_chain}, but this coordinator has root "
            f"{root.hex()} and checkpoint {checkpoint}. What is on chain stays; find out which run submitted it."
        )
    return on_chain


def _record_all(evidence: RoundEvidence, cid: Cid, on_chain: Round | None, ledger: Ledger) -> None:
    """Record in the outbox the transactions that could not be sent.

    A settlement that arrives before the end of the challenge window is refused, and sent again by `settle_due`.
    """
    if on_chain is None:
        newest = newest_submission(ledger, evidence.job_id, evidence.round)
        if newest is None or newest.state != "landed":
            _record_submission(evidence, cid, ledger)
    if on_chain is None or on_chain.settled_at is None:
        record_settle(ledger, evidence.job_id, evidence.round)


def _patiently(seconds: float) -> "Iterable[stamina.Attempt]":
    """Attempts while the chain does not answer, for at most so many seconds; a single one for 0."""
    import stamina  # slow, and every Dagster process loads this module

    return stamina.retry_context(
        on=lambda error: isinstance(error, ChainUnreachable) and not isinstance(error, OutcomeUnknown),
        attempts=None if seconds else 1,
        timeout=seconds or None,
        wait_initial=0.5,
        wait_max=10.0,
    )


def _state(on_chain: Round) -> State:
    if on_chain.settled_at is not None:
        return "settled"
    return "disputed" if on_chain.open_challenges else "due"


def _record_submission(evidence: RoundEvidence, cid: Cid, ledger: Ledger) -> None:
    record_submission(
        ledger,
        evidence.job_id,
        evidence.round,
        lambda later: later.submit_round(
            job=evidence.job_id,
            round=evidence.round,
            root=evidence_root(evidence),
            leaf_count=len(evidence.records),
            checkpoint=evidence.checkpoint,
            evidence=cid,
            per_node=[Share(one.node_id, one.count, one.bps) for one in evidence.per_node],
        ),
    )


def _is_due(one: Round, now: float) -> bool:
    """Whether a round can be settled.

    Without a challenge window it is due in the block of its submission, whatever the local clock shows.
    """
    return one.open_challenges == 0 and one.settle_from <= max(now, one.submitted_at)


def _settle(job: JobId, number: int, ledger: Ledger) -> str | None:
    """The transaction that credits the nodes; None if the contract refuses it.

    The contract refuses while the round is not due by the chain's clock, or the contract is paused, or when the round
    is already settled.
    """
    try:
        return ledger.settle(job, number).hash
    except ContractRefused as refusal:
        log.warning("could not settle round %d of job %d now: %s", number, job, refusal.reason)
        return None
