"""Records of the job that a checkpoint belongs to: this coordinator's, and those on the chain."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from atlas.counts import counted
from atlas.errors import VerificationError
from atlas.home import AtlasHome
from atlas.ids import Cid
from chain_bridge.client.messages import Job, Round
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainError
from chain_bridge.ledger import Ledger
from resources.jobs.registry import JobRegistry, JobRow


@dataclass(frozen=True)
class OnChain:
    """A chain's record of a job."""

    dataset: Cid
    """CID of its DatasetManifest."""
    rounds: dict[int, Round] = field(default_factory=dict)
    """The submitted rounds, by number."""
    owners: dict[int, str] = field(default_factory=dict)
    """The address of each node, by its id."""


@dataclass(frozen=True)
class Unasked:
    """Why a checkpoint was not compared with a chain."""

    reason: str


def job_row(spec: Cid, home: AtlasHome) -> JobRow | None:
    """This coordinator's record of the job with this spec CID; None for a job that was not opened here."""
    if not home.jobs_database.exists():
        return None
    return next((row for row in JobRegistry(home.jobs_database).jobs() if row.spec_cid == spec), None)


def look_on_chain(spec: Cid, checkpoint: Cid, row: JobRow | None, network: Network | None) -> OnChain | Unasked:
    """The chain's record of the job with this spec CID, or why there is none to compare with.

    Anybody may open a job with the same spec and another dataset. The record is that of the job in `row`, or else of
    the only job with a round that ended with `checkpoint`.
    """
    if network is None:
        return Unasked("no network is running; start it with `atlas up`, or set $ATLAS_NETWORK")
    try:
        with Ledger(network) as ledger:
            return _find(spec, checkpoint, row, ledger)
    except ChainError as error:
        return Unasked(str(error))


def _find(spec: Cid, checkpoint: Cid, row: JobRow | None, ledger: Ledger) -> OnChain | Unasked:
    contract = ledger.contract
    if row is not None:
        if row.contract != contract:
            return Unasked(f"the job is on contract {row.contract}, but this network's contract is {contract}")
        return _record_of(ledger.job(row.job_id), ledger)
    named = [_record_of(job, ledger) for job in ledger.jobs() if job.spec == spec]
    meant = [one for one in named if checkpoint in [ended.checkpoint for ended in one.rounds.values()]]
    if len(meant) == 1:
        return meant[0]
    return Unasked(f"this checkpoint belongs to {len(meant)} of {counted(len(named), 'job')} on chain with this spec")


def _record_of(job: Job, ledger: Ledger) -> OnChain:
    rounds = {one.round: one for one in ledger.rounds(job.id)}
    return OnChain(job.dataset, rounds, {node.id: node.owner for node in ledger.nodes()})


def agreed_dataset(records: Sequence[tuple[str, Cid]]) -> Cid | None:
    """The CID of a job's DatasetManifest from pairs (source, CID); None without any.

    Raises `VerificationError` when two sources differ.
    """
    for who, cid in records[1:]:
        if cid != records[0][1]:
            raise VerificationError(
                f"The job's dataset is {records[0][1]} according to {records[0][0]}, but {cid} according to {who}.",
                "dataset",
                expected=records[0][1],
                found=cid,
            )
    return records[0][1] if records else None
