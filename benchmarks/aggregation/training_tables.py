"""Tables of the federated runs: attacks, codecs, strategies."""

from benchmarks.aggregation.federated.attacks import ATTACKS
from benchmarks.aggregation.federated_rows import SEEDS, SPLITS, STRATEGIES
from benchmarks.aggregation.markdown import Entries, of_row, percent, spread, table, verdict


def attacks_table(entries: Entries, split: str) -> str:
    """Accuracy under attack, and which gates refused something."""
    found, lines = of_row(entries, "attacks"), []
    clean = found[f"{split}-clean"]["round"]["accuracy"]
    for name, attack in ATTACKS.items():
        run = found[f"{split}-{name}"]["round"]
        gates = ", ".join(sorted({gate for refused in run["refused"] for gate in refused})) or "none"
        lost = clean["atlas"] - (run["accuracy"]["atlas"] or 0.0)
        passed = "" if name == "clean" else verdict(lost <= 0.02)
        lines.append([attack.title, gates, *(percent(run["accuracy"][side]) for side in clean), passed])
    heads = ["attack by 3 of 10", "refused by", *clean, "ours within 2 points of clean"]
    return table([head.replace("atlas", "ours") for head in heads], lines)


def compression_table(entries: Entries) -> str:
    """The bytes that each codec sends, its error, and the accuracy."""
    entry, lines = of_row(entries, "compression")["codecs"], []
    for name, run in entry.items():
        if run.get("needs"):
            lines.append([name, f"needs {run['needs']}", "", "", ""])
            continue
        less = f"{entry['none']['bytes'] / run['bytes']:.1f} x"
        accuracy = percent(run["accuracy"]) if "accuracy" in run else ""
        lines.append([name, f"{run['bytes']:,}", less, f"{run['error']:.2%}", accuracy])
    return table(["codec", "bytes per node and round", "less", "error of the change", "accuracy"], lines)


def methods_table(entries: Entries) -> str:
    """Accuracy of every strategy: the mean over the seeds, and the range."""
    lines = []
    for strategy in STRATEGIES:
        runs = {split: method_runs(entries, split, strategy) for split in SPLITS}
        sent = entries[f"methods/domain-{strategy}-{SEEDS[0]}"]["run"]
        sizes = [f"{1000 * sent['sent']:.0f} kB", f"{1000 * sent['merged']:,.0f} kB"]
        lines.append([strategy, *(spread(values) for values in runs.values()), *sizes])
    heads = ["strategy", *(f"accuracy, {split}" for split in SPLITS), "sent per node and round", "merged at the end"]
    return table(heads, lines)


def method_runs(entries: Entries, split: str, strategy: str) -> list[float]:
    """The accuracies of all seeds; 0 for a model that cannot be evaluated."""
    runs = [entries[f"methods/{split}-{strategy}-{seed}"]["run"] for seed in SEEDS]
    return [run["accuracy"] or 0.0 for run in runs]
