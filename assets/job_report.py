"""The asset `job_report`: all rounds of a job in pictures and tables, beside the other jobs that have a report."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets import partitions
from assets.evaluation import evaluation
from assets.plain_errors import plain_errors
from assets.recorded.new_settlements import REPORT_IS_OLD
from assets.recorded.records import newest_record
from assets.reward_settlement import reward_settlement
from assets.shown import graph, links, tables
from assets.shown.report_charts import job_charts
from atlas.documents.metric_names import measures_of_the_model
from resources.content import ContentResource
from resources.coordinator import CoordinatorResource
from resources.jobs.opened import load_job
from resources.ledger import LedgerResource
from resources.reports.measurements import Totals, measurements, totals
from resources.reports.report import JobReport, collect_report

COMPARED = "totals"
MOST_COMPARED = 50
"""Newest reports among which the other jobs are looked up."""
NO_PARTITION = dg.SpecificPartitionsPartitionMapping([])
"""Dagster cannot map a job to its rounds: the report depends on both assets, but on no fixed partition of them."""


@dg.asset(
    partitions_def=partitions.jobs,
    deps=[dg.AssetDep(one, partition_mapping=NO_PARTITION) for one in (evaluation, reward_settlement)],
    group_name="reports",
    kinds={"json"},
    owners=graph.COORDINATOR,
    tags=graph.CHAIN_READ,
    automation_condition=REPORT_IS_OLD,
)
@plain_errors
def job_report(
    context: dg.AssetExecutionContext,
    coordinator: CoordinatorResource,
    content: ContentResource,
    ledger: LedgerResource,
) -> dg.MaterializeResult:
    """All rounds of a job so far: metrics, losses of the shards, payouts, bytes and seconds, beside other jobs."""
    name = context.partition_key
    job = load_job(name, content.store, coordinator.registry, ledger.client.contract)
    report = collect_report(job, coordinator.registry, content.store, ledger.client)
    line = totals(report)
    return dg.MaterializeResult(
        metadata={
            **_pictures(report),
            "rounds": _rounds(report),
            "paid": line.paid,
            "bytes": line.bytes,
            "seconds": line.seconds,
            **({} if line.loss is None else {"loss": tables.rounded(line.loss)}),
            **({} if line.main is None else {line.main_metric: tables.rounded(line.main)}),
            **_compared([*_others(context.instance, name), line]),
            **_pages(context.instance, report),
            COMPARED: dg.MetadataValue.json(line._asdict()),
            "as_a_page": links.command(f"atlas report {name} --output {name}.html"),
        },
        data_version=dg.DataVersion(report.cid),
    )


def _pictures(report: JobReport) -> dict[str, dg.MetadataValue]:
    charts = job_charts(measurements(report), report.main_metric)
    return {name: dg.MetadataValue.md(chart.in_place) for name, chart in charts.items()}


def _rounds(report: JobReport) -> dg.MetadataValue:
    names = measures_of_the_model({name for one in report.rounds for name in one.metrics})
    return tables.table(
        {
            "round": one.round,
            **{name: tables.rounded(one.metrics[name]) if name in one.metrics else None for name in names},
            "worse": one.worse,
        }
        for one in report.rounds
    )


def _pages(instance: dg.DagsterInstance, report: JobReport) -> dict[str, dg.MetadataValue]:
    """Links to the page and the run of each round."""
    lines = []
    for number in (one.round for one in report.rounds):
        key = partitions.round_key(report.job, number)
        record = newest_record(instance, "reward_settlement", key)
        run = f", [run]({links.run_page(record.run_id)})" if record else ""
        lines.append(f"- round {number}: [checkpoint]({links.partition_page('aggregated_checkpoint', key)}){run}")
    return {"pages": dg.MetadataValue.md("\n".join(lines))} if lines else {}


def _compared(jobs: Sequence[Totals]) -> dict[str, dg.MetadataValue]:
    """The results of several jobs, and their costs."""
    results = [
        {
            "job": one.job,
            "rounds": one.rounds,
            "loss": None if one.loss is None else tables.rounded(one.loss),
            "main_metric": one.main_metric,
            "value": None if one.main is None else tables.rounded(one.main),
        }
        for one in jobs
    ]
    costs = [{"job": one.job, "paid": one.paid, "bytes": one.bytes, "seconds": one.seconds} for one in jobs]
    inputs = [{"job": one.job, "model": one.model, "dataset": one.dataset} for one in jobs]
    return {"jobs": tables.table(results), "job_costs": tables.table(costs), "job_inputs": tables.table(inputs)}


def _others(instance: dg.DagsterInstance, job: str) -> list[Totals]:
    """The totals in the newest report of each other job, by name, unless an earlier version recorded other totals."""
    found: dict[str, Totals] = {}
    for record in instance.fetch_materializations(dg.AssetKey("job_report"), limit=MOST_COMPARED).records:
        event, key = record.asset_materialization, str(record.partition_key)
        if event is None or key in (job, *found) or COMPARED not in event.metadata:
            continue
        recorded: Any = event.metadata[COMPARED].value
        if set(recorded) == set(Totals._fields):
            found[key] = Totals(**recorded)
    return [found[key] for key in sorted(found)]
