"""A state machine of hypothesis around the real contract on an embedded chain: what must hold after every message."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.support.chain.contract_driver import ContractDriver

NAMES = ("operator", "first", "second", "third")
GENESIS = 100_000
BOND, MIN_STAKE, HEARTBEAT, CHALLENGE, DISPUTE, UNBONDING, ABANDON, LEASE = 5, 10, 60, 100, 400, 600, 200, 50
SLASH_BPS = 2500
CONFIG = {
    "denom": "uatl",
    "min_stake": str(MIN_STAKE),
    "heartbeat_seconds": HEARTBEAT,
    "challenge_seconds": CHALLENGE,
    "challenge_bond": str(BOND),
    "dispute_seconds": DISPUTE,
    "unbonding_seconds": UNBONDING,
    "jail_seconds": 30,
    "abandon_seconds": ABANDON,
    "slash_bps": SLASH_BPS,
    "max_batch": 20,
}


class ContractBooks(RuleBasedStateMachine):
    """Everybody may send anything; what is accepted must leave the books right."""

    modules: Path

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.home = Path(tempfile.mkdtemp())
        self.driver = ContractDriver(self.home, self.modules, lambda: self.now, NAMES, GENESIS, **CONFIG)
        self.accepted: Counter[str] = Counter()
        self.settled: dict[tuple[int, int], dict] = {}
        self.leaves: dict[tuple[int, int], list[bytes]] = {}
        self.claimed: Counter[tuple[int, int, int]] = Counter()
        self.keys = 0
        self.books = self.before = self.read()

    def teardown(self) -> None:
        self.driver.close()
        shutil.rmtree(self.home)

    def send(self, sender: str, funds: int = 0, **message: dict) -> bool:
        """Whether it was accepted. A refusal leaves everything as it was, and is the contract's own, not a trap."""
        self.before = self.books
        answer = self.driver.execute(sender, json.dumps(message).encode(), funds)
        name = next(iter(message))
        if answer.code:
            assert self.read() == self.before, f"the refused {name} left a trace"
            assert "Error executing Wasm" not in answer.raw_log
            return False
        self.accepted[name] += 1
        self.books = self.read()
        return True

    # What queries tell.

    def read(self) -> dict:
        ask, driver = self.driver.ask, self.driver
        jobs = ask(jobs={"limit": 100})
        rounds = [(job["id"], number) for job in jobs for number in range(1, job["rounds"] + 1)]
        place = [{"job": job, "round": number, "limit": 100} for job, number in rounds]
        return {
            "totals": ask(totals={}),
            "nodes": {node["id"]: node for node in ask(nodes={"limit": 100})},
            "jobs": {job["id"]: job for job in jobs},
            "leases": {
                (found["job"], found["round"], found["slot"]): {key: found[key] for key in found if key != "live"}
                for at in place
                for found in ask(leases=at)
            },
            "rounds": {
                (job["id"], found["round"]): found
                for job in jobs
                for found in ask(rounds={"job": job["id"], "limit": 100})
            },
            "challenges": [found for at in place for found in ask(challenges=at)],
            "credit": {name: int(ask(credit={"address": driver.address(name)})) for name in NAMES},
            "balance": {name: driver.balance(driver.address(name)) for name in NAMES},
            "bank": driver.balance(driver.contract),
        }

    def round_of(self, job: int, number: int) -> dict | None:
        return self.driver.ask(round={"job": job, "round": number})

    def leases_of(self, job: int, number: int) -> dict[int, dict]:
        if job > len(self.driver.ask(jobs={})):
            return {}
        found = self.driver.ask(leases={"job": job, "round": number, "limit": 100})
        return {lease["slot"]: lease for lease in found}

    # What must hold after all of it.

    @invariant()
    def no_coin_appears_or_vanishes(self) -> None:
        books = self.books
        totals = {name: int(amount) for name, amount in books["totals"].items()}
        assert books["bank"] == sum(totals[pot] for pot in ("escrow", "stake", "credit", "treasury"))
        assert sum(books["balance"].values()) + books["bank"] == len(NAMES) * GENESIS
        in_jobs = sum(
            money(job, "deposited") - money(job, "paid") - money(job, "refunded") for job in books["jobs"].values()
        )
        assert totals["escrow"] == in_jobs
        stakes = sum(
            int(node["stake"]) + sum(int(part["amount"]) for part in node["unbonding"])
            for node in books["nodes"].values()
        )
        bonds = sum(int(found["bond"]) for found in books["challenges"] if found["state"] == "open")
        assert totals["stake"] == stakes + bonds
        assert totals["credit"] == sum(books["credit"].values())

    @invariant()
    def every_job_balances(self) -> None:
        books = self.books
        for job in books["jobs"].values():
            leases = [lease for (of, _, _), lease in books["leases"].items() if of == job["id"]]
            unsettled = [lease for lease in leases if (job["id"], lease["round"]) not in self.settled]
            tasks = sum(lease["state"] == "active" for lease in leases)
            tasks += sum(lease["state"] == "completed" for lease in unsettled)
            claims = sum(count for (of, _, _), count in self.claimed.items() if of == job["id"])
            assert money(job, "reserved") == 7 * (tasks - claims)
            pay = [due(found) for (of, _), found in self.settled.items() if of == job["id"]]
            assert money(job, "paid") == 7 * claims + sum(sum(amounts.values()) for amounts in pay)
            spent = money(job, "reserved") + money(job, "paid") + money(job, "refunded")
            assert spent <= money(job, "deposited")

    @invariant()
    def every_place_is_given_once(self) -> None:
        books = self.books
        active = Counter(lease["node"] for lease in books["leases"].values() if lease["state"] == "active")
        for node in books["nodes"].values():
            assert node["used"] == active[node["id"]]
            assert 0 <= node["reputation"] <= 1000
            assert node["reputation"] > 0 or node["status"] != "active"
            held = self.driver.ask(leases_of_node={"node": node["id"], "limit": 100})
            assert len(held) == node["used"]
        for key, lease in self.before["leases"].items():
            now = books["leases"][key]
            assert now["attempt"] in (lease["attempt"], lease["attempt"] + 1)
            assert (now["node"], now["attempt"]) == (lease["node"], lease["attempt"]) or now["attempt"] > lease[
                "attempt"
            ]
            assert lease["state"] != "completed" or now["state"] == "completed"

    @invariant()
    def what_is_settled_stays(self) -> None:
        rounds = self.books["rounds"]
        for key, before in self.settled.items():
            assert rounds[key]["settled_at"] is not None
            assert rounds[key]["per_node"] == before["per_node"]


def money(job: dict, pot: str) -> int:
    return int(job[pot])


def due(found: dict) -> dict[int, int]:
    """What the nodes of a round get: largest remainder, ties to the lower id, less the struck tasks."""
    pool = 7 * found["leaf_count"]
    exact = {share["node"]: pool * share["bps"] for share in found["per_node"]}
    amounts = {node: amount // 10_000 for node, amount in exact.items()}
    by_remainder = sorted(exact, key=lambda node: (-(exact[node] % 10_000), node))
    for node in by_remainder[: pool - sum(amounts.values())]:
        amounts[node] += 1
    counts = {share["node"]: share["count"] for share in found["per_node"]}
    struck = dict(found["struck"])
    return {node: amounts[node] * (counts[node] - struck.get(node, 0)) // counts[node] for node in amounts}
