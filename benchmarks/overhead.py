"""Measure the cost of the pipeline over a bare peft loop that does the same steps on one thread.

`python benchmarks/overhead.py [--steps 150]` runs one round of examples/sentiment.yaml on one local node, then the
bare loop over the same shards, one after the other on one machine, and prints the ratio and its parts.
150 steps take about a minute per shard. Compare only the ratio: wall times vary with the machine's load.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY))

from atlas.content.local.store import LocalStore
from atlas.documents.manifests import DatasetManifest, SignedReceipt
from atlas.documents.stored import get_document
from atlas.models.files import locate_model
from resources.jobs.registry import JobRegistry


def run(command: list[str], environment: dict[str, str]) -> str:
    """Run to the end with its stderr shown, and return what it printed on stdout."""
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def dagster_steps() -> dict[str, tuple[float, float]]:
    """Start and end of each step of the only run, in seconds since the epoch."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        (record,) = instance.get_runs()
        stats = instance.get_run_step_stats(record.run_id)
    return {step.step_key: (step.start_time, step.end_time) for step in stats}


def main(steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "atlas"
        environment = {
            **os.environ,
            "ATLAS_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "OMP_NUM_THREADS": "1",
        }
        os.environ.update(environment)
        spec = ["examples/sentiment.yaml", "--rounds", "1", "--set", f"training.steps={steps}", "--name", "overhead"]
        fleet = ["--agents", "1", "--threads", "1", "--json"]
        began = time.time()
        summary = json.loads(run([sys.executable, "-m", "atlas_pipelines.cli", "run", *spec, *fleet], environment))
        ended = time.time()

        store = LocalStore(home / "content")
        job = JobRegistry(home / "coordinator.db").job("overhead")
        dataset = get_document(store, job.dataset_cid, DatasetManifest)
        receipts = [get_document(store, t["receipt"], SignedReceipt).receipt for t in summary["tasks"] if t["shard"]]
        tasks = sum(receipt.finished_at - receipt.started_at for receipt in receipts)
        span = dagster_steps()

        model = locate_model("package:minilm", None, home / "cache")["config.json"].parent
        shards = [str(store.fetch(shard.cid)) for shard in dataset.shards]
        bare_command = [sys.executable, "benchmarks/bare_loop.py", str(model), str(steps), "16", "64", *shards]
        bare = json.loads(run(bare_command, environment))

    seconds = {name: end - start for name, (start, end) in span.items()}
    report(
        steps, len(shards), seconds, tasks, bare, total=ended - began, start=min(s for s, _ in span.values()) - began
    )


def report(
    steps: int, shards: int, seconds: dict[str, float], tasks: float, bare: dict[str, float], total: float, start: float
) -> None:
    """Print the parts and the ratios."""
    table = Table(title=f"{shards} shards x {steps} steps of 16, one thread")
    table.add_column("part")
    table.add_column("seconds", justify="right")
    table.add_column("share of the bare loop", justify="right")
    parts = [
        ("bare loop: steps alone", bare["loop"]),
        ("bare loop: imports, model, data", bare["total"] - bare["loop"]),
        ("tasks on the node (receipts)", tasks),
        ("assigning, waiting, collecting", seconds["round_manifest"] - tasks),
        ("dataset, escrow, base (base_checkpoint)", seconds["base_checkpoint"]),
        ("aggregation", seconds["aggregated_checkpoint"]),
        ("evaluation of base and checkpoint", seconds["evaluation"]),
        ("settlement", seconds["reward_settlement"]),
        ("start of network and Dagster", start),
        ("between steps, and the end", total - start - sum(seconds.values())),
    ]
    for name, value in parts:
        table.add_row(name, f"{value:.1f}", f"{value / bare['total']:.3f}")
    console = Console()
    console.print(table)
    console.print(f"training phase / bare loop:          {seconds['round_manifest'] / bare['total']:.3f}")
    without_evaluation = total - seconds["evaluation"]
    console.print(f"whole command, no evaluation / bare: {without_evaluation / bare['total']:.3f}")
    console.print(f"whole command / bare:                {total / bare['total']:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150, help="optimizer steps per shard (default 150)")
    main(parser.parse_args().steps)
