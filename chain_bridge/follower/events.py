"""Interpret the contract's events: which entities of a copy of its state to read again, and which payouts happened.

Pure functions: the result does not depend on how the events are split into pages.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from atlas.ids import JobId, NodeId

_COIN = re.compile(r"^(\d+)(\D.*)$")
_WITHDRAWALS = ("withdraw", "withdraw_for")
# Actions that change nodes which their events do not name.
_MANY_NODES = frozenset(
    {
        "assign_batch",
        "reassign_batch",
        "complete_batch",
        "release_batch",
        "expire_leases",
        "heartbeat_batch",
        "resolve_challenge",
        "settle",
    }
)


@dataclass(frozen=True)
class ContractEvent:
    """One event of a transaction that succeeded; `index` is its place among the transaction's events."""

    transaction: str
    index: int
    height: int
    type: str
    attributes: dict[str, str] = field(hash=False)

    @property
    def key(self) -> tuple[str, int]:
        """The event's unique key on the chain."""
        return self.transaction, self.index


@dataclass(frozen=True)
class PaidCredit:
    """Credit that a node's owner earned, or coins that an address withdrew."""

    transaction: str
    index: int
    height: int
    kind: Literal["credit", "withdrawal"]
    address: str
    amount: int
    node: NodeId | None = None
    job: JobId | None = None
    round: int | None = None


@dataclass(frozen=True)
class Touched:
    """The entities that may have changed, by id; a model's name covers all its versions."""

    nodes: frozenset[NodeId] = frozenset()
    all_nodes: bool = False
    jobs: frozenset[JobId] = frozenset()
    rounds: frozenset[tuple[JobId, int]] = frozenset()
    models: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WatchedContract:
    """The contract's address, and the denomination that it pays in."""

    address: str
    denom: str


def touched_by(events: Iterable[ContractEvent]) -> Touched:
    """The entities that the contract's events name."""
    nodes: set[NodeId] = set()
    jobs: set[JobId] = set()
    rounds: set[tuple[JobId, int]] = set()
    models: set[str] = set()
    all_nodes = False
    for event in events:
        if event.type != "wasm" and not event.type.startswith("wasm-"):
            continue
        found = event.attributes
        all_nodes |= found.get("action") in _MANY_NODES
        if "node_id" in found:
            nodes.add(NodeId(int(found["node_id"])))
        if "job_id" in found:
            job = JobId(int(found["job_id"]))
            jobs.add(job)
            if "round" in found:
                rounds.add((job, int(found["round"])))
        if "name" in found and "version" in found:
            models.add(found["name"])
    return Touched(frozenset(nodes), all_nodes, frozenset(jobs), frozenset(rounds), frozenset(models))


def payouts_in(events: Iterable[ContractEvent], contract: WatchedContract) -> list[PaidCredit]:
    """The payouts in complete transactions, whose events are in order.

    Credit comes from the contract's `credit` events. A withdrawal is a bank transfer that follows the contract's
    `withdraw` or `withdraw_for` event; one such event may be followed by transfers to several addresses.
    """
    found: list[PaidCredit] = []
    transaction = action = ""
    for event in events:
        if event.transaction != transaction:
            transaction, action = event.transaction, ""
        if event.type == "wasm":
            action = event.attributes.get("action", "")
        elif event.type == "wasm-credit":
            found.append(_credit(event))
        elif event.type == "transfer" and action in _WITHDRAWALS and is_of(event, contract):
            found.append(_withdrawal(event, contract.denom))
    return found


def is_of(event: ContractEvent, contract: WatchedContract) -> bool:
    """Whether an event is the contract's own, or a transfer out of it."""
    of = event.attributes.get("sender") if event.type == "transfer" else event.attributes.get("_contract_address")
    return of == contract.address


def _credit(event: ContractEvent) -> PaidCredit:
    found = event.attributes
    return PaidCredit(
        transaction=event.transaction,
        index=event.index,
        height=event.height,
        kind="credit",
        address=found["owner"],
        amount=int(found["amount"]),
        node=NodeId(int(found["node_id"])),
        job=JobId(int(found["job_id"])),
        round=int(found["round"]),
    )


def _withdrawal(event: ContractEvent, denom: str) -> PaidCredit:
    coins = [_COIN.match(coin) for coin in event.attributes.get("amount", "").split(",")]
    amount = sum(int(coin[1]) for coin in coins if coin is not None and coin[2] == denom)
    return PaidCredit(event.transaction, event.index, event.height, "withdrawal", event.attributes["recipient"], amount)
