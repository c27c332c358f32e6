"""Open the content store that the settings name: a shared folder, or IPFS nodes and gateways."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from atlas.content.local.cached import CachedStore
from atlas.content.local.store import LocalStore
from atlas.content.store import ContentStore, KeptStore

if TYPE_CHECKING:
    from atlas.content.places.fallback import FallbackStore

Url = Annotated[str, Field(pattern=r"^https?://[^/@]+(/[^@]*)?$")]


class IpfsPlaces(BaseModel):
    """Content over IPFS: local copies in a folder, and the nodes and gateways that hold the other copies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: list[Url] = Field(min_length=1, description="RPC addresses of Kubo nodes, this machine's own first")
    gateways: list[Url] = Field(default_factory=list, description="trustless gateways to read from, http://HOST:PORT")
    peers: list[str] = Field(default_factory=list, description="multiaddresses of nodes to connect to")
    replicas: int = Field(default=1, gt=0, description="number of `nodes` that each put copies to")


Content = Path | IpfsPlaces
"""A folder that coordinator and nodes share, or IPFS."""


def open_kept_store(content: Content, own: Path) -> KeptStore:
    """The coordinator's store: the shared folder itself, or IPFS with copies in the folder `own`."""
    return _over_ipfs(content, own) if isinstance(content, IpfsPlaces) else LocalStore(content)


def open_cached_store(content: Content, own: Path) -> ContentStore:
    """A node's store: copies in the folder `own` of what the shared folder or IPFS holds."""
    if isinstance(content, IpfsPlaces):
        return _over_ipfs(content, own)
    return CachedStore(LocalStore(own), LocalStore(content))


def _over_ipfs(places: IpfsPlaces, own: Path) -> "FallbackStore":
    # Imported here because they import an HTTP client, which a store in a folder does not need.
    from atlas.content.kubo.node import KuboNode
    from atlas.content.places.fallback import FallbackStore
    from atlas.content.places.gateway import Gateway

    nodes = [KuboNode(url) for url in places.nodes]
    return FallbackStore(LocalStore(own), nodes, [Gateway(url) for url in places.gateways], places.replicas)
