"""Bodies and subjects: what comes in from another machine is checked field by field."""

from typing import Any

import pytest

from node_agent.errors import RefusedMessage
from node_agent.wire import subjects
from node_agent.wire.bus import Message
from node_agent.wire.messages import AssignHint, RoundCheckpoint, TaskReport

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
HINT: dict[str, Any] = {"task": CID, "task_id": "0" * 16, "job_id": 1, "round": 1, "slot": 0, "attempt": 1}


def test_a_body_reads_back() -> None:
    hint = AssignHint(**HINT, pipes={"DAGSTER_PIPES_CONTEXT": "x"})
    assert Message("s", "sender", hint.to_body()).read(AssignHint) == hint


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"task": "../../etc/passwd"}, "task"),
        ({"task_id": "../x"}, "task_id"),
        ({"task_id": "a.b.c.*.>"}, "task_id"),
        ({"attempt": 0}, "attempt"),
        ({"slot": -1}, "slot"),
        ({"pipes": {"LD_PRELOAD": "/tmp/evil.so"}}, "LD_PRELOAD"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_hint_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(RefusedMessage, match=named):
        Message("s", "sender", {**HINT, **change}).read(AssignHint)


def test_a_report_with_a_loss_that_is_no_number_is_refused() -> None:
    report = {"task_id": "0" * 16, "task": CID, "attempt": 1, "state": "in_progress", "loss": float("inf")}
    with pytest.raises(RefusedMessage, match="loss"):
        Message("s", "sender", report).read(TaskReport)


def test_a_report_without_a_kind_of_failure_is_as_coordinators_of_old_know_it() -> None:
    report = TaskReport(task_id="0" * 16, task=CID, attempt=1, state="failed", error="out of memory")
    assert "failure" not in report.to_body()
    diverged = report.model_copy(update={"failure": "diverged"})
    assert Message("s", "sender", diverged.to_body()).read(TaskReport) == diverged
    with pytest.raises(RefusedMessage, match="failure"):
        Message("s", "sender", {**report.to_body(), "failure": "whim"}).read(TaskReport)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"checkpoint": "../../etc/passwd"}, "checkpoint"), ({"base": "x"}, "base"), ({"round": 0}, "round")],
)
def test_a_bad_checkpoint_message_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    good = {"job_id": 1, "round": 1, "base": CID, "checkpoint": CID}
    assert Message("s", "sender", good).read(RoundCheckpoint).checkpoint == CID
    with pytest.raises(RefusedMessage, match=named):
        Message("s", "sender", {**good, **change}).read(RoundCheckpoint)


def test_subjects() -> None:
    assert subjects.assign(7) == "atlas.tasks.assign.7"
    assert subjects.pipes("0" * 16) == "atlas.tasks.0000000000000000.pipes"
    assert subjects.gradients(3) == "atlas.fl.gradients.3"
    assert subjects.model(3) == "atlas.fl.model.3"
    assert subjects.aggregator(3) == "atlas.fl.aggregator.3"
    assert subjects.rollback(3) == "atlas.recovery.rollback.3"
    assert subjects.heartbeat("*") == "atlas.nodes.*.heartbeat"
