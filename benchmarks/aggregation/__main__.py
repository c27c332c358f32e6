"""Measure aggregation next to other libraries and update docs/benchmarks.md.

Each point runs this project and the other libraries (peers) one after the other, every run in a new process. A
finished point is added to benchmarks/aggregation/results.json, and a later call skips it unless `--again` is given. Two
processes may run at the same time. The peers' environments are created under .bench/ on the first call.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.aggregation.environments import bench_folder
from benchmarks.aggregation.measure import measure, using_inputs
from benchmarks.aggregation.points import Point
from benchmarks.aggregation.render import render
from benchmarks.aggregation.results import RESULTS, Results
from benchmarks.aggregation.rows import all_points


def main() -> None:
    rows = sorted({point.row for point in all_points()})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", metavar="ROW", help=f"one of {', '.join(rows)}, or ROW/POINT; may repeat"
    )
    parser.add_argument("--quick", action="store_true", help="only the smallest points, to check that everything works")
    parser.add_argument("--ours", action="store_true", help="do not measure the peers")
    parser.add_argument("--again", action="store_true", help="also measure points that results.json already has")
    parser.add_argument("--estimate", action="store_true", help="print what would run and for how long, and stop")
    parser.add_argument("--render", action="store_true", help="only write tables and plots from results.json")
    parser.add_argument("--json", action="store_true", help="print the entries of the chosen points as JSON")
    parser.add_argument(
        "--results", type=Path, help="file for the results instead of results.json; the docs are not changed"
    )
    parser.add_argument("--keep-inputs", action="store_true", help="keep the update files under .bench/inputs (20 GB)")
    arguments = parser.parse_args()
    results = Results(arguments.results or (bench_folder("quick") / "results.json" if arguments.quick else RESULTS))
    if not arguments.render:
        chosen = _chosen(arguments.only, arguments.quick, arguments.ours)
        if not chosen:
            parser.error(f"no such row or point; the rows are {', '.join(rows)}")
        waiting = [point for point in chosen if arguments.again or arguments.quick or point.key not in results.read()]
        minutes = sum(point.minutes for point in waiting)
        print(f"{len(waiting)} of {len(chosen)} points, about {minutes:.0f} minutes on one idle core", file=sys.stderr)
        if arguments.estimate:
            return
        with using_inputs(arguments.keep_inputs):
            _run(waiting, results, arguments.again or arguments.quick)
        if arguments.json:
            entries = results.read()
            print(json.dumps({point.key: entries[point.key] for point in chosen if point.key in entries}, indent=1))
    if results.path == RESULTS:
        waiting_for = render(results.read())
        print(f"docs are up to date; still without results: {', '.join(waiting_for) or 'none'}", file=sys.stderr)


def _chosen(only: list[str] | None, quick: bool, ours: bool) -> list[Point]:
    points = [point for point in all_points() if point.quick == quick]
    if ours:
        points = [point.without_peers() for point in points]
    return [point for point in points if not only or point.row in only or point.key in only]


def _run(points: list[Point], results: Results, again: bool) -> None:
    """Measure the points that no other process has measured or is measuring."""
    started = time.time()
    done = results.read() if again else {}
    for point in points:
        with results.claim(point.key) as mine:
            now = results.read().get(point.key)
            if not mine or (now is not None and not (again and now == done.get(point.key))):
                continue
            results.add(point.key, measure(point))
        print(f"{point.key} done after {(time.time() - started) / 60:.1f} minutes in all", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
