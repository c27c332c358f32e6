"""Tables of the cost and correctness of aggregation: weighted mean, robust rules, merges, orders of arrival."""

from statistics import mean
from typing import Any

from benchmarks.aggregation.markdown import Entries, of_row, table, verdict

FLWR = "flwr aggregate_arrayrecords"
FALSE = 6
"""The number of false updates in the selection benchmark; they come first."""


def mean_table(entries: Entries) -> str:
    """CPU seconds and megabytes of every implementation of the mean, by size and number of the updates."""
    found = of_row(entries, "mean")
    names = sorted(found, key=lambda name: _size(name)[::-1])
    sides = list(dict.fromkeys(side for name in names for side in found[name]))
    lines = [
        [f"{_size(name)[0]} x {_size(name)[1]} MB", *(_cost(found[name].get(side)) for side in sides)] for name in names
    ]
    return table(["updates", *sides], lines)


def mean_targets(entries: Entries) -> str:
    """The targets of the weighted mean."""
    found = of_row(entries, "mean")
    ours, theirs = found["100x20"]["atlas"], found["100x20"][FLWR]
    cpu, memory = ours["seconds"] / theirs["seconds"], ours["megabytes"] / theirs["megabytes"]
    growth = (found["1000x4"]["atlas"]["megabytes"] - found["10x4"]["atlas"]["megabytes"]) / 990 / 4
    lines = [
        ["CPU time of 100 x 20 MB, of flwr's", "1 at most", f"{cpu:.2f}", verdict(cpu <= 1)],
        ["peak memory of 100 x 20 MB, of flwr's", "0.1 at most", f"{memory:.3f}", verdict(memory <= 0.1)],
        ["memory from N = 10 to 1000, per update", "flat: under 1 % of it", f"{growth:.2%}", verdict(growth < 0.01)],
    ]
    return table(["", "target", "found", ""], lines)


def robust_table(entries: Entries) -> str:
    """Robust rules compared with Flower's; the gates, which Flower lacks, are in a separate column."""
    found, lines = of_row(entries, "robust"), []
    for rule, target in {"trimmed-mean": 0.5, "median": 0.5, "multi-krum": 0.25}.items():
        ours, theirs = found[f"{rule}-50x20"]["atlas"], found[f"{rule}-50x20"]["flwr"]
        parts = ours["parts"]
        ratio = parts["aggregation"] / theirs["seconds"]
        costs = [f"{parts['aggregation']:.2f} s", f"{parts['gates']:.2f} s", f"{ours['megabytes']:.0f} MB"]
        costs += [f"{theirs['seconds']:.2f} s", f"{theirs['megabytes']:,.0f} MB"]
        passed = ratio <= target and ours["megabytes"] <= 300
        lines.append([rule, *costs, f"{ratio:.2f}", f"{target:g}", verdict(passed)])
    heads = ["50 x 20 MB", "ours", "our gates", "our peak", "flwr", "flwr's peak", "CPU ratio", "target", ""]
    return table(heads, lines)


def selection_table(entries: Entries) -> str:
    """Whether Multi-Krum chooses the correct updates."""
    cases: dict[tuple[float, float], list[Any]] = {}
    for name, entry in of_row(entries, "selection").items():
        _, drift, _, deviation, *_ = name.replace("e-", "e~").split("-")
        cases.setdefault((float(deviation), float(drift.replace("~", "-"))), []).append(entry)
    lines = []
    for (deviation, drift), runs in sorted(cases.items(), key=lambda case: (case[0][0], -case[0][1])):
        cells = [cell for side in ("atlas", "flwr") for cell in _rightness(runs, side)]
        right = all(run["atlas"]["chosen"] == run["truth"]["chosen"] for run in runs)
        lines.append([f"{drift:g} on {deviation:g}", *cells, verdict(right)])
    heads = ["change on base", "ours right", "false ones taken", "flwr right", "false ones taken", "ours"]
    return table(heads, lines)


def merge_table(entries: Entries) -> str:
    """The exact merge compared with peft's."""
    lines = []
    for name, entry in of_row(entries, "merge").items():
        case, peft = name.partition("-10x")[0].replace("-", " "), entry["peft svd"]
        for side, run in entry.items():
            error = f"{run['error']:.7f}" if run["error"] > 1e-6 else f"{run['error']:.0e}"
            if "seconds" not in run:
                lines.append([case, f"{side} at rank 16", "", "", "", error, ""])
                continue
            ratio = peft["seconds"] / run["seconds"]
            met = ratio >= 100 and abs(run["error"] - peft["error"]) <= 1e-5
            passed = verdict(met) if side == "atlas qr-svd" else ""
            cost = [f"{run['seconds']:.3f} s", f"{ratio:.0f} x", f"{run['megabytes']:.0f} MB"]
            lines.append([case, side, *cost, error, passed])
    heads = ["10 adapters", "way", "CPU", "faster than peft svd", "peak", "error", "100 x, equal to 1e-5"]
    return table(heads, lines)


def orders_table(entries: Entries) -> str:
    """Different results under 100 orders of arrival, each on one thread and on two."""
    entry, lines = of_row(entries, "orders")["100-of-20"], []
    for name in dict.fromkeys(side.rpartition(", ")[0] for side in entry):
        runs = [entry[f"{name}, {threads}"] for threads in (1, 2)]
        count = len({digest for run in runs for digest in run["digests"]})
        changed = "none" if count == 1 else f"{runs[0].get('changed_per_order') or 0:.0%}"
        lines.append([name, str(count), changed, verdict(count == 1)])
    return table(["20 updates", "different results of 200", "numbers that an order changes", "all equal"], lines)


def _rightness(runs: list[Any], side: str) -> list[str]:
    right = sum(run[side]["chosen"] == run["truth"]["chosen"] for run in runs)
    false = mean(sum(number < FALSE for number in run[side]["chosen"]) for run in runs)
    return [f"{right} of {len(runs)}", f"{false:.1f} of {FALSE}"]


def _size(name: str) -> tuple[int, int]:
    count, _, megabytes = name.partition("x")
    return int(count), int(megabytes)


def _cost(run: Any) -> str:
    return f"{run['seconds']:.2f} s, {run['megabytes']:,.0f} MB" if run else ""
