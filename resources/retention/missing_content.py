"""Finds content that the coordinator's jobs need and that has no copy on this machine. Blocking."""

from dataclasses import dataclass
from functools import partial

from atlas.content.places.collect import PeekStore, peek
from atlas.ids import Cid
from resources.jobs.registry import JobRegistry, JobRow
from resources.retention.content_survey import ChainFacts, survey
from resources.retention.retention import Reason, RetentionSettings


@dataclass(frozen=True)
class Completeness:
    """What is missing of the content that jobs need."""

    missing: dict[Cid, Reason]
    """By CID, job after job."""
    unchecked: tuple[str, ...]
    """What could not be checked, and why, as sentences without a final period."""


def find_missing(
    store: PeekStore, registry: JobRegistry, chain: ChainFacts | None, settings: RetentionSettings
) -> Completeness:
    """Compare a store with the needs of the jobs in `registry`; `chain` is None while the chain does not answer.

    Content that `atlas content gc` removed is not missing, nor is what only its node may have. Task plans are not
    checked, because only leases on chain name them.
    """
    rows, unreadable = registry.jobs(), list[JobRow]()
    found = survey(store, partial(peek, store.root), registry, chain, lambda row, _: unreadable.append(row))
    surveyed = {job.name for job in found.jobs} | {row.name for row in unreadable}
    elsewhere = [row for row in rows if row.name not in surveyed]
    ours = [row for row in elsewhere if chain is not None and row.contract == chain.contract]
    expected = found.expected(settings, registry.removed())
    for row in (*unreadable, *ours):
        for cid, what in _defining(row).items():
            expected.setdefault(cid, Reason(f"job {row.name}", what))
    return Completeness(
        {cid: reason for cid, reason in expected.items() if not store.has(cid)},
        (
            *(f"other content of job {row.name}: a document that defines it cannot be read" for row in unreadable),
            *(
                f"content of job {row.name}: its spec and untrained checkpoint are not in this store"
                for row in elsewhere
            ),
        ),
    )


def _defining(row: JobRow) -> dict[Cid, str]:
    """The documents that define a job, by CID."""
    return {
        row.spec_cid: "spec",
        row.model_cid: "model manifest",
        row.dataset_cid: "dataset manifest",
        row.genesis_cid: "untrained checkpoint",
    }
