"""Jobs that were opened, as they are on record."""

from dataclasses import dataclass

from atlas.content.store import ContentStore
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from atlas.ids import Cid, JobId
from atlas.spec.job import JobSpec
from chain_bridge.ledger import Ledger
from resources.errors import JobEnded, JobNotFound, OtherContract
from resources.jobs.registry import JobRegistry, JobRow, RoundRef


@dataclass(frozen=True)
class OpenJob:
    """A job that is on chain, and the documents that define it."""

    job_id: JobId
    contract: str
    spec: JobSpec
    spec_cid: Cid
    model_cid: Cid
    dataset: DatasetManifest
    dataset_cid: Cid
    untrained: Cid
    """CID of the Checkpoint of round 0."""

    @property
    def name(self) -> str:
        """The job's name."""
        return self.spec.name

    @property
    def evaluation_slot(self) -> int:
        """The slot of a round's evaluation; the shards have those below it."""
        return len(self.dataset.shards)

    def only_node(self, slot: int) -> str | None:
        """The address of the only node that has the data of a slot; None if any node will do."""
        return self.dataset.shards[slot].node if slot < self.evaluation_slot else None

    def round(self, number: int) -> RoundRef:
        """The registry's key of one of the job's rounds."""
        return RoundRef(self.contract, self.job_id, number)


def load_job(name: str, store: ContentStore, registry: JobRegistry, contract: str) -> OpenJob:
    """A job that was opened before; raises `JobNotFound`, or `OtherContract` when it is on another contract."""
    row = _recorded(name, registry)
    refuse_other_contract(row, contract)
    return _job_of(row, store)


def recorded_job(name: str, store: ContentStore, registry: JobRegistry) -> OpenJob:
    """A job that was opened before, on whatever contract; raises `JobNotFound`."""
    return _job_of(_recorded(name, registry), store)


def _recorded(name: str, registry: JobRegistry) -> JobRow:
    row = registry.job(name)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. Start it with `atlas run SPEC`.")
    return row


def _job_of(row: JobRow, store: ContentStore) -> OpenJob:
    return OpenJob(
        job_id=row.job_id,
        contract=row.contract,
        spec=get_document(store, row.spec_cid, JobSpec),
        spec_cid=row.spec_cid,
        model_cid=row.model_cid,
        dataset=get_document(store, row.dataset_cid, DatasetManifest),
        dataset_cid=row.dataset_cid,
        untrained=row.genesis_cid,
    )


def refuse_other_contract(job: JobRow | OpenJob, contract: str) -> None:
    """Raise `OtherContract` unless a recorded job is on this contract."""
    if job.contract != contract:
        raise OtherContract(
            f"Job {job.name!r} was opened on contract {job.contract}, but this network's contract is {contract}: the "
            "chain was reset, or the settings name another network. Go back to that network, or choose another name "
            "for the job."
        )


def refuse_ended_job(job: OpenJob, number: int, ledger: Ledger) -> None:
    """Raise `JobEnded` when a job is cancelled or closed and this round was never begun."""
    state = ledger.job(job.job_id).state
    if state != "open" and not ledger.leases(job.job_id, number, limit=1):
        raise JobEnded(
            f"Job {job.name!r} is {state} on chain, so round {number} cannot begin. Rounds that have begun may still "
            "end. Order the remaining rounds as a job with another name."
        )
