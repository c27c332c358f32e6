"""Cut the data of an order as its job would, without a job."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from atlas.content.store import ContentStore
from atlas.counts import counted
from atlas.data.warnings import dataset_warnings
from atlas.documents.manifests import ShardManifest
from atlas.spec.job import JobSpec
from resources.jobs.order_checks import reference_rows


class CutData(NamedTuple):
    """The pieces of a dataset, in a store. `shards` is empty if the nodes have the rows."""

    shards: list[ShardManifest]
    shard_count: int
    holdout: ShardManifest
    reference: ShardManifest | None
    skipped_rows: int
    repeated_rows: int
    warnings: list[str]


def cut_data(spec: JobSpec, store: ContentStore, cache: Path, on_reading: Callable[[str], None]) -> CutData:
    """Put the pieces of the order's dataset into a store, not sealed; `on_reading` is called with the rows read so far.

    Of node-local data, only the coordinator's own rows are read. Raises the `DataError` that opening the job would.
    """
    from atlas.data.prepare import prepare_dataset, prepare_holdout  # numpy, which most importers do not need

    data, seed, kept = spec.dataset, spec.training.seed, reference_rows(spec)
    source = data.holdout_source or data.source

    def told(rows: int) -> None:
        on_reading(f"Read {counted(rows, 'row')} of {source}.")

    if data.node_local is not None:
        own = prepare_holdout(data, store, cache, seed, told, kept)
        least = data.shard_by.nodes or 1
        return CutData([], least, own.holdout, own.reference, own.skipped_rows, 0, [])
    made = prepare_dataset(data, store, cache, seed, told, kept)
    return CutData(
        made.shards,
        len(made.shards),
        made.holdout,
        made.reference,
        made.skipped_rows,
        made.repeated_rows,
        list(dataset_warnings(made)),
    )
