"""Open the content that jobs refer to; no network needs to run."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from atlas.content.local.store import LocalStore
from atlas.content.places.open import Content, IpfsPlaces, open_kept_store
from atlas.content.store import KeptStore
from atlas.home import AtlasHome
from resources.local.ipfs import local_ipfs
from resources.local.network import running_network
from resources.local.network_file import LocalNetwork
from resources.settings import Addresses, explicit_network

Ipfs = Annotated[
    list[str] | None,
    typer.Option(
        help="RPC address of a Kubo node that holds content beside $ATLAS_HOME, such as http://127.0.0.1:5001; may be "
        "repeated. By default the content of $ATLAS_NETWORK, or of the local network that runs, or the folder alone.",
        show_default=False,
    ),
]
Replicas = Annotated[int, typer.Option("--replicas", min=1, help="How many nodes of --ipfs should hold each content.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_content(home: AtlasHome, ipfs: Sequence[str] | None = None, replicas: int = 1) -> KeptStore:
    """The coordinator's content store: the given IPFS nodes, or the store of `$ATLAS_NETWORK` or the running network.

    Without any of these, it is the folder in `$ATLAS_HOME`, which has a copy of all content that the coordinator
    used. Raises `SpecError` if an address is not that of a node.
    """
    return open_kept_store(_content(home, ipfs, replicas), home.content)


def open_own_copies(home: AtlasHome) -> LocalStore:
    """The folder on this machine that stores the coordinator's content, or a copy of it."""
    content = _content(home, None, 1)
    return LocalStore(content if isinstance(content, Path) else home.content)


def known_network(home: AtlasHome) -> Addresses | None:
    """The network of `$ATLAS_NETWORK`, or the local network that runs."""
    return explicit_network(os.environ) or running_network(home)


def describe_content(addresses: Addresses, own: Path) -> str:
    """A readable description of a network's content store; `own` is the folder of the coordinator's copies."""
    content = addresses.content
    if isinstance(content, Path):
        return str(content)
    parts = ["IPFS at " + ", ".join(content.nodes)]
    if isinstance(addresses, LocalNetwork) and addresses.ipfs is not None and len(addresses.ipfs.nodes) > 1:
        parts.append("for agents " + ", ".join(addresses.ipfs.nodes[1:]))
    if content.gateways:
        parts.append("gateways " + ", ".join(content.gateways))
    return f"{'; '.join(parts)}   (copies in {own})"


def _content(home: AtlasHome, ipfs: Sequence[str] | None, replicas: int) -> Content:
    asked = local_ipfs(list(ipfs or ()), replicas)
    if asked is not None:
        return IpfsPlaces(nodes=asked.nodes, replicas=replicas)
    known = known_network(home)
    return known.content if known else home.content
