"""One round's state on chain. Blocking: call it from a thread."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

from atlas.content.store import ContentStore
from atlas.documents.stored import put_document
from atlas.ids import NodeId
from atlas.spec.task_plan import TaskPlan
from chain_bridge.client.messages import Assignment, ContractConfig, Lease, Node, SlotAttempt
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from resources.dispatch.leased_tasks import LeasedTask, PlanReader
from resources.dispatch.scheduling import able_nodes, eligible_nodes
from resources.dispatch.work import Held
from resources.jobs.registry import RoundRef
from resources.nodes.node_manifests import NodeManifests

Item = TypeVar("Item", Assignment, SlotAttempt)
Piece = TypeVar("Piece")
Refused = dict[int, str]
"""Slot -> the contract's reason."""


class AvailableNodes(NamedTuple):
    """The nodes that would work for a job, and those whose price is above its `reward` per task."""

    nodes: list[Node]
    too_expensive: list[Node]
    reward: int

    def why_none(self, only: str | None) -> str:
        """Why no node can take a task. With `only`, the task's data is on the node of that address alone."""
        if expensive := [str(node.id) for node in able_nodes(self.too_expensive, only)]:
            return f"the job pays {self.reward} per task, which is less than the price of node {', '.join(expensive)}"
        if able_nodes(self.nodes, only):
            return "all available nodes are revoked in the key ring of the job's data"
        if only is None:
            return "no node is available"
        return f"the node of {only}, the only one with the data, is not available"


class RoundOnChain:
    """Reads and writes the leases of one round."""

    def __init__(self, ledger: Ledger, store: ContentStore, ref: RoundRef) -> None:
        self._ledger = ledger
        self._store = store
        self._ref = ref
        self._plans = PlanReader(ref, store)
        self._manifests = NodeManifests(store)
        self._addresses: dict[int, str] = {}
        self._config: ContractConfig | None = None
        self._reward: int | None = None

    def leases(self) -> dict[int, tuple[Lease, LeasedTask | None]]:
        """The newest lease of each slot that ever had one, with its task; None for a task that is unreadable."""
        return {
            lease.slot: (lease, self._plans.task(lease))
            for lease in self._ledger.leases(self._ref.job_id, self._ref.round)
        }

    def over(self) -> str | None:
        """Why nothing more can be assigned in this round; None if it still can."""
        if self._ledger.round(self._ref.job_id, self._ref.round) is not None:
            return f"round {self._ref.round} is submitted on chain, so nothing more can be assigned"
        state = self._ledger.job(self._ref.job_id).state
        return (
            None if state == "open" else f"job {self._ref.job_id} is {state} on chain, so nothing more can be assigned"
        )

    def available_nodes(self, now: float) -> AvailableNodes:
        """The nodes that the contract accepts for work, by their price; nodes without room are included."""
        found = AvailableNodes([], [], self._reward_per_task())
        eligible = eligible_nodes(self._ledger.nodes(), now, self._settings().heartbeat_seconds)
        self._manifests.read(node.manifest for node in eligible)
        for node in eligible:
            (found.nodes if self._manifests.price(node.manifest) <= found.reward else found.too_expensive).append(node)
        return found

    def address(self, node: NodeId) -> str:
        """The account that owns a node, and so signs for it."""
        if node not in self._addresses:
            self._addresses[node] = self._ledger.node(node).owner
        return self._addresses[node]

    def assign(self, held: Iterable[Held]) -> Refused:
        """Lease slots, with one plan of tasks per batch; a refused item does not block the others.

        Slots are batched in order: neighbouring slots share a record on chain, so such a batch costs the least gas.
        """
        refused: Refused = {}
        for batch in self._batches(held, lambda one: one.task.slot):
            plan = put_document(self._store, TaskPlan.over([one.task for one in batch]))
            items = [Assignment(one.task.slot, one.node_id, one.task.attempt) for one in batch]
            refused |= self._send(partial(self._ledger.assign_batch, plan=plan), items)
        return refused

    def complete(self, items: Iterable[SlotAttempt]) -> Refused:
        """Mark attempts as completed on chain, which is what a node is paid for."""
        return self._send_batches(self._ledger.complete_batch, items)

    def release(self, items: Iterable[SlotAttempt]) -> Refused:
        """Release leases whose attempts can give no result."""
        return self._send_batches(self._ledger.release_batch, items)

    def _send_batches(self, message: Callable[..., Any], items: Iterable[SlotAttempt]) -> Refused:
        refused: Refused = {}
        for batch in self._batches(items, lambda item: item.slot):
            refused |= self._send(message, batch)
        return refused

    def _batches(self, items: Iterable[Piece], slot: Callable[[Piece], int]) -> Iterator[list[Piece]]:
        """Batches that the contract accepts in one message, by slot."""
        ordered, most = sorted(items, key=slot), self._settings().max_batch
        for start in range(0, len(ordered), most):
            yield ordered[start : start + most]

    def _send(self, message: Callable[..., Any], items: list[Item]) -> Refused:
        """Send a batch, which the contract accepts as a whole or not at all; send a refused batch again in halves."""
        try:
            message(job=self._ref.job_id, round=self._ref.round, items=items)
        except ContractRefused as refusal:
            if len(items) == 1:
                return {items[0].slot: refusal.reason}
            middle = len(items) // 2
            return self._send(message, items[:middle]) | self._send(message, items[middle:])
        return {}

    def _reward_per_task(self) -> int:
        """The job's reward per task, in micro-units; it never changes."""
        if self._reward is None:
            self._reward = self._ledger.job(self._ref.job_id).reward
        return self._reward

    def _settings(self) -> ContractConfig:
        if self._config is None:
            self._config = self._ledger.config()
        return self._config
