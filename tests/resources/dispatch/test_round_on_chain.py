"""Batches of leases: in order, under one plan each, and what the contract refuses costs the others nothing."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from atlas.documents.stored import get_document, put_document
from atlas.spec.job import TaskSpec
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.messages import Node, SlotAttempt
from chain_bridge.errors import ContractRefused
from node_agent.presence.machine import NodeManifest
from resources.dispatch.round_on_chain import RoundOnChain
from resources.dispatch.work import Held
from resources.jobs.registry import RoundRef

CID = cid_of_bytes(b"any")
ROUND = RoundRef("atlas1c", 7, 2)
MAX_BATCH = 5


class Paying:
    """A job's reward, and nodes whose manifests ask for a price each; None stands for one that cannot be read."""

    def __init__(self, store, reward: int, prices: list[int | None]) -> None:
        self.reward, self.asked = reward, 0
        self.registered = [registered(number, store, price) for number, price in enumerate(prices, 1)]

    def job(self, number: int):
        assert number == 7
        self.asked += 1
        return self

    def nodes(self):
        return self.registered

    def config(self):
        return SimpleNamespace(heartbeat_seconds=30)


def registered(number: int, store, price: int | None) -> Node:
    manifest = NodeManifest(
        address=f"atlas1n{number}", version="0", platform="x", cpu="c", cores=1, memory_bytes=1, gpus=[], slots=1,
        price=price or 0,
    )  # fmt: skip
    cid = put_document(store, manifest) if price is not None else cid_of_bytes(b"nowhere %d" % number)
    return Node(
        id=number, owner=manifest.address, kind="compute", capacity=8, used=0, stake=0, unbonding=[], reputation=100,
        last_seen=1000, status="active", jailed_until=0, manifest=cid, public_key=None,
    )  # fmt: skip


class CountingStore:
    """Counts what is read."""

    def __init__(self, store) -> None:
        self._store, self.read_cids = store, []

    def read(self, cid: str) -> bytes:
        self.read_cids.append(cid)
        return self._store.read(cid)


class Contract:
    """Takes what has no bad slot in it, and remembers it."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.bad = bad
        self.taken, self.sent = [], 0

    def config(self):
        return SimpleNamespace(max_batch=MAX_BATCH)

    def assign_batch(self, job, round, plan, items):  # noqa: A002
        self.complete_batch(job, round, items, plan)

    def complete_batch(self, job, round, items, plan=None):  # noqa: A002
        assert (job, round) == (7, 2)
        assert 1 <= len(items) <= MAX_BATCH
        self.sent += 1
        if wrong := sorted({item.slot for item in items} & self.bad):
            raise ContractRefused("refused", f"slot {wrong[0]} is bad")
        self.taken.append((plan, items))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return LocalStore(tmp_path_factory.mktemp("store"))


def held(store, slot: int) -> Held:
    task = TaskSpec(
        kind="train", contract="atlas1c", job_id=7, job=CID, model=CID, round=2, slot=slot, data=CID, rows=1, base=CID,
        attempt=1,
    )  # fmt: skip
    return Held(1 + slot % 3, "atlas1n", task, put_document(store, task))


slots = st.sets(st.integers(0, 30), max_size=17)


@settings(deadline=None)
@given(slots, slots)
def test_everything_but_what_is_refused_is_leased_in_order_and_named_by_its_plan(store, wanted, bad):
    contract = Contract(frozenset(bad))
    refused = RoundOnChain(contract, store, ROUND).assign([held(store, slot) for slot in sorted(wanted, reverse=True)])
    assert refused == {slot: f"slot {slot} is bad" for slot in wanted & bad}
    assert [item.slot for _, items in contract.taken for item in items] == sorted(wanted - bad)
    for plan, items in contract.taken:
        named = get_document(store, plan, TaskPlan).tasks_in("atlas1c", 7, 2)
        for item in items:
            assert named[item.slot, item.attempt] == held(store, item.slot).task_cid
            assert item.node == 1 + item.slot % 3


def test_without_refusals_a_batch_is_one_message(store):
    contract = Contract()
    RoundOnChain(contract, store, ROUND).assign([held(store, slot) for slot in range(12)])
    assert [len(items) for _, items in contract.taken] == [5, 5, 2]


@settings(deadline=None)
@given(slots, slots)
def test_results_are_completed_whatever_is_refused_beside_them(store, wanted, bad):
    contract = Contract(frozenset(bad))
    refused = RoundOnChain(contract, store, ROUND).complete([SlotAttempt(slot, 1) for slot in wanted])
    assert set(refused) == wanted & bad
    assert [item.slot for _, items in contract.taken for item in items] == sorted(wanted - bad)


@settings(deadline=None)
@given(st.integers(0, 5), st.lists(st.none() | st.integers(0, 5), max_size=6))
def test_nodes_whose_price_is_above_the_reward_are_not_offered_its_work(store, reward, prices):
    fit = RoundOnChain(Paying(store, reward, prices), store, ROUND).available_nodes(1000)
    asks = {number: price or 0 for number, price in enumerate(prices, 1)}
    assert [node.id for node in fit.nodes] == [number for number, price in asks.items() if price <= reward]
    assert [node.id for node in fit.too_expensive] == [number for number, price in asks.items() if price > reward]
    assert fit.reward == reward


def test_a_manifest_is_read_once_and_also_the_job(store):
    contract, counting = Paying(store, 3, [2, 4, None]), CountingStore(store)
    chain = RoundOnChain(contract, counting, ROUND)
    looks = [chain.available_nodes(1000) for _ in range(3)]
    assert {tuple(node.id for node in look.nodes) for look in looks} == {(1, 3)}
    assert sorted(counting.read_cids) == sorted(node.manifest for node in contract.registered)
    assert contract.asked == 1
    assert chain.available_nodes(1031).nodes == []  # not heard of
