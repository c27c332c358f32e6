"""The content store as a Dagster resource."""

import dagster as dg
from pydantic import PrivateAttr

from atlas.content.places.open import IpfsPlaces, open_kept_store
from atlas.content.store import KeptStore
from atlas.ids import Cid
from resources.coordinator import CoordinatorResource


class ContentResource(dg.ConfigurableResource["ContentResource"]):
    """Bytes by their CID, in the folder that the coordinator and its nodes share, or over IPFS."""

    coordinator: dg.ResourceDependency[CoordinatorResource]

    _store: KeptStore | None = PrivateAttr(default=None)

    @property
    def store(self) -> KeptStore:
        """The store; every read is verified."""
        if self._store is None:
            self._store = open_kept_store(self.coordinator.addresses.content, self.coordinator.home.content)
        return self._store

    def link(self, cid: Cid) -> dg.MetadataValue:
        """The address at which people can view the content of a CID.

        A URL at the content server of `atlas up` or at the first gateway, or else a path on this machine.
        """
        from resources.content_server import running_content_server  # imports http.server, which is slow

        server = running_content_server(self.coordinator.home)
        if server is not None:
            return dg.MetadataValue.url(f"{server}/{cid}")
        content = self.coordinator.addresses.content
        if isinstance(content, IpfsPlaces) and content.gateways:
            return dg.MetadataValue.url(f"{content.gateways[0].rstrip('/')}/ipfs/{cid}")
        folder = self.coordinator.home.content if isinstance(content, IpfsPlaces) else content
        return dg.MetadataValue.path(str(folder / cid[-2:] / cid))
