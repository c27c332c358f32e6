"""Bringing docs/benchmarks.md up to date: tables between its markers, and plots beside it."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean

from benchmarks.aggregation import cost_tables, training_tables, worst_tables
from benchmarks.aggregation.environments import REPOSITORY
from benchmarks.aggregation.federated.attacks import ATTACKS
from benchmarks.aggregation.federated_rows import SPLITS, STRATEGIES
from benchmarks.aggregation.markdown import Entries, of_row
from benchmarks.aggregation.plots import Dot, dot_chart, line_chart

DOCS = REPOSITORY / "docs"


def render(entries: Entries, docs: Path = DOCS) -> list[str]:
    """Write every table and plot whose results are complete, and return the names of the others."""
    page, waiting = docs / "benchmarks.md", []
    text = page.read_text(encoding="utf-8")
    for name, make in (TABLES | PLOTS).items():
        try:
            fresh = make(entries)
        except KeyError:
            waiting.append(name)
            continue
        if name in TABLES:
            text = _between_markers(text, name, fresh)
        else:
            (docs / f"aggregation-{name}.svg").write_text(fresh, encoding="utf-8")
    page.write_text(text, encoding="utf-8")
    return waiting


def _between_markers(text: str, name: str, fresh: str) -> str:
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    text, count = re.subn(f"{start}.*?{end}", lambda _: f"{start}\n{fresh}\n{end}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"docs/benchmarks.md must have {start} and {end} once, found {count} such pairs.")
    return text


def memory_plot(entries: Entries) -> str:
    """Peak memory over the number of updates."""
    title = "Weighted mean of updates of 4 MB: peak memory over baseline, MB"
    return line_chart(title, _curves(entries, "megabytes"), "updates")


def seconds_plot(entries: Entries) -> str:
    """CPU time over the number of updates."""
    return line_chart("Weighted mean of updates of 4 MB: CPU seconds", _curves(entries, "seconds"), "updates")


def _curves(entries: Entries, what: str) -> dict[str, list[tuple[float, float]]]:
    found = of_row(entries, "mean")
    sides = {
        "ours, from disk, with gates": "atlas",
        "flwr": cost_tables.FLWR,
        "flwr, older interface": "flwr aggregate",
        "nvflare": "nvflare torch",
    }
    return {
        label: [(count, max(found[f"{count}x4"][side][what], 1e-3)) for count in (10, 100, 1000)]
        for label, side in sides.items()
    }


def attacks_plot(entries: Entries) -> str:
    """Accuracy under attack."""
    found, sides = of_row(entries, "attacks"), ("atlas", "flwr fedavg", "flwr median", "flwr multi-krum")
    rows = {
        attack.title: {
            side.replace("atlas", "ours"): _dot([found[f"mixed-{name}"]["round"]["accuracy"][side] or 0.0])
            for side in sides
        }
        for name, attack in ATTACKS.items()
    }
    label = "accuracy on held-out rows; at the left edge: no number"
    return dot_chart("Accuracy with 3 of 10 malicious nodes", rows, label, (0.4, 0.9))


def methods_plot(entries: Entries) -> str:
    """Accuracy of the strategies, mean and range over the seeds."""
    rows = {
        strategy: {split: _dot(training_tables.method_runs(entries, split, strategy)) for split in SPLITS}
        for strategy in STRATEGIES
    }
    return dot_chart("Strategies, mean and range of three seeds", rows, "accuracy on held-out rows", (0.5, 0.9))


def _dot(values: list[float]) -> Dot:
    return mean(values), min(values), max(values)


TABLES: dict[str, Callable[[Entries], str]] = {
    "weighted-mean-targets": cost_tables.mean_targets,
    "weighted-mean": cost_tables.mean_table,
    "robust": cost_tables.robust_table,
    "selection": cost_tables.selection_table,
    "merge": cost_tables.merge_table,
    "orders": cost_tables.orders_table,
    "attacks-mixed": partial(training_tables.attacks_table, split="mixed"),
    "attacks-ordered": partial(training_tables.attacks_table, split="ordered"),
    "worst": worst_tables.worst_table,
    "compression": training_tables.compression_table,
    "strategies": training_tables.methods_table,
}
PLOTS: dict[str, Callable[[Entries], str]] = {
    "memory": memory_plot,
    "seconds": seconds_plot,
    "attacks": attacks_plot,
    "methods": methods_plot,
}
