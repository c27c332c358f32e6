"""The fleet as a Dagster resource: the nodes, and the dispatcher that assigns tasks to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dagster as dg
from pydantic import Field

from atlas.content.store import ContentStore
from chain_bridge.ledger import Ledger
from resources.coordinator import CoordinatorResource
from resources.dispatch.dispatcher import Dispatcher, DispatchSettings
from resources.nodes.content_peers import connected_content


class FleetResource(dg.ConfigurableResource["FleetResource"]):
    """The nodes, which are reached over the coordinator's network."""

    coordinator: dg.ResourceDependency[CoordinatorResource]
    poll_seconds: float = Field(default=2.0, gt=0, description="Seconds between two polls of a node, and of the chain.")
    patience_seconds: float = Field(
        default=120.0, ge=0, description="Seconds that a task waits for an available node before it is given up."
    )

    @asynccontextmanager
    async def dispatcher(self, ledger: Ledger, store: ContentStore) -> AsyncIterator[Dispatcher]:
        """A dispatcher, connected to the bus for as long as it is used."""
        # Imported here: the NATS client loads slowly, and a run that dispatches nothing does not need it.
        from node_agent.wire.bus import Bus

        coordinator = self.coordinator
        settings = DispatchSettings(poll_seconds=self.poll_seconds, patience_seconds=self.patience_seconds)
        bus = await Bus.connect(coordinator.addresses.bus, coordinator.key)
        try:
            async with connected_content(coordinator.addresses, ledger, store):
                yield Dispatcher(ledger, bus, store, coordinator.registry, settings=settings, home=coordinator.home)
        finally:
            await bus.close()
