"""Dagster's face of the chain."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field, PrivateAttr

from chain_bridge.ledger import Ledger
from resources.fleet import FleetResource


class LedgerResource(dg.ConfigurableResource["LedgerResource"]):
    """The contract, by the operator's key; connected on first use."""

    fleet: dg.ResourceDependency[FleetResource]
    timeout_seconds: float = Field(default=15.0, gt=0, description="How long one call may take.")

    _client: Ledger | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LedgerResource"]:
        """Close the connection when the run ends."""
        try:
            yield self
        finally:
            if self._client is not None:
                self._client.close()
                self._client = None

    @property
    def client(self) -> Ledger:
        """The typed client."""
        if self._client is None:
            self._client = Ledger(self.fleet.addresses.network, self.fleet.key, self.timeout_seconds)
        return self._client
