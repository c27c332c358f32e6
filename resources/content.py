"""Dagster's face of the content store."""

import dagster as dg
from pydantic import PrivateAttr

from atlas.content.local import LocalStore
from atlas.content.store import ContentStore
from resources.fleet import FleetResource


class ContentResource(dg.ConfigurableResource["ContentResource"]):
    """Bytes by their CID, in the folder that the coordinator and its nodes share."""

    fleet: dg.ResourceDependency[FleetResource]

    _store: LocalStore | None = PrivateAttr(default=None)

    @property
    def store(self) -> ContentStore:
        """The store; every read is verified."""
        if self._store is None:
            self._store = LocalStore(self.fleet.addresses.content)
        return self._store
