"""The registry: idempotent, safe with two processes, and nothing half-written after kill -9."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.documents.manifests import SavedCheckpoint
from atlas.errors import SpecError
from resources.jobs.registry import Attempt, JobRegistry, JobRow, RoundRef
from tests.support.paths import REPOSITORY

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
ROW = JobRow("tiny", "spec", "model", "dataset", "genesis", "atlas1contract", 3)
ROUND = RoundRef("atlas1contract", 3, 1)


@pytest.fixture
def registry(tmp_path):
    return JobRegistry(tmp_path / "coordinator.db")


def test_a_job_is_saved_once_and_found_by_name(registry):
    assert registry.job("tiny") is None
    registry.save_job(ROW)
    registry.save_job(ROW)
    assert registry.job("tiny") == ROW
    assert registry.jobs() == [ROW]


def test_a_taken_name_is_refused_with_both_cids(registry):
    registry.save_job(ROW)
    other = JobRow("tiny", "other-spec", "model", "dataset", "genesis", "atlas1contract", 4)
    with pytest.raises(SpecError, match=r"recorded spec, given other-spec\. Choose another name"):
        registry.save_job(other)
    assert registry.job("tiny") == ROW


def test_an_attempt_goes_from_assigned_to_its_end(registry):
    registry.record_assigned(ROUND, Attempt(0, 1, "id0", "task", 7))
    registry.record_assigned(ROUND, Attempt(0, 1, "id0", "task", 8))
    assert registry.attempts(ROUND) == [Attempt(0, 1, "id0", "task", 7)]
    registry.record_completed(ROUND, 0, 1, "receipt", "adapter")
    (attempt,) = registry.attempts(ROUND)
    assert (attempt.state, attempt.receipt_cid, attempt.result_cid) == ("completed", "receipt", "adapter")
    registry.record_excluded(ROUND, 0, 1, "schema", "too wide")
    (attempt,) = registry.attempts(ROUND)
    assert (attempt.state, attempt.gate) == ("completed", "schema")
    registry.record_included(ROUND, 0, 1)
    (attempt,) = registry.attempts(ROUND)
    assert (attempt.state, attempt.gate, attempt.reason, attempt.result_cid) == ("completed", None, None, "adapter")
    assert registry.attempts(RoundRef("atlas1contract", 3, 2)) == []


def test_what_a_gate_refused_keeps_its_reason(registry):
    registry.record_assigned(ROUND, Attempt(0, 1, "id0", "task", 7))
    registry.record_refused(ROUND, 0, 1, "finite", "NaN", CID)
    registry.record_lost(ROUND, 0, 1, "its lease ran out")
    (attempt,) = registry.attempts(ROUND)
    assert (attempt.state, attempt.gate, attempt.reason, attempt.result_cid) == ("refused", "finite", "NaN", CID)


def test_the_coordinator_s_own_work_is_remembered_by_name(registry):
    assert registry.own_work("a") is None
    registry.record_own_work("a", "one")
    registry.record_own_work("b", "two")
    registry.record_own_work("a", "three")
    assert (registry.own_work("a"), registry.own_work("b")) == ("three", "two")


@settings(max_examples=25)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_the_newest_checkpoint_is_the_one_with_the_most_steps(tmp_path_factory, steps):
    registry = JobRegistry(tmp_path_factory.mktemp("registry") / "coordinator.db")
    newest = 0
    for step in steps:
        assert registry.record_checkpoint("id", SavedCheckpoint(step=step, cid=CID)) == (step > newest)
        newest = max(newest, step)
    assert registry.newest_checkpoint("id") == SavedCheckpoint(step=newest, cid=CID)
    assert registry.newest_checkpoint("other") is None


WRITER = """
import sys
from pathlib import Path
from resources.jobs.registry import Attempt, JobRegistry, RoundRef
registry, first = JobRegistry(Path(sys.argv[1])), int(sys.argv[2])
for number in range(first, first + int(sys.argv[3])):
    registry.record_assigned(RoundRef("c", 1, 1), Attempt(number, 1, f"id{number}", "task", 1))
    registry.record_completed(RoundRef("c", 1, 1), number, 1, f"receipt{number}", f"adapter{number}")
    print(number, flush=True)
"""


def start_writer(path: Path, first: int, count: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(count)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )


def test_two_processes_write_at_the_same_time(tmp_path):
    path = tmp_path / "coordinator.db"
    writers = [start_writer(path, 0, 40), start_writer(path, 1000, 40)]
    for writer in writers:
        writer.communicate(timeout=300)
    assert [writer.returncode for writer in writers] == [0, 0]
    attempts = JobRegistry(path).attempts(RoundRef("c", 1, 1))
    assert len(attempts) == 80
    assert {attempt.state for attempt in attempts} == {"completed"}


def test_what_was_written_before_kill_9_is_there(tmp_path):
    path = tmp_path / "coordinator.db"
    writer = start_writer(path, 0, 100_000)
    told = [int(writer.stdout.readline()) for _ in range(5)]
    time.sleep(0.05)
    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.communicate()
    attempts = {attempt.slot: attempt for attempt in JobRegistry(path).attempts(RoundRef("c", 1, 1))}
    assert all(attempts[number].receipt_cid == f"receipt{number}" for number in told)
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
