"""What a person reads when something happens to a task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.aggregation.gates.refusal import Refusal
from atlas.documents.manifests import AcceptedUpdate, Environment, Receipt, RefusedUpdate, RoundManifest, SignedReceipt
from atlas.spec.job import TaskSpec
from atlas.unexpected import LONGEST
from resources.dispatch import events
from resources.dispatch.outcomes import CompletedTask, LostTask

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
TASK = TaskSpec(
    kind="train", contract="atlas1c", job_id=1, job=CID, model=CID, round=3, slot=0, shard="s002",
    data=CID, rows=10, base=CID, attempt=2,
)  # fmt: skip


def completed(of: TaskSpec) -> CompletedTask:
    environment = Environment(device="cpu", torch="0", transformers="0", peft="0", platform="x", precision="fp32")
    receipt = Receipt(
        task=of.cid, task_id=of.task_id, attempt=of.attempt, node="atlas1n", data=CID, base=CID, adapter=CID,
        environment=environment, started_at=0, finished_at=1,
    )  # fmt: skip
    return CompletedTask(of, of.cid, 1, SignedReceipt(receipt=receipt, public_key="", signature=""), CID)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            events.moved(TASK, 1, 2, 20),
            "s002, round 3: moves from node 1 to node 2 and resumes from step 20 (attempt 2)",
        ),
        (events.moved(TASK, 1, 1, None), "s002, round 3: restarts on node 1 and starts from the beginning (attempt 2)"),
        (
            events.restarted(TASK, 1, "its trainer was killed by signal 9", 10),
            "s002, round 3: its trainer was killed by signal 9 on node 1; it resumes from step 10",
        ),
        (
            events.restarted(TASK, 1, "its agent was restarted", 0),
            "s002, round 3: its agent was restarted on node 1; it starts from the beginning",
        ),
        (events.lost(TASK, 1, "out of\nmemory"), "s002, round 3: attempt 2 on node 1 is lost: out of memory"),
        (
            events.refused(TASK, 1, Refusal("finite", "head.weight holds NaN")),
            "s002, round 3: the update of attempt 2 on node 1 is refused by the gate finite: head.weight holds NaN",
        ),
        (
            events.waiting(TASK.model_copy(update={"shard": None}), 120, "no node is available"),
            "evaluation, round 3: waits at most 120 s, because no node is available",
        ),
    ],
)
def test_each_event_is_a_sentence(text, expected):
    assert text == expected


def test_an_update_that_passed_on_arrival_and_is_refused_later_has_a_line():
    accepted = AcceptedUpdate(shard="s001", data=CID, adapter=CID, weight=1)
    late = RefusedUpdate(shard="s002", attempt=2, adapter=CID, gate="norm", reason="is far too long")
    early = late.model_copy(update={"attempt": 1})
    manifest = RoundManifest(job=CID, round=3, base=CID, strategy="fedavg", updates=[accepted], refused=[early, late])
    outcomes = [completed(TASK), LostTask(TASK.model_copy(update={"attempt": 1}), "lost")]
    assert events.left_out(manifest, outcomes) == [
        "s002, round 3: its update is refused by the gate norm, after all updates were compared: is far too long"
    ]


@given(st.text())
def test_whatever_a_node_writes_is_one_printable_line(text):
    line = events.lost(TASK, 1, text)
    assert line.isprintable()
    assert len(line) < 2 * LONGEST
