"""The network that a command works on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from atlas.home import AtlasHome
from resources.errors import CoordinatorError
from resources.local_network import ensure_local_network
from resources.settings import NETWORK_VARIABLE, Addresses, explicit_network

Chain = Annotated[
    str | None,
    typer.Option(
        "--chain",
        help="A network to use instead of the embedded chain, after `atlas chain deploy --network NAME`: local, "
        "osmosis, dorado, neutron, or a name in $ATLAS_HOME/networks.yaml.",
        show_default="embedded",
    ),
]


@contextmanager
def using_network(home: AtlasHome, agents: int = 2, threads: int = 1, chain: str | None = None) -> Iterator[Addresses]:
    """The network that `$ATLAS_NETWORK` describes, or else the local one, which is kept running meanwhile.

    With `chain`, the name of a network, it is the local one on that chain; raises `CoordinatorError` when the variable
    names a network, too.
    """
    explicit = explicit_network(os.environ)
    if explicit is not None and chain is not None:
        raise CoordinatorError(f"${NETWORK_VARIABLE} describes a network, and --chain names another. Keep one of them.")
    if explicit is not None:
        yield explicit
        return
    with ensure_local_network(home, agents, threads, chain=chain) as network:
        yield network
