"""The network that a command works on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from atlas.home import AtlasHome
from resources.local_network import ensure_local_network
from resources.settings import Addresses, explicit_network


@contextmanager
def using_network(home: AtlasHome, agents: int = 2, threads: int = 1) -> Iterator[Addresses]:
    """The network that `$ATLAS_NETWORK` describes, or else the local one, which is kept running meanwhile."""
    explicit = explicit_network(os.environ)
    if explicit is not None:
        yield explicit
        return
    with ensure_local_network(home, agents, threads) as network:
        yield network
