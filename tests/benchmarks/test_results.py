import json
import subprocess
import sys

import pytest

from benchmarks.aggregation.measure import best_of
from benchmarks.aggregation.results import Results
from benchmarks.aggregation.rows import all_points
from tests.support.paths import REPOSITORY


def test_entries_of_two_writers_are_kept(tmp_path):
    path = tmp_path / "results.json"
    Results(path).add("b/1", {"seconds": 2})
    Results(path).add("a/1", {"seconds": 1})
    assert list(Results(path).read()) == ["a/1", "b/1"]


def test_a_point_has_one_owner_at_a_time(tmp_path):
    results, key = Results(tmp_path / "results.json"), f"test/{tmp_path.name}"
    with results.claim(key) as first, results.claim(key) as second:
        assert (first, second) == (True, False)
    with results.claim(key) as again:
        assert again


def test_the_least_time_counts_and_the_largest_peak():
    runs = [{"seconds": 2.0, "megabytes": 5.0}, {"seconds": 1.0, "megabytes": 4.0}]
    assert best_of(runs) == {"seconds": 1.0, "megabytes": 5.0, "all_seconds": [2.0, 1.0]}


def test_points_have_names_of_their_own():
    keys = [point.key for point in all_points()]
    assert len(set(keys)) == len(keys)


@pytest.mark.slow
def test_the_smallest_points_run_without_peers(tmp_path):
    rows = ["mean", "robust", "selection", "methods/quick-stack"]
    chosen = [argument for row in rows for argument in ("--only", row)]
    command = [sys.executable, "-m", "benchmarks.aggregation", "--quick", "--ours", *chosen]
    done = subprocess.run(
        [*command, "--json", "--results", tmp_path / "r.json"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "r.json").read_text())
    assert found["selection/quick"]["atlas"]["chosen"] == found["selection/quick"]["truth"]["chosen"]
    assert found["robust/median-10x4"]["atlas"]["seconds"] > 0
    assert 0.3 < found["methods/quick-stack"]["run"]["accuracy"] < 0.7
