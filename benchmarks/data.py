"""Measure data preparation: MB/s and peak memory, next to `datasets.load_dataset` on the same file in the same run.

    python benchmarks/data.py --megabytes 2000 --kinds csv jsonl parquet

Each measurement runs in a separate process. Its peak is the largest resident set that the kernel reports (ru_maxrss),
including the interpreter and its libraries; the time does not include their import. `load_dataset` converts the file to
Arrow on disk; preparing checks each row, draws the held-out rows by text, cuts shards and copies them into a content
store by CID.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

WORDS = 2_000
WORDS_A_ROW = (50, 350)
REVIEWS = 5_000
ROWS_A_GROUP = 20_000


def rows(megabytes: int) -> Iterator[dict[str, str]]:
    """Rows of random words, about as long as a film review; one in a hundred repeats an earlier text."""
    draw = random.Random(17)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(WORDS)]
    reviews = [" ".join(draw.choices(words, k=draw.randint(*WORDS_A_ROW))) for _ in range(REVIEWS)]
    left, number, kept = megabytes * 10**6, 0, "the first text"
    while left > 0:
        text = f"{number} {reviews[number % REVIEWS]}"
        if number % 100 == 0:
            text, kept = kept, text
        yield {"text": text, "label": "good" if number % 3 else "bad", "site": f"site {number % 8}"}
        left -= len(text) + 20
        number += 1


def write(path: Path, kind: str, megabytes: int) -> int:
    """Write the file and return the number of its rows."""
    count = 0
    if kind == "parquet":
        return _write_parquet(path, megabytes)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        if kind == "csv":
            table.writerow(["text", "label", "site"])
        for row in rows(megabytes):
            count += 1
            if kind == "csv":
                table.writerow(row.values())
            else:
                file.write(json.dumps(row) + "\n")
    return count


def _write_parquet(path: Path, megabytes: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet

    schema = pa.schema({name: pa.string() for name in ("text", "label", "site")})
    waiting: list[dict[str, str]] = []
    count = 0
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for row in rows(megabytes):
            count += 1
            waiting.append(row)
            if len(waiting) == ROWS_A_GROUP:
                writer.write_table(pa.Table.from_pylist(waiting, schema))
                waiting = []
        writer.write_table(pa.Table.from_pylist(waiting, schema))
    return count


def prepare(path: Path, folder: Path) -> Callable[[], object]:
    import pyarrow.parquet  # noqa: F401 - else the reader would import it, and its time would count

    from atlas.content.local.store import LocalStore
    from atlas.data.prepare import prepare_dataset
    from atlas.spec.dataset import DatasetSpec, ShardRule

    spec = DatasetSpec(source=str(path), labels=["bad", "good"], shard_by=ShardRule(column="site"))
    return lambda: prepare_dataset(spec, LocalStore(folder / "store"), folder / "cache", seed=17)


def load(path: Path, folder: Path) -> Callable[[], object]:
    import datasets

    datasets.disable_progress_bars()
    kind = {".jsonl": "json"}.get(path.suffix, path.suffix[1:])
    return lambda: datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))


def measure(what: str, path: Path, scratch: Path) -> dict[str, float]:
    """Seconds, seconds of CPU time, and peak memory in MiB of one process that prepares or loads the file."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        command = [sys.executable, __file__, "--only", what, "--file", str(path), "--scratch", folder]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(answer.stdout))


def only(what: str, path: Path, folder: Path) -> None:
    run = {"prepare": prepare, "load": load}[what](path, folder)
    started, cpu_started = time.perf_counter(), time.process_time()
    run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=["csv", "jsonl", "parquet"], choices=["csv", "jsonl", "parquet"])
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--only", choices=["prepare", "load"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        only(options.only, options.file, options.scratch)
        return
    print("| file | rows | MB | | seconds | CPU s | MB/s | peak MiB |\n|---|--:|--:|---|--:|--:|--:|--:|")
    for kind in options.kinds:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            path = Path(folder) / f"rows.{kind}"
            count = write(path, kind, options.megabytes)
            size = path.stat().st_size / 10**6
            for what, name in (("prepare", "prepare_dataset"), ("load", "load_dataset")):
                found = measure(what, path, options.scratch)
                cells = (
                    f"{found['seconds']:.0f} | {found['cpu']:.0f} | {size / found['seconds']:.1f} | {found['peak']:.0f}"
                )
                print(f"| {kind} | {count:,} | {size:,.0f} | {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
