"""Whatever is sent in whatever order, on the real chain with the real bytecode: no coin appears or vanishes, the
contract's books balance, no round is settled twice, and no slot or place is given away twice.
"""

import base64
import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from atlas.data.merkle import merkle_proof, merkle_root
from tests.support.chain.contract_books import (
    ABANDON,
    BOND,
    CHALLENGE,
    LEASE,
    MIN_STAKE,
    NAMES,
    ContractBooks,
    due,
)

WHO = st.sampled_from(NAMES)
NODE_OWNER = st.sampled_from(NAMES[1:])
JOB = st.integers(1, 2)
SLOT = st.integers(0, 2)
SMALL = st.integers(1, 20)
# The sender is mostly the right one: None.
SENDER = st.one_of(st.none(), st.none(), st.none(), st.none(), WHO)


class Contract(ContractBooks):
    """Everybody may send anything; what is accepted must leave the books right."""

    # What anybody may send. Job 1 is the operator's, job 2 belongs to "first".

    def some_round(self, data: st.DataObject, state: str | None = None, submitted: bool = False) -> tuple[int, int]:
        """A round that has a lease in this state and is (not) submitted, if there is one."""
        books = self.books
        rounds = [(job["id"], number) for job in books["jobs"].values() for number in range(1, job["rounds"] + 1)]
        waiting = {key for key, found in books["rounds"].items() if found["settled_at"] is None}
        fitting = [key for key in rounds if (key in waiting) == submitted and key not in self.settled]
        if state:
            having = {key[:2] for key, lease in books["leases"].items() if lease["state"] == state}
            fitting = [key for key in fitting if key in having]
        return data.draw(st.sampled_from(fitting or rounds), label="round")

    def owner_of(self, job: int, sender: str | None) -> str:
        return sender or NAMES[job - 1]

    @initialize(depth=st.integers(0, 4))
    def begin(self, depth: int) -> None:
        self.begin_at(depth)

    def begin_at(self, depth: int) -> None:
        """Stories begin at different depths of a round that goes well."""
        # Nodes 1, 2, 3 are theirs in this order.
        for name in NAMES[1:]:
            assert self.send(name, MIN_STAKE + 5, register_node={"kind": "compute", "capacity": 2, "manifest": "m"})
        assert self.create(1, 0)
        items = [{"slot": slot, "node": node, "attempt": 1} for slot, node in ((0, 1), (1, 1), (2, 2))]
        ends = [{"slot": item["slot"], "attempt": 1} for item in items]
        round_ = {"job": 1, "round": 1}
        if depth > 0:
            assert self.send("operator", assign_batch={**round_, "plan": "plan", "items": items})
        if depth > 1:
            assert self.send("operator", complete_batch={**round_, "items": ends})
        if depth > 2:
            assert self.submit_round("operator", 1, 1, [3_334], lie=False)
        if depth > 3:
            assert self.challenge_leaf("third", 1, 1, 0, 0)

    def create(self, job: int, surplus: int) -> bool:
        order = {
            "key": "k",
            "spec": "s",
            "dataset": "d",
            "shards": 2,
            "rounds": 2,
            "reward": "7",
            "lease_seconds": LEASE,
        }
        return self.send(NAMES[job - 1], 7 * 3 * 2 + surplus, create_job=order)

    @rule(surplus=st.integers(-1, 10))
    def create_second_job(self, surplus: int) -> None:
        self.create(2, surplus)

    @rule(seconds=st.sampled_from((1, 5, 20, 20, LEASE + 1, CHALLENGE)))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(who=st.sets(NODE_OWNER, min_size=2))
    def beat(self, who: set[str]) -> None:
        for name in sorted(who):
            self.send(name, heartbeat={})

    @rule(who=NODE_OWNER, capacity=st.integers(0, 3), stake=st.integers(8, 20))
    def register(self, who: str, capacity: int, stake: int) -> None:
        self.send(who, stake, register_node={"kind": "compute", "capacity": capacity, "manifest": "m"})
        self.send(who, update_node={"capacity": capacity})

    @rule(who=NODE_OWNER, amount=SMALL, way=st.sampled_from(("add", "withdraw", "claim", "retire", "unjail")))
    def stake(self, who: str, amount: int, way: str) -> None:
        if way == "add":
            self.send(who, amount, add_stake={})
        elif way == "withdraw":
            self.send(who, withdraw_stake={"amount": str(amount)})
        elif way == "claim":
            self.send(who, claim_stake={})
        elif way == "retire":
            self.send(who, deregister_node={})
        else:
            self.send(who, amount, unjail={})

    @rule(sender=SENDER, again=st.booleans(), slots=st.sets(SLOT, min_size=1), data=st.data())
    def assign(self, sender: str | None, again: bool, slots: set[int], data: st.DataObject) -> None:
        job, number = self.some_round(data)
        known = self.leases_of(job, number)
        items = [
            {
                "slot": slot,
                "node": data.draw(st.sampled_from(self.able() or [1]), label="node"),
                "attempt": known.get(slot, {"attempt": 0})["attempt"] + 1,
            }
            for slot in sorted(slots)
        ]
        body = {"job": job, "round": number, "plan": "plan", "items": items}
        taken = self.before_live(known)
        name = "reassign_batch" if again and known else "assign_batch"
        if self.send(self.owner_of(job, sender), **{name: body}):
            books = self.books
            assert all(
                books["nodes"][item["node"]]["used"] <= books["nodes"][item["node"]]["capacity"] for item in items
            )
            assert name == "reassign_batch" or not taken & slots, "a live lease was given to somebody else"

    def able(self) -> list[int]:
        """The nodes that have a place free, and now and then the others."""
        nodes = self.books["nodes"].values()
        return [node["id"] for node in nodes if node["used"] < node["capacity"] and node["status"] == "active"]

    def before_live(self, known: dict[int, dict]) -> set[int]:
        return {slot for slot, lease in known.items() if lease["live"] or lease["state"] == "completed"}

    @rule(
        sender=SENDER,
        way=st.sampled_from(("complete_batch", "complete_batch", "complete_batch", "release_batch", "expire_leases")),
        data=st.data(),
    )
    def end_leases(self, sender: str | None, way: str, data: st.DataObject) -> None:
        job, number = self.some_round(data, "active")
        if way == "expire_leases":
            self.send(sender or "third", expire_leases={"job": job, "round": number, "limit": 5})
            return
        known = self.leases_of(job, number)
        active = sorted(slot for slot, lease in known.items() if lease["state"] == "active")
        if not active:
            return
        active = data.draw(st.lists(st.sampled_from(active), min_size=1, unique=True), label="slots")
        items = [{"slot": slot, "attempt": known[slot]["attempt"]} for slot in active]
        self.send(self.owner_of(job, sender), **{way: {"job": job, "round": number, "items": items}})

    @rule(
        sender=SENDER,
        cuts=st.lists(st.integers(0, 10_000), min_size=2, max_size=2),
        lie=st.sampled_from((False, False, True)),
        data=st.data(),
    )
    def submit(self, sender: str | None, cuts: list[int], lie: bool, data: st.DataObject) -> None:
        job, number = self.some_round(data, "completed")
        self.submit_round(self.owner_of(job, sender), job, number, cuts, lie=lie)

    def submit_round(self, sender: str, job: int, number: int, cuts: list[int], *, lie: bool) -> bool:
        done = [lease for _, lease in sorted(self.leases_of(job, number).items()) if lease["state"] == "completed"]
        counts = sorted(Counter(lease["node"] for lease in done).items())
        edges = [0, *sorted(cuts)[: max(len(counts) - 1, 0)], 10_000]
        parts = [after - before for before, after in pairwise(edges)]
        shares = [{"node": node, "count": n, "bps": bps} for (node, n), bps in zip(counts, parts, strict=False)]
        leaves = [self.leaf(lease, place, len(done), lie and place == 0) for place, lease in enumerate(done)] or [
            b"none"
        ]
        body = {
            "job": job,
            "round": number,
            "root": base64.b64encode(merkle_root(leaves)).decode(),
            "leaf_count": len(done),
            "checkpoint": "checkpoint",
            "evidence": "evidence",
            "per_node": shares,
        }
        if not self.send(sender, submit_round=body):
            return False
        self.leaves[job, number] = leaves
        return True

    def leaf(self, lease: dict, index: int, count: int, lie: bool) -> bytes:
        record = {"attempt": lease["attempt"] + lie, "node_id": lease["node"], "receipt": "r", "result": "a"}
        leaf = {
            "checkpoint": "checkpoint",
            "contract": self.driver.contract,
            "index": index,
            "job_id": lease["job"],
            "leaf_count": count,
            "record": {**record, "shard": None, "slot": lease["slot"]},
            "round": lease["round"],
        }
        return json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()

    @precondition(lambda self: self.leaves)
    @rule(who=WHO, index=SLOT, other=st.sampled_from((False, False, False, True)), data=st.data())
    def challenge(self, who: str, index: int, other: bool, data: st.DataObject) -> None:
        job, number = self.some_round(data, submitted=True)
        self.challenge_leaf(who, job, number, index, index + other)

    def challenge_leaf(self, who: str, job: int, number: int, index: int, shown: int) -> bool:
        leaves = self.leaves.get((job, number), [b"none"])
        index %= len(leaves)
        leaf = leaves[shown % len(leaves)]
        proof = [base64.b64encode(step.sibling).decode() for step in merkle_proof(leaves, index)]
        body = {"job": job, "round": number, "index": index, "proof": proof, "evidence": "doubt"}
        return self.send(who, BOND, challenge={**body, "leaf": base64.b64encode(leaf).decode()})

    @precondition(lambda self: self.leaves)
    @rule(sender=SENDER, way=st.sampled_from(("upheld", "rejected", "dismiss")), data=st.data())
    def decide(self, sender: str | None, way: str, data: st.DataObject) -> None:
        job, number = self.some_round(data, submitted=True)
        for found in self.driver.ask(challenges={"job": job, "round": number}):
            body = {"job": job, "round": number, "index": found["index"]}
            if way == "dismiss":
                self.send(sender or "third", dismiss_challenge=body)
            else:
                self.send(sender or "operator", resolve_challenge={**body, "upheld": way == "upheld"})

    @precondition(lambda self: self.leaves)
    @rule(way=st.sampled_from(("settle", "settle", "settle", "rollback_round")), patient=st.booleans(), data=st.data())
    def settle(self, way: str, patient: bool, data: st.DataObject) -> None:
        job, number = self.some_round(data, submitted=True)
        if patient:
            self.now += CHALLENGE
        sender = "third" if way == "settle" else NAMES[job - 1]
        before = self.round_of(job, number)
        if self.send(sender, **{way: {"job": job, "round": number}}) and way == "settle":
            assert (job, number) not in self.settled, "a round was settled twice"
            self.settled[job, number] = before or {}

    @rule(patient=st.sampled_from((True, True, False)), data=st.data())
    def claim(self, patient: bool, data: st.DataObject) -> None:
        job, number = self.some_round(data, "completed")
        done = [lease["node"] for lease in self.leases_of(job, number).values() if lease["state"] == "completed"]
        node = data.draw(st.sampled_from(done or [1]), label="node")
        if patient:
            self.now += ABANDON + 1
        who = NAMES[node]
        if self.send(who, claim_abandoned={"job": job, "round": number}):
            self.claimed[job, number, node] = done.count(node)

    @rule(who=WHO, all_at_once=st.booleans())
    def withdraw(self, who: str, all_at_once: bool) -> None:
        with_credit = [name for name in NAMES if int(self.driver.ask(credit={"address": self.driver.address(name)}))]
        if all_at_once:
            self.send(who, withdraw_for={"addresses": [self.driver.address(name) for name in with_credit]})
        else:
            self.send(who, withdraw={})

    @rule(
        job=JOB,
        sender=SENDER,
        way=st.sampled_from(("cancel_job", "close_job", "close_job", "top_up", "top_up", "top_up")),
        amount=SMALL,
    )
    def change_job(self, job: int, sender: str | None, way: str, amount: int) -> None:
        self.keys += 1
        if way == "top_up":
            self.send(self.owner_of(job, sender), amount, top_up={"job": job, "key": f"key-{self.keys // 2}"})
        else:
            self.send(self.owner_of(job, sender), **{way: {"job": job}})


