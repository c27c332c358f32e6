"""The chain as a Dagster resource."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field, PrivateAttr

from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from resources.coordinator import CoordinatorResource
from resources.operator_ledger import open_ledger
from resources.rounds.settle import settle_due_of

log = logging.getLogger(__name__)


class LedgerResource(dg.ConfigurableResource["LedgerResource"]):
    """The contract, by the operator's key; connected on first use."""

    coordinator: dg.ResourceDependency[CoordinatorResource]
    timeout_seconds: float = Field(default=15.0, gt=0, description="Seconds that one call may take.")

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
        """The typed client.

        Opening it sends the transactions that wait in the outbox, and settles the rounds that are due.
        """
        if self._client is None:
            network, key = self.coordinator.addresses.network, self.coordinator.key
            self._client = open_ledger(self.coordinator.home, network, key, self.timeout_seconds)
            self._settle_what_is_due(self._client)
        return self._client

    def _settle_what_is_due(self, ledger: Ledger) -> None:
        """Credit the nodes of earlier rounds whose challenge window has passed."""
        try:
            settle_due_of(self.coordinator.registry, ledger, time.time())
        except ChainUnreachable as error:
            log.warning("could not settle the rounds that are due, they are settled later: %s", error)
