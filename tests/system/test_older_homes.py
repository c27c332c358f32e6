"""Homes that earlier versions left behind: each opens, its checkpoints verify, and its work goes on."""

import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

HOMES = Path(__file__).parents[1] / "homes"
LAST = "bafkreiadzjcsp3yinhsgiuhaerkcnvjqxw7d4hqt2ichg5xluggz3qf5uu"
"""The checkpoint of the finished job."""
REWARD = 100_000


@pytest.fixture
def opened(workplace, tmp_path):
    """Unpack an archive and return the workplace in it, and the spec of its job."""

    def unpack(name: str):
        folder = tmp_path / name
        place = workplace(name, HOME=str(folder))
        with tarfile.open(HOMES / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        return place, folder / "tiny.yaml"

    return unpack


def receipts(home: Path) -> dict[tuple[int, int, int], str]:
    """The receipts of finished tasks, by job, round and slot."""
    with sqlite3.connect(home / "coordinator.db") as database:
        rows = database.execute("SELECT job_id, round, slot, receipt_cid FROM attempts WHERE state = 'completed'")
        return {(job, number, slot): receipt for job, number, slot, receipt in rows}


def test_a_finished_job_is_shown_verified_and_stays_as_it_is(opened):
    place, spec = opened("838b137-finished")
    before = receipts(place.home)
    again = place.json("run", spec)
    assert again["checkpoint"] == LAST
    assert receipts(place.home) == before
    assert sum(node["credited"] for node in again["nodes"]) == 10 * REWARD
    assert [entry["round"] for entry in place.json("verify", LAST)["checkpoints"]] == [2, 1, 0]
    (report,) = json.loads(place.run("report", again["job"], "--format", "json").stdout)["jobs"]
    assert [report["checkpoint"], len(report["tasks"])] == [LAST, 10]
    assert sum(payout["amount"] for payout in report["payouts"]) == 10 * REWARD
    assert all(task["loss"] and task["bytes"] for task in report["tasks"] if task["shard"])

    other = place.json("run", spec, "--name", "second", "--rounds", "1")
    assert [entry["round"] for entry in other["rounds"]] == [1]
    assert len(receipts(place.home)) == len(before) + 5


def test_a_job_in_mid_round_goes_on_where_it_was_killed(opened):
    place, spec = opened("838b137-in-mid-round")
    before = receipts(place.home)
    assert 6 <= len(before) < 9, "round 1 is whole and round 2 is not"
    summary = place.json("run", spec)
    after = receipts(place.home)
    assert {task: after[task] for task in before} == before, "a finished shard was trained again"
    assert len(after) == 10
    assert sum(node["credited"] for node in summary["nodes"]) == 10 * REWARD
    assert [entry["round"] for entry in place.json("verify", summary["checkpoint"])["checkpoints"]] == [2, 1, 0]
