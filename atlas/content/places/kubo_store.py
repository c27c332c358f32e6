"""Content over one Kubo node, with copies in a local folder."""

from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.fallback import FallbackStore


class KuboStore(FallbackStore):
    """A `FallbackStore` with a single node: puts go to `local` and `node`, reads come from either.

    The node may also find content in its swarm.
    """

    def __init__(self, local: LocalStore, node: KuboNode) -> None:
        super().__init__(local, [node], [], replicas=1)
