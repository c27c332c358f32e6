"""The agent of a storage node."""

import asyncio
from collections.abc import Callable

from atlas.errors import AtlasError
from chain_bridge.errors import ChainError, ChainUnreachable
from chain_bridge.ledger import Ledger
from node_agent.chain.heartbeat import persist, repeat
from node_agent.presence.beats import beat_on_bus, beat_on_chain
from node_agent.storage.keeper import Keeper
from node_agent.wire.bus import Bus
from node_agent.wire.messages import Heartbeat


class StorageAgent:
    """One running storage node. It takes no tasks."""

    def __init__(self, ledger: Ledger, bus: Bus, heartbeat: Heartbeat, keeper: Keeper) -> None:
        self._ledger, self._bus, self._heartbeat, self._keeper = ledger, bus, heartbeat, keeper

    async def serve(self, chain_seconds: float, bus_seconds: float, on_ready: Callable[[], None]) -> None:
        """Run until cancelled. Announcements on chain stay: the node still holds these contents."""
        await persist(self._beat_on_chain, ChainUnreachable, chain_seconds)
        on_ready()
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(repeat(self._beat_on_chain, chain_seconds, ChainError))
                loops.create_task(repeat(self._look, chain_seconds, AtlasError))
                loops.create_task(repeat(self._beat_on_bus, bus_seconds, AtlasError))
        finally:
            self._keeper.end()

    async def _beat_on_chain(self) -> None:
        await asyncio.to_thread(beat_on_chain, self._ledger)

    async def _look(self) -> None:
        await asyncio.to_thread(self._keeper.look)

    async def _beat_on_bus(self) -> None:
        await beat_on_bus(self._bus, self._heartbeat)
