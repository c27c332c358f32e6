"""Reports for people: one page of HTML with its pictures as inline SVG, without script and outer links. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from assets.shown.report_charts import Chart, job_charts, metric_charts
from atlas.documents.metric_names import measures_of_the_model
from resources.reports.measurements import measurements, totals
from resources.reports.report import JobReport, TaskReport

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; display: block; overflow-x: auto; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: 0 1.5rem 1rem 0; }
figure svg { width: 30rem; max-width: 100%; height: auto; }
figcaption { color: #555; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
Cell = str | int | float | None


def report_page(reports: Sequence[JobReport]) -> str:
    """The page of one job, or of several jobs after a comparison of them."""
    title = ", ".join(report.job for report in reports)
    parts = [] if len(reports) == 1 else [_comparison(reports)]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            *parts,
            *(_job(report) for report in reports),
            "</body>\n</html>\n",
        ]
    )


def _comparison(reports: Sequence[JobReport]) -> str:
    found = [one for report in reports for one in measurements(report)]
    mains = dict.fromkeys(report.main_metric for report in reports)
    charts = {name: chart for main in mains for name, chart in metric_charts(found, main).items()}
    return "\n".join(
        ["<h1>Comparison</h1>", _table([totals(one)._asdict() for one in reports]), _figures(charts.values())]
    )


def _job(report: JobReport) -> str:
    charts = job_charts(measurements(report), report.main_metric).values()
    return "\n".join(
        [
            f"<h1>{escape(report.job)}</h1>",
            _table({"": name, " ": value} for name, value in _facts(report).items()),
            _figures(charts),
            "<h2>Rounds</h2>",
            _table(_rounds(report)),
            "<h2>Tasks</h2>",
            _table(_task(task) for task in report.tasks),
            "<h2>Payouts</h2>",
            _table(one.model_dump() for one in report.payouts),
        ]
    )


def _facts(report: JobReport) -> dict[str, Cell]:
    line = totals(report)
    return {
        "model": report.model,
        "dataset": f"{report.dataset}: {report.rows:,} rows in {report.shards:,} shards",
        "aggregation": f"{report.strategy}, {report.rule}",
        "state": f"{report.state}, {line.rounds} rounds",
        "paid": f"{line.paid:,} {report.denomination}",
        "checkpoint": report.checkpoint or "none yet",
        "contract": f"{report.contract}, job {report.job_on_chain}",
    }


def _rounds(report: JobReport) -> list[dict[str, Cell]]:
    names = measures_of_the_model({name for one in (report.base, *(r.metrics for r in report.rounds)) for name in one})
    base: dict[str, Cell] = {
        "round": 0, **{name: report.base.get(name) for name in names}, "worse than before": "", "checkpoint": ""
    }  # fmt: skip
    return [base] + [
        {
            "round": one.round,
            **{name: one.metrics.get(name) for name in names},
            "worse than before": one.worse,
            "checkpoint": one.checkpoint,
        }
        for one in report.rounds
    ]


def _task(task: TaskReport) -> dict[str, Cell]:
    facts = task.model_dump(exclude={"adapter", "receipt", "reason"})
    return {**facts, "shard": task.shard or "evaluation", "reason": task.reason}


def _figures(charts: Iterable[Chart]) -> str:
    return "\n".join(
        f"<figure>{chart.with_legend}<figcaption>{escape(chart.title)}</figcaption></figure>" for chart in charts
    )


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows with equal keys; a sentence when there are none."""
    rows = list(rows)
    if not rows:
        return "<p>None yet.</p>"
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    lines = ["".join(map(_cell, row.values())) for row in rows]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"


def _cell(value: Cell) -> str:
    if value is None or isinstance(value, (str, bool)):
        return f"<td>{escape('' if value is None else str(value))}</td>"
    return f'<td class="number">{value:,}</td>' if isinstance(value, int) else f'<td class="number">{value:,.4g}</td>'
