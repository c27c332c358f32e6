"""One round as the contract has it. Blocking: call it from a thread."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from atlas.content.store import ContentStore, get_document
from atlas.errors import ContentError, SpecError
from atlas.spec import TaskSpec
from chain_bridge.errors import ContractRefused
from chain_bridge.ledger import Ledger
from chain_bridge.messages import Assignment, ContractConfig, Lease, Node, SlotAttempt
from resources.jobs import RoundRef
from resources.scheduling import eligible_nodes

Item = TypeVar("Item", Assignment, SlotAttempt)
Refused = dict[int, str]
"""Slot -> the contract's reason."""


class RoundOnChain:
    """Reads and writes the leases of one round."""

    def __init__(self, ledger: Ledger, store: ContentStore, ref: RoundRef) -> None:
        self._ledger = ledger
        self._store = store
        self._ref = ref
        self._tasks: dict[str, TaskSpec | None] = {}
        self._addresses: dict[int, str] = {}
        self._config: ContractConfig | None = None

    def leases(self) -> dict[int, tuple[Lease, TaskSpec | None]]:
        """The newest lease of each slot that ever had one, with its TaskSpec, or None where that is unreadable."""
        return {
            lease.slot: (lease, self._task(lease.task))
            for lease in self._ledger.leases(self._ref.job_id, self._ref.round)
        }

    def submitted(self) -> bool:
        """Whether the round's outcome is on chain, so that nothing more can be assigned."""
        return self._ledger.round(self._ref.job_id, self._ref.round) is not None

    def nodes_fit_for_work(self, now: float) -> list[Node]:
        """The nodes that the contract would give work to, with or without room at this moment."""
        return eligible_nodes(self._ledger.nodes(), now, self._settings().heartbeat_seconds)

    def address(self, node: int) -> str:
        """The account that owns a node, and so signs for it."""
        if node not in self._addresses:
            self._addresses[node] = self._ledger.node(node).owner
        return self._addresses[node]

    def assign(self, items: Sequence[Assignment]) -> Refused:
        """Lease slots; a refused item does not keep the others from their leases."""
        return self._write(self._ledger.assign_batch, items)

    def complete(self, items: Sequence[SlotAttempt]) -> Refused:
        """Record that results are in, which is what a node is paid for."""
        return self._write(self._ledger.complete_batch, items)

    def release(self, items: Sequence[SlotAttempt]) -> Refused:
        """End leases that lead nowhere."""
        return self._write(self._ledger.release_batch, items)

    def _write(self, message: Callable[[int, int, list[Item]], Any], items: Sequence[Item]) -> Refused:
        """The contract takes a batch whole or not at all; what it refuses is sent again item by item."""
        refused: Refused = {}
        for chunk in chunks(items, self._settings().max_batch):
            try:
                message(self._ref.job_id, self._ref.round, list(chunk))
            except ContractRefused as refusal:
                if len(chunk) == 1:
                    refused[chunk[0].slot] = refusal.reason
                    continue
                for item in chunk:
                    refused.update(self._write(message, [item]))
        return refused

    def _settings(self) -> ContractConfig:
        if self._config is None:
            self._config = self._ledger.config()
        return self._config

    def _task(self, cid: str) -> TaskSpec | None:
        if cid not in self._tasks:
            try:
                self._tasks[cid] = get_document(self._store, cid, TaskSpec)
            except (ContentError, SpecError):
                self._tasks[cid] = None  # not ours, or of another home: no work of this run
        return self._tasks[cid]


def chunks(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into pieces of at most so many items."""
    for start in range(0, len(items), most):
        yield items[start : start + most]
