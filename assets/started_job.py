"""The asset of one order in another team's Dagster project: the job, started after the assets that write its data."""

from collections.abc import Iterator, Sequence

import dagster as dg

from assets.fleet_run.progress import RoundProgress
from assets.launch.order import JobFile
from assets.ops.start import start_order, started_facts
from assets.plain_errors import plain_errors
from assets.shown import graph
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.ledger import LedgerResource

STARTED = "started_job"
"""The first part of the asset's key; the second is the job's name."""


def started_job(job: JobFile, deps: Sequence[dg.AssetKey], run_rounds: bool) -> dg.AssetsDefinition:
    """The asset `started_job/NAME`, which opens the order; `deps` are the assets that write its data.

    With `run_rounds` the sensor `started_jobs` launches the rounds after the asset is materialized.
    """
    order, rules = job

    @dg.asset(
        key=[STARTED, order.name],
        deps=deps,
        group_name="federated",
        description=f"The job {order.name}, opened with its budget on chain. A job reads its data once: materialized "
        "again, it stays as it is, and only the rounds that are left are launched.",
        owners=graph.COORDINATOR,
        tags=graph.CHAIN_WRITTEN,
    )
    @plain_errors
    def start(
        context: dg.AssetExecutionContext,
        coordinator: CoordinatorResource,
        content: ContentResource,
        ledger: LedgerResource,
        progress: dg.ResourceParam[RoundProgress],
    ) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult]:
        opened, events = start_order(context, order, run_rounds, coordinator, content, ledger, progress, rules)
        yield from events
        yield dg.MaterializeResult(
            metadata=started_facts(opened, run_rounds), data_version=dg.DataVersion(opened.dataset_cid)
        )

    return start
