"""Content over one Kubo node, with copies in a folder of one's own."""

from atlas.content.kubo.node import KuboNode
from atlas.content.local.store import LocalStore
from atlas.content.places.fallback import FallbackStore


class KuboStore(FallbackStore):
    """The store over several places, with one place: puts go to `local` and `node`, reads come from either.

    The node may find in its swarm what it does not hold.
    """

    def __init__(self, local: LocalStore, node: KuboNode) -> None:
        super().__init__(local, [node], [], replicas=1)
