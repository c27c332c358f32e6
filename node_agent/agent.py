"""The node agent: accepts tasks, checks them against the chain, and stops cleanly."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import stamina

from atlas.counts import counted
from atlas.disk.files import is_disk_full
from atlas.errors import AtlasError
from atlas.ids import Cid
from chain_bridge.client.messages import Lease
from chain_bridge.errors import ChainError, ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.chain.assignment import check_assignment, unannounced_hint
from node_agent.chain.heartbeat import persist, repeat
from node_agent.errors import BusUnreachable, NodeError, TaskRefused
from node_agent.home.journal import JournalEntry
from node_agent.node_context import NodeContext
from node_agent.presence.beats import beat_on_bus, beat_on_chain
from node_agent.tasks.leases import UnannouncedLeases, held, place_of, release
from node_agent.tasks.workbench import Workbench
from node_agent.wire import subjects
from node_agent.wire.bus import Message
from node_agent.wire.messages import AssignHint, Heartbeat, LeaseRef

log = logging.getLogger(__name__)
LAST_SECONDS = 5.0


class Agent:
    """One running node. All of it runs in one event loop; blocking calls run in threads."""

    def __init__(
        self, context: NodeContext, ledger: Ledger, heartbeat: Heartbeat, capacity: int, slot_gpus: Sequence[str | None]
    ) -> None:
        """`heartbeat` is the node's message on the bus, without its running tasks."""
        self._shop = context
        self._ledger = ledger
        self._heartbeat = heartbeat
        self._capacity = capacity
        self._bench = Workbench(context, slot_gpus, self._give_back_one)
        self._unannounced = UnannouncedLeases()
        self._to_release: list[LeaseRef] = []
        self._stopping = False
        self._logged_full = False

    async def serve(self, chain_seconds: float, on_ready: Callable[[], None]) -> None:
        """Run until cancelled; then pause the running tasks and release their leases.

        Raises the error that ends it earlier.
        """
        self._bench.tidy()
        await persist(self._beat_on_chain, ChainUnreachable, chain_seconds)
        try:
            await persist(self._listen, BusUnreachable, self._shop.config.heartbeat_seconds)
            on_ready()
            async with asyncio.TaskGroup() as loops:
                loops.create_task(repeat(self._look, chain_seconds, ChainError))
                loops.create_task(repeat(self._beat_on_bus, self._shop.config.heartbeat_seconds, AtlasError))
        finally:
            await self._let_go()

    async def _listen(self) -> None:
        await self._shop.bus.subscribe(subjects.assign(self._heartbeat.node_id), self._on_hint)

    async def _on_hint(self, message: Message) -> dict[str, Any] | None:
        hint = message.read(AssignHint)
        known = self._bench.entry(hint.task)
        if known is not None:
            return known.report().to_body()
        try:
            lease = await self._check(hint, message.sender)
            entry = self._accept(hint, lease.plan)
        except TaskRefused as error:
            log.warning("task %s is refused: %s", hint.task_id, error)
            refused = JournalEntry(hint=hint, state="failed", error=str(error))
            if error.lease_is_ours:
                await self._give_back([hint.place])
            return refused.report().to_body()
        except ChainError as error:
            log.warning("no answer about task %s, because the chain does not answer: %s", hint.task_id, error)
            return None
        log.info("task %s is accepted", hint.task_id)
        return entry.report().to_body()

    async def _check(self, hint: AssignHint, sender: str) -> Lease:
        node_id, config = self._heartbeat.node_id, self._shop.config
        lease = await asyncio.to_thread(
            check_assignment, hint, sender, node_id, config.contract, self._ledger, self._shop.store, config.price
        )
        if self._stopping:
            raise TaskRefused(f"Node {node_id} is stopping.", lease_is_ours=True)
        if self._is_full:
            raise TaskRefused(
                f"Node {node_id} has {counted(self._capacity, 'task')} already, which is its capacity.", True
            )
        return lease

    @property
    def _is_full(self) -> bool:
        return len(self._shop.journal.unfinished()) >= self._capacity

    async def _look(self) -> None:
        """Send the heartbeat on chain. While the disk is full, keep retrying, and log it once."""
        try:
            await self._beat_on_chain()
        except NodeError as error:
            if not is_disk_full(error):
                raise
            if not self._logged_full:
                log.error("%s The node continues once there is free space.", error)
            self._logged_full = True
        else:
            self._logged_full = False

    async def _beat_on_chain(self) -> None:
        """Send the heartbeat on chain, check the node's leases, and withdraw its credit."""
        await asyncio.to_thread(beat_on_chain, self._ledger)
        # Listed before the chain is queried: a task accepted meanwhile must not be checked against an older answer.
        entries = self._shop.journal.unfinished()
        node_id, now = self._heartbeat.node_id, self._shop.clock()
        leases = await asyncio.to_thread(self._ledger.leases_of_node, node_id)
        self._bench.learn(held(entries, leases, node_id, now))
        await self._take_up(self._unannounced.look(entries, leases, now))
        leftover, self._to_release = self._to_release, []
        await self._give_back(leftover)
        if self._shop.config.auto_withdraw:
            await asyncio.to_thread(self._withdraw_credit)

    async def _take_up(self, leases: Iterable[Lease]) -> None:
        """Accept the tasks of leases that no hint announced; a task that has ended here waits for its coordinator."""
        config = self._shop.config
        for lease in leases:
            try:
                hint = await asyncio.to_thread(
                    unannounced_hint, lease, config.contract, self._ledger, self._shop.store, config.price
                )
                if self._bench.entry(hint.task) is None and not self._is_full and not self._stopping:
                    log.info("task %s is accepted from its lease on the chain; no hint arrived", hint.task_id)
                    self._accept(hint, lease.plan)
            except TaskRefused as error:
                log.warning("a lease is released: %s", error)
                await self._give_back([place_of(lease)])

    def _accept(self, hint: AssignHint, plan: Cid) -> JournalEntry:
        """Accept a task; raises `TaskRefused` if it cannot be written to the journal, so that another node gets it."""
        try:
            return self._bench.accept(hint, plan)
        except NodeError as error:
            raise TaskRefused(f"The task cannot be written to the journal: {error}", lease_is_ours=True) from error

    def _withdraw_credit(self) -> None:
        if self._ledger.credit(self._heartbeat.address) > 0:
            amount = self._ledger.withdraw().attribute("amount")
            log.info("withdrew %s %s", amount, self._shop.config.network.denom)

    async def _beat_on_bus(self) -> None:
        await beat_on_bus(self._shop.bus, self._heartbeat.model_copy(update={"running": self._bench.running}))

    async def _give_back_one(self, entry: JournalEntry) -> None:
        await self._give_back([entry.hint.place])

    async def _give_back(self, places: Iterable[LeaseRef]) -> None:
        """Release leases; those for which the chain does not answer are kept for the next heartbeat."""
        places = list(places)
        try:
            await asyncio.to_thread(release, self._ledger, places)
        except ChainUnreachable as error:
            log.warning("leases are released later, because the chain does not answer: %s", error)
            self._to_release += places
        except ChainError:
            log.exception("leases cannot be released; they will run out")

    async def _let_go(self) -> None:
        self._stopping = True
        leases = self._to_release + [entry.hint.place for entry in await self._bench.close()]
        retrying = stamina.AsyncRetryingCaller(attempts=3, timeout=LAST_SECONDS)
        try:
            await retrying(ChainUnreachable, asyncio.to_thread, release, self._ledger, leases)
        except ChainError as error:
            log.warning("leases were not released and will run out by themselves: %s", error)
