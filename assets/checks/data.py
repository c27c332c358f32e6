"""Checks on a dataset's rows: whether a model can learn from them, and whether no held-out row is trained on."""

import dagster as dg

from assets import partitions
from assets.dataset import dataset
from assets.plain_errors import plain_errors
from assets.recorded.records import recorded_version
from atlas.counts import counted
from atlas.data.promise import count_leaked_rows
from atlas.data.warnings import dataset_warnings
from atlas.documents.manifests import DatasetManifest
from atlas.documents.stored import get_document
from atlas.errors import AtlasError
from atlas.ids import Cid
from resources.content import ContentResource

WARN = dg.AssetCheckSeverity.WARN


@dg.asset_check(
    asset=dataset,
    name="teaches",
    description="Every label has rows, there are enough rows, and few of them repeat others or were skipped.",
)
@plain_errors
def dataset_teaches(context: dg.AssetCheckExecutionContext, content: ContentResource) -> dg.AssetCheckResult:
    """Checks the numbers in the manifest of the dataset, or of all datasets."""
    found = {
        job: dataset_warnings(get_document(content.store, cid, DatasetManifest)) for job, cid in _manifests(context)
    }
    lines = [f"{job}: {warning}" for job, warnings in found.items() for warning in warnings]
    return dg.AssetCheckResult(passed=not lines, severity=WARN, description="\n".join(lines) or None)


@dg.asset_check(
    asset=dataset,
    name="held_out_apart",
    description="No text of a held-out row or reference row is also in a shard.",
)
@plain_errors
def held_out_apart(context: dg.AssetCheckExecutionContext, content: ContentResource) -> dg.AssetCheckResult:
    """Reads the rows of the dataset, or of all datasets; rows that are sealed or stay on their nodes are skipped."""
    leaked, unread = {}, {}
    for job, cid in _manifests(context):
        try:
            counts = count_leaked_rows(get_document(content.store, cid, DatasetManifest), content.store)
        except AtlasError as error:
            unread[job] = str(error)
        else:
            leaked[job] = counts or {}
    lines = [
        f"{job}: {counted(rows, 'row')} of {piece} with a text that is also in a shard."
        for job, counts in leaked.items()
        for piece, rows in counts.items()
        if rows
    ]
    lines += [f"{job}: {reason}" for job, reason in unread.items()]
    return dg.AssetCheckResult(
        passed=not lines,
        severity=WARN,
        description="\n".join(lines) or None,
        metadata={"rows": dg.MetadataValue.json(leaked)},
    )


def _manifests(context: dg.AssetCheckExecutionContext) -> list[tuple[str, Cid]]:
    """Jobs and the CIDs of their recorded datasets: the partition that was just materialized, or all of them."""
    if context.has_partition_key:
        jobs = [context.partition_key]
    else:
        jobs = sorted(context.instance.get_dynamic_partitions(partitions.JOBS))
    found = [(job, recorded_version(context.instance, "dataset", job)) for job in jobs]
    return [(job, Cid(cid)) for job, cid in found if cid is not None]
