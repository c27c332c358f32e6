"""The pictures of a job's report, and of several jobs side by side: which curves each of them has. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from assets.shown import plots
from resources.reports.measurements import Measurement, Subject, curves


class Chart(NamedTuple):
    """A picture by round: its title, the label of its y axis, and its named curves."""

    title: str
    y_label: str
    curves: dict[str, list[tuple[float, float]]]

    def draw(self, make: Callable[[dict[str, list[tuple[float, float]]], str, str], str]) -> str:
        """The SVG that `plots.line_chart` or `plots.overview_chart` makes of it."""
        return make(self.curves, "round", self.y_label)

    @property
    def with_legend(self) -> str:
        """The SVG for a page of any length; only so many curves as its legend has room for keep their names."""
        return self.draw(plots.line_chart if len(self.curves) <= MOST_NAMES else plots.overview_chart)

    @property
    def in_place(self) -> str:
        """Markdown that Dagster shows without a click."""
        return plots.as_markdown(self.draw(plots.overview_chart), self.title)


MOST_NAMES = 20


def job_charts(found: Sequence[Measurement], main_metric: str) -> dict[str, Chart]:
    """The pictures of one job, by name; those without any value are left out."""
    charts = {
        **metric_charts(found, main_metric),
        "training_loss": _chart(found, "training loss of each shard", "loss", "shard", "training loss"),
        "payouts": _chart(found, "payout of each node in micro-units", "paid", "node", "paid"),
        "bytes_by_round": _chart(found, "bytes of the updates", "bytes", "round", "bytes"),
        "seconds_by_round": _chart(found, "seconds of all tasks together", "seconds", "round", "seconds"),
    }
    return {name: chart for name, chart in charts.items() if chart.curves}


def metric_charts(found: Sequence[Measurement], main_metric: str) -> dict[str, Chart]:
    """Loss and main metric on the held-out rows, a curve per job."""
    measures = dict.fromkeys(["loss", main_metric])
    charts = {
        f"{name}_by_round": _chart(found, f"{name} on the held-out rows", name, "round", name) for name in measures
    }
    return {name: chart for name, chart in charts.items() if chart.curves}


def _chart(found: Sequence[Measurement], title: str, y_label: str, of: Subject, measure: str) -> Chart:
    lines = curves(found, of, measure)
    named = {f"node {name}": points for name, points in lines.items()} if of == "node" else lines
    return Chart(title, y_label, named)