def check(machine: Contract) -> None:
    machine.no_coin_appears_or_vanishes()
    machine.every_job_balances()
    machine.every_place_is_given_once()
    machine.what_is_settled_stays()


@pytest.fixture
def machine(compiled_modules):
    machine = type("Machine", (Contract,), {"modules": compiled_modules})()
    yield machine
    machine.teardown()


@pytest.mark.parametrize("upheld", [True, False])
def test_a_challenged_round_is_decided_settled_and_paid(machine, upheld):
    machine.begin_at(4)
    place = {"job": 1, "round": 1}
    assert machine.send("operator", resolve_challenge={**place, "index": 0, "upheld": upheld})
    check(machine)
    machine.now += CHALLENGE
    before = machine.round_of(1, 1)
    assert machine.send("third", settle=place)
    machine.settled[1, 1] = before
    check(machine)
    assert not machine.send("third", settle=place)
    # Node 1 has two of the three tasks, one of which may be struck, and 3,334 of the 10,000 basis points of 21.
    assert due(before) == {1: 3 if upheld else 7, 2: 14}
    for name in ("first", "second"):
        assert machine.send(name, withdraw={})
        check(machine)
    assert not machine.send("second", withdraw={})


def test_an_abandoned_round_pays_by_task(machine):
    machine.begin_at(2)
    assert not machine.send("first", claim_abandoned={"job": 1, "round": 1})
    machine.now += ABANDON + 1
    assert machine.send("first", claim_abandoned={"job": 1, "round": 1})
    machine.claimed[1, 1, 1] = 2
    check(machine)
    assert not machine.send("first", claim_abandoned={"job": 1, "round": 1})
    assert not machine.submit_round("operator", 1, 1, [5_000], lie=False)
    assert machine.books["credit"]["first"] == 14


def test_a_lie_voids_the_submission(machine):
    machine.begin_at(2)
    assert machine.submit_round("operator", 1, 1, [5_000], lie=True)
    assert machine.challenge_leaf("third", 1, 1, 0, 0)
    assert machine.round_of(1, 1) is None
    check(machine)
    assert machine.submit_round("operator", 1, 1, [5_000], lie=False)
    check(machine)


@pytest.mark.slow
def test_the_books_are_right_whatever_happens(compiled_modules):
    accepted: Counter[str] = Counter()

    class Machine(Contract):
        modules = compiled_modules

        def teardown(self):
            accepted.update(self.accepted)
            super().teardown()

    few = settings(
        max_examples=40,
        stateful_step_count=25,
        derandomize=True,
        # Shrinking a story of chains takes minutes; the story as it was found is told in full.
        phases=(Phase.generate,),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=few)
    # A story in which nothing is ever accepted would prove nothing.
    wanted = {"assign_batch", "complete_batch", "submit_round", "challenge", "settle"}
    assert wanted <= set(accepted), f"never accepted: {sorted(wanted - set(accepted))}"
