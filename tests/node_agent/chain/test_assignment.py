"""A hint is true when the chain, the plan and the task say the same; who lies is told from what cannot be done."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.stored import put_document
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import PlannedTask, TaskPlan
from chain_bridge.client.messages import Lease
from chain_bridge.errors import ContractRefused
from node_agent.chain.assignment import check_assignment, hint_of, unannounced_hint
from node_agent.errors import TaskRefused
from node_agent.wire.messages import AssignHint

CID = cid_of_bytes(b"any")
CONTRACT, OWNER, NODE = "atlas1c", "atlas1owner", 3


def task(**changes: Any) -> TaskSpec:
    fields = {"kind": "train", "contract": CONTRACT, "job_id": 7, "job": CID, "model": CID, "round": 2, "slot": 4}
    return TaskSpec.model_validate({**fields, "data": CID, "rows": 1, "base": CID, "attempt": 1, **changes})


def lease(plan: str, **changes: Any) -> Lease:
    fields = {"job": 7, "round": 2, "slot": 4, "node": NODE, "attempt": 1, "until": 100, "plan": plan}
    return Lease.model_validate({**fields, "state": "active", "live": True, **changes})


@dataclass
class Chain:
    """One job with at most one lease."""

    found: Lease | None
    owner: str = field(default=OWNER)
    id: int = 7
    reward: int = 500

    def job(self, number: int) -> "Chain":
        if number != 7:
            raise ContractRefused("refused", f"job {number} not found")
        return self

    def lease(self, job: int, number: int, slot: int) -> Lease | None:
        return self.found if self.found and (job, number, slot) == (7, 2, self.found.slot) else None


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


def planned(store: LocalStore, spec: TaskSpec) -> str:
    put_document(store, spec)
    return put_document(store, TaskPlan.over([spec]))


def check(store: LocalStore, hint: AssignHint, found: Lease | None, sender: str = OWNER, price: int = 0) -> Lease:
    chain: Any = Chain(found)
    return check_assignment(hint, sender, NODE, CONTRACT, chain, store, price)


def test_a_true_hint_gives_its_lease_and_is_what_the_lease_itself_says(store: LocalStore) -> None:
    found = lease(planned(store, task()))
    hint = hint_of(found, CONTRACT, store)
    assert (hint.task, hint.task_id, hint.place) == (task().cid, task().task_id, (7, 2, 4, 1))
    assert check(store, hint, found) == found


@pytest.mark.parametrize(
    ("change", "reason", "ours"),
    [
        ({"job_id": 8}, "no job 8", False),
        ({"slot": 5}, "no lease of slot 5", False),
        ({"attempt": 2}, "is attempt 1 of node 3; expected attempt 2 of node 3", False),
        ({"task": CID}, f"the hint names {CID}", False),
        ({"task_id": "0" * 16}, "The hint has task_id 0000000000000000", True),
    ],
)
def test_a_hint_that_differs_is_refused(store: LocalStore, change: dict[str, Any], reason: str, ours: bool) -> None:
    found = lease(planned(store, task()))
    hint = hint_of(found, CONTRACT, store).model_copy(update=change)
    with pytest.raises(TaskRefused, match=reason) as refused:
        check(store, hint, found)
    assert refused.value.lease_is_ours is ours


def test_a_stranger_another_node_and_a_dead_lease_are_refused(store: LocalStore) -> None:
    found = lease(planned(store, task()))
    hint = hint_of(found, CONTRACT, store)
    for wrong, sender, reason in (
        (found, "atlas1stranger", "belongs to atlas1owner"),
        (lease(found.plan, node=9), OWNER, "of node 9"),
        (lease(found.plan, live=False, state="released"), OWNER, "is released and not live"),
    ):
        with pytest.raises(TaskRefused, match=reason) as refused:
            check(store, hint, wrong, sender)
        assert not refused.value.lease_is_ours


def test_what_cannot_be_read_or_is_of_something_else_is_to_be_given_back(store: LocalStore) -> None:
    hint = hint_of(lease(planned(store, task())), CONTRACT, store)
    foreign = task(contract="atlas1other")
    lying = TaskPlan(
        contract=CONTRACT,
        job_id=7,
        round=2,
        tasks=[PlannedTask(slot=4, attempt=1, task=put_document(store, task(slot=5)))],
    )
    for plan, reason in (
        (CID, "cannot be read"),
        ("nonsense", "cannot be read"),
        (put_document(store, task()), "not a valid TaskPlan"),
        (put_document(store, TaskPlan.over([task(attempt=2)])), "has no task for slot 4, attempt 1"),
        (planned(store, foreign), "on atlas1other"),
        (put_document(store, lying), "is for slot 5"),
        (put_document(store, TaskPlan.over([task(rows=2)])), "cannot be read"),
    ):
        with pytest.raises(TaskRefused, match=reason) as refused:
            check(store, hint, lease(plan))
        assert refused.value.lease_is_ours, plan


def test_a_task_that_pays_less_than_the_node_asks_for_is_refused_and_to_be_given_back(store: LocalStore) -> None:
    found, chain = lease(planned(store, task())), Chain(None)
    hint = hint_of(found, CONTRACT, store)
    assert check(store, hint, found, price=500) == found
    assert unannounced_hint(found, CONTRACT, _as_ledger(chain), store, 500) == hint
    with pytest.raises(TaskRefused, match="Job 7 pays 500 per task; this node works for 501 or more") as refused:
        check(store, hint, found, price=501)
    assert refused.value.lease_is_ours
    with pytest.raises(TaskRefused, match="works for 501") as refused:
        unannounced_hint(found, CONTRACT, _as_ledger(chain), store, 501)
    assert refused.value.lease_is_ours


def _as_ledger(chain: Any) -> Any:
    return chain
