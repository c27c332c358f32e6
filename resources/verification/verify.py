"""`atlas verify` as a function: a checkpoint against its manifests, its job's records and the chain."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.documents.manifests import Checkpoint, DatasetManifest
from atlas.documents.stored import get_document
from atlas.errors import AggregationError, AtlasError, Compared, VerificationError
from atlas.home import AtlasHome
from atlas.ids import Cid
from atlas.spec.job import JobSpec
from atlas.verification.checkpoint import VerifiedCheckpoint, verify_checkpoint
from atlas.verification.job_data import JobRecord
from chain_bridge.client.network import Network
from resources.jobs.job_record import OnChain, Unasked, agreed_dataset, job_row, look_on_chain
from resources.jobs.local_tasks import rebuilt_untrained_adapter
from resources.jobs.registry import JobRegistry, JobRow
from resources.keys.sealed_rows import count_sealed_rows
from resources.verification.receipts import KnownReceipts, ReceiptCount, verify_receipts


@dataclass(frozen=True)
class Check:
    """The result of one check, or the reason why it was not made."""

    check: str
    """`files`, `rounds`, `dataset`, `rows`, `start`, `chain` or `receipts`."""
    result: Literal["passed", "not checked", "failed"]
    text: str
    expected: str | None = None
    """The expected value of a failed check, if it is a single value such as a CID; `found` likewise."""
    found: str | None = None


@dataclass(frozen=True)
class Verification:
    """The checks of a checkpoint that passed or were not made. A failed check raises `VerificationError` instead."""

    checkpoints: list[VerifiedCheckpoint]
    """Newest first, down to round 0."""
    checks: list[Check]

    @property
    def unchecked(self) -> list[str]:
        """The checks that were not made."""
        return [one.check for one in self.checks if one.result == "not checked"]


def verify_with_records(
    cid: Cid,
    store: ContentStore,
    home: AtlasHome,
    network: Network | None,
    dataset: Cid | None = None,
    rebuild_start: bool = False,
    on_checkpoint: Callable[[VerifiedCheckpoint], None] = lambda _: None,
) -> Verification:
    """Verify a checkpoint and its ancestors, and compare them with the records of their job.

    The job's dataset is the one in this coordinator's record, on the chain of `network`, and in `dataset`; these must
    agree. Raises as `verify_checkpoint` does, and `VerificationError` for a round that has another checkpoint on chain.
    """
    job = get_document(store, cid, Checkpoint).job
    row = job_row(job, home)
    chain = look_on_chain(job, cid, row, network)
    record = _record(row, chain, dataset, store)

    def count_sealed(data: Cid, spec: JobSpec) -> int | None:
        return count_sealed_rows(data, spec.dataset, home, store)

    rebuild = partial(rebuilt_untrained_adapter, cache=home.root / "cache") if rebuild_start else None
    found = verify_checkpoint(cid, store, on_checkpoint, rebuild, count_sealed, record)
    checks = list(_checks(found, record, chain, rebuild_start))
    if rounds := [one.cid for one in found if one.round]:
        registry = JobRegistry(home.jobs_database) if row is not None else None
        known = KnownReceipts(store, row, registry, record.dataset if record else None, chain)
        checks.append(_receipts_check(verify_receipts(rounds, known)))
    return Verification(found, checks)


def failed_check(error: AtlasError) -> Check:
    """The check that ended a verification with this error."""
    if isinstance(error, Compared):
        named = isinstance(error, VerificationError) and error.check
        return Check(named or "files", "failed", str(error), error.expected, error.found)
    return Check("rounds" if isinstance(error, AggregationError) else "files", "failed", str(error))


def _record(
    row: JobRow | None, chain: OnChain | Unasked, dataset: Cid | None, store: ContentStore
) -> JobRecord | None:  # fmt: skip
    sources = [
        ("this coordinator's record", row.dataset_cid if row else None),
        ("the chain", chain.dataset if isinstance(chain, OnChain) else None),
        ("--dataset", dataset),
    ]
    agreed = agreed_dataset([(who, cid) for who, cid in sources if cid is not None])
    if agreed is None:
        return None
    return JobRecord(get_document(store, agreed, DatasetManifest), row.genesis_cid if row else None)


def _checks(
    found: Sequence[VerifiedCheckpoint], record: JobRecord | None, chain: OnChain | Unasked, rebuilt: bool
) -> Iterable[Check]:
    rounds = [one for one in found if one.round]
    yield Check(
        "files",
        "passed",
        "All content that the checkpoints and their round manifests name was read and matches its CID. Files of "
        "refused updates do not affect the result and were not read.",
    )
    if rounds:
        yield Check(
            "rounds", "passed", f"{counted(len(rounds), 'round')}, back to round 0: each follows from its manifest."
        )
        yield _dataset_check(record)
        yield _rows_check(rounds)
    yield _start_check(record, rebuilt)
    if rounds:
        yield _chain_check(rounds, chain)


def _dataset_check(record: JobRecord | None) -> Check:
    if record is None:
        return Check(
            "dataset",
            "not checked",
            "The job's dataset is not on record here, so the updates may come from any rows and be fewer than the "
            "quorum. Give its CID with --dataset, or verify where the job was opened or its chain answers.",
        )
    return Check(
        "dataset",
        "passed",
        f"Each update is of a shard of {record.dataset.cid} and has its weight; no shard counts twice; every round "
        "reaches the quorum.",
    )


def _rows_check(rounds: Iterable[VerifiedCheckpoint]) -> Check:
    if all(one.weights_checked for one in rounds):
        return Check("rows", "passed", "Each update has the weight that the rows of its shard give.")
    return Check("rows", "not checked", "The rows are sealed and their keys are not here, so they were not counted.")


def _start_check(record: JobRecord | None, rebuilt: bool) -> Check:
    if rebuilt:
        return Check("start", "passed", "The untrained adapter follows from the seed.")
    if record is not None and record.start is not None:
        return Check("start", "passed", "The untrained adapter is the one that the job was opened with.")
    text = "The untrained adapter was read, not recomputed; --rebuild-start recomputes it from the seed."
    return Check("start", "not checked", text)


def _chain_check(rounds: Sequence[VerifiedCheckpoint], chain: OnChain | Unasked) -> Check:
    if isinstance(chain, Unasked):
        return Check("chain", "not checked", f"Not compared with the chain: {chain.reason}.".replace("..", "."))
    for one in rounds:
        if one.round not in chain.rounds:
            continue
        expected = chain.rounds[one.round].checkpoint
        if expected != one.cid:
            raise VerificationError(
                f"Round {one.round}: the chain has checkpoint {expected}, found {one.cid}.",
                "chain",
                expected=expected,
                found=one.cid,
            )
    missing = sorted(one.round for one in rounds if one.round not in chain.rounds)
    if missing:
        text = f"Not on chain yet: round {', '.join(map(str, missing))}. The other rounds are as on chain."
        return Check("chain", "not checked", text)
    return Check("chain", "passed", "Every round ended on chain with the checkpoint found here.")


def _receipts_check(count: ReceiptCount) -> Check:
    verified = f"{count.verified} of {counted(count.updates, 'receipt')} verified"
    if count.verified < count.updates:
        absent = count.updates - count.verified
        text = (
            f"{verified}; {absent} not in this home. Their CIDs are in this coordinator's record of the job and in the "
            "evidence on chain."
        )
        return Check("receipts", "not checked", text)
    return Check(
        "receipts", "passed", f"{verified}: each names the task, shard, base and update, and its node signed it."
    )
