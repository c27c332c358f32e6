"""Measure the content stores: put, fetch and verify in MB/s, next to `sha256sum` and `ipfs add` in the same run.

`python benchmarks/content.py [--quick] [--json]` creates three sets of files and measures, each in a separate process,
the store in a folder and, if `scripts/kubo build` was run, a store over one Kubo node. *put* stores files durably;
*fetch* copies them into an empty store from the shared folder or the node; *verify* computes every CID again. Many
small files are put one by one, and as the folder that they are in. Memory is the peak above that before the run. Takes
some minutes; speeds vary with the machine's load, so compare the columns of one run only.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY))

from atlas.content.kubo.node import KuboNode
from atlas.content.local.cached import CachedStore
from atlas.content.local.files import remove_path
from atlas.content.local.store import LocalStore
from atlas.content.places.kubo_store import KuboStore
from atlas.content.store import ContentStore

TARGET_SHARE, TARGET_MEGABYTES = 0.7, 100
TRIES = 3
"""Attempts, of which the fastest counts. Kubo nodes get one attempt, because they would already have the bytes."""
MANY = 1000
"""More files than this are put as one folder, too."""
AS_ONE = ", one folder"


@dataclass(frozen=True)
class Shape:
    """A number of files of equal size, in bytes."""

    files: int
    size: int

    @property
    def name(self) -> str:
        """The shape's name, such as `100 x 20 MB`."""
        units = ((1 << 30, "GiB"), (10**6, "MB"), (1 << 10, "KiB"))
        size, unit = next((self.size // size, unit) for size, unit in units if self.size % size == 0)
        return f"{self.files:,} x {size} {unit}"

    @property
    def megabytes(self) -> float:
        """The size of all files together, in units of 10^6 bytes."""
        return self.files * self.size / 1e6


SHAPES = [Shape(10_000, 1 << 10), Shape(100, 20 * 10**6), Shape(1, 1 << 30)]
QUICK = [Shape(200, 1 << 10), Shape(4, 20 * 10**6)]


def make_files(folder: Path, shape: Shape) -> list[Path]:
    """Write random files, which are then in the page cache."""
    folder.mkdir()
    paths = [folder / f"{number:05d}" for number in range(shape.files)]
    for path in paths:
        with path.open("wb") as file:
            for start in range(0, shape.size, 1 << 24):
                file.write(os.urandom(min(1 << 24, shape.size - start)))
    return paths


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def hash_files(paths: Sequence[Path]) -> None:
    """SHA-256 of each file by hashlib, and nothing else."""
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")


def peak() -> float:
    """The most memory that this process ever had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure_store(sources: Sequence[Path], folder: Path, node: str | None) -> dict[str, float]:
    """Seconds of put, fetch and verify of files or folders, and the peak of memory over the baseline."""
    baseline = peak()
    first, second = LocalStore(folder / "first"), LocalStore(folder / "second")
    store: ContentStore = first if node is None else KuboStore(first, KuboNode(node))
    reader = CachedStore(second, first) if node is None else KuboStore(second, KuboNode(node))
    cids: list[str] = []

    def put() -> None:
        if isinstance(store, KuboStore) and len(sources) > MANY:
            cids.extend(store.put_many(sources))
        else:
            cids.extend(store.put(source) for source in sources)

    def fetch() -> None:
        for cid in cids:
            reader.fetch(cid)

    def verify() -> None:
        for cid in cids:
            second.fetch(cid)

    seconds = {"put": seconds_of(put), "fetch": seconds_of(fetch), "verify": seconds_of(verify)}
    return {**seconds, "megabytes": peak() - baseline}


def in_a_process(source: Path, work: Path, node: str | None) -> dict[str, float]:
    """Run `measure_store` in a new process, on a folder or on its files (`FOLDER/*`); deletes `work` afterwards."""
    command = [sys.executable, __file__, "--store", str(source), str(work), *([node] if node else [])]
    try:
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
    finally:
        remove_path(work)


def measure(shape: Shape, node: dict[str, Any] | None, binary: Path | None) -> dict[str, Any]:
    """Seconds for one shape, by tool or store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_files(folder / "files", shape)
        subprocess.run(["sync"], check=True)
        names = b"\0".join(bytes(path) for path in paths)
        sums = ["xargs", "-0", "sha256sum"]
        found: dict[str, Any] = {
            "sha256sum": min(
                seconds_of(lambda: subprocess.run(sums, input=names, check=True, stdout=subprocess.DEVNULL))
                for _ in range(TRIES)
            ),
            "hashlib": min(seconds_of(lambda: hash_files(paths)) for _ in range(TRIES)),
        }
        sources = {"": folder / "files" / "*"}
        if shape.files > MANY:  # other bytes, because a node would already have these
            make_files(folder / "one", shape)
            sources[AS_ONE] = folder / "one"
        for how, source in sources.items():
            tries = [in_a_process(source, folder / f"folder{how}", None) for _ in range(TRIES)]
            found[f"folder{how}"] = min(tries, key=lambda one: one["put"])
        if node is not None and binary is not None:
            for how, source in sources.items():
                found[f"kubo{how}"] = in_a_process(source, folder / f"kubo{how}", node["rpc"])
            port = node["rpc"].rpartition(":")[2]
            add = [str(binary), "--api", f"/ip4/127.0.0.1/tcp/{port}", "add", "-r", "-Q", "--cid-version=1"]
            make_files(folder / "others", shape)
            found["ipfs add"] = seconds_of(
                lambda: subprocess.run(
                    [*add, "--progress=false", str(folder / "others")], check=True, stdout=subprocess.DEVNULL
                )
            )
        return found


def rows_of(shape: Shape, found: dict[str, Any]) -> list[list[str]]:
    """Lines of the table: files, store, MB/s of put, fetch and verify, put as a share of plain SHA-256, memory."""
    plain = found["hashlib"]

    def speed(seconds: float) -> str:
        rate = shape.megabytes / seconds
        return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"

    rows = [[shape.name, name, "", "", speed(found[name]), "", ""] for name in ("sha256sum", "hashlib")]
    for store in ("folder", f"folder{AS_ONE}", "kubo", f"kubo{AS_ONE}"):
        if one := found.get(store):
            speeds = [speed(one[what]) for what in ("put", "fetch", "verify")]
            rows.append([shape.name, store, *speeds, f"{plain / one['put']:.0%}", f"{one['megabytes']:.0f}"])
    if "ipfs add" in found:
        rows.append([shape.name, "ipfs add", speed(found["ipfs add"]), "", "", f"{plain / found['ipfs add']:.0%}", ""])
    return rows


COLUMNS = ["files", "store", "put MB/s", "fetch MB/s", "verify MB/s", "put / hashlib", "memory MB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few and small files, to check that everything works")
    parser.add_argument("--json", action="store_true", help="print one JSON object: seconds and megabytes")
    parser.add_argument("--store", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.store:
        source, work, *node = arguments.store
        path = Path(source)
        sources = sorted(path.parent.iterdir()) if path.name == "*" else [path]
        print(json.dumps(measure_store(sources, Path(work), node[0] if node else None)))
        return
    binaries = sorted(REPOSITORY.glob(".tools/kubo-*/ipfs"))
    kubo = REPOSITORY / "scripts" / "kubo"
    results: dict[str, Any] = {}
    table = Table(*COLUMNS)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ATLAS_KUBO_HOME": f"{home}/kubo"}
        node = None
        if binaries:
            started = subprocess.run([kubo, "start", "1"], env=environment, check=True, stdout=subprocess.PIPE)
            node = json.loads(started.stdout)["nodes"][0]
        try:
            for shape in QUICK if arguments.quick else SHAPES:
                results[shape.name] = measure(shape, node, binaries[-1] if binaries else None)
                for row in rows_of(shape, results[shape.name]):
                    table.add_row(*row)
        finally:
            if binaries:
                subprocess.run([kubo, "stop"], env=environment, check=True)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return
    Console(width=120).print(table)
    print(
        f"targets: put of large files at least {TARGET_SHARE:.0%} of plain SHA-256, memory under {TARGET_MEGABYTES} MB"
    )
    worst = max(one["megabytes"] for found in results.values() for one in found.values() if isinstance(one, dict))
    for plain in ("sha256sum", "hashlib"):
        shares = [found[plain] / found["folder"]["put"] for name, found in results.items() if "KiB" not in name]
        print(f"found: {', '.join(f'{share:.0%}' for share in shares)} of {plain}, {worst:.0f} MB at most")


if __name__ == "__main__":
    main()
