"""Run a point: make its inputs, run its sides in turn, and combine the repeats."""

import contextlib
import fcntl
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.aggregation.environments import BENCH, bench_folder
from benchmarks.aggregation.points import Point, Side
from benchmarks.aggregation.processes import run_driver


def measure(point: Point) -> dict[str, Any]:
    """Run all sides of a point in turn, `repeats` times, and return the entry for results.json."""
    folder = inputs_of(point) if point.inputs else bench_folder("work") / point.key.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {side.name: [] for side in point.sides}
    for repeat in range(point.repeats):
        for side in point.sides:
            found[side.name].append(_run(point, side, folder))
            _say(f"{point.key} {side.name} {repeat + 1}/{point.repeats}: {_brief(found[side.name][-1])}")
    entry: dict[str, Any] = {name: best_of(runs) for name, runs in found.items()}
    if point.judge:
        written = {side.name: side.arguments["out"].format(folder=folder) for side in point.sides}
        for name, value in run_driver(point.judge, "atlas", _common(point, folder) | {"results": written}).items():
            entry.setdefault(name, {})["error"] = value
    return entry


def inputs_of(point: Point) -> Path:
    """The folder of a point's update files; missing files are created. Points with equal inputs share the folder."""
    kept = {name: value for name, value in point.inputs.items() if name != "updates"}
    name = "-".join(f"{key}{value}" for key, value in sorted(kept.items()))
    folder = bench_folder("inputs") / name
    run_driver("make_updates", "atlas", {**point.inputs, "folder": str(folder)})
    return folder


@contextmanager
def using_inputs(keep: bool) -> Iterator[None]:
    """Hold a shared lock on the inputs; the last process to leave deletes them, unless `keep` is set."""
    with (bench_folder("locks") / "inputs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not keep:
                shutil.rmtree(BENCH / "inputs", ignore_errors=True)


def best_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run with the least CPU time, with the largest peak memory and the seconds of all runs."""
    if "seconds" not in runs[0]:
        return runs[0]
    best = min(runs, key=lambda run: run["seconds"])
    return best | {"megabytes": max(run["megabytes"] for run in runs), "all_seconds": [run["seconds"] for run in runs]}


def _run(point: Point, side: Side, folder: Path) -> dict[str, Any]:
    arguments = {
        name: value.format(folder=folder) if isinstance(value, str) else value for name, value in side.arguments.items()
    }
    return run_driver(side.driver, side.environment, _common(point, folder) | arguments, side.threads)


def _common(point: Point, folder: Path) -> Mapping[str, Any]:
    return {"folder": str(folder)} | ({"updates": point.inputs["updates"]} if point.inputs else {})


def _brief(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in run.items() if isinstance(value, int | float | str))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
