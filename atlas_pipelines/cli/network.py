"""The network that a command works on."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from assets.launch.order import find_spec
from atlas.counts import counted
from atlas.home import AtlasHome
from atlas.terminal.console import WordConsole
from resources.errors import CoordinatorError
from resources.local.ipfs import local_ipfs
from resources.local.network import ensure_local_network, running_network
from resources.local.network_watch import NetworkWatch
from resources.local.node_file import read_node_file
from resources.settings import NETWORK_VARIABLE, Addresses, explicit_network

AGENTS = 2
Chain = Annotated[
    str | None,
    typer.Option(
        "--chain",
        help="A network to use instead of the embedded chain, after `atlas chain deploy --network NAME`: local, "
        "osmosis, dorado, neutron, or a name in $ATLAS_HOME/networks.yaml.",
        show_default="embedded",
    ),
]
Agents = Annotated[
    int | None,
    typer.Option(
        min=1, help="Local agents, when the network is started now; --nodes has their number.", show_default=str(AGENTS)
    ),
]
Ipfs = Annotated[
    list[str] | None,
    typer.Option(
        help="RPC address of a Kubo node that content is kept on, such as http://127.0.0.1:5001; may be repeated: "
        "the first is the coordinator's, the others the local agents' in turn.",
        show_default="a folder",
    ),
]
Replicas = Annotated[int, typer.Option(min=1, help="To how many nodes of --ipfs each content is put.")]
Nodes = Annotated[
    Path | None,
    typer.Option(help="YAML list with one mapping of node settings per local agent.", show_default=False),
]


def need_a_network(home: AtlasHome) -> None:
    """Raise `CoordinatorError` if no network was ever started, because a read-only command must not create one."""
    if not has_network(home):
        raise CoordinatorError(
            f"No network was started in {home.root} yet, so there is nothing to show. `atlas up` or `atlas run` starts "
            "one."
        )


def has_network(home: AtlasHome) -> bool:
    """Whether a network exists: that of `$ATLAS_NETWORK`, a running one, or one whose chain is on disk."""
    return (
        explicit_network(os.environ) is not None
        or running_network(home) is not None
        or (home.chain / "chain.db").exists()
    )


def using_network(
    home: AtlasHome,
    agents: int | None = None,
    threads: int = 1,
    chain: str | None = None,
    ipfs: Sequence[str] | None = None,
    replicas: int = 1,
    nodes: Path | None = None,
    watch: NetworkWatch | None = None,
) -> AbstractContextManager[Addresses]:
    """The network that `$ATLAS_NETWORK` describes, or else the local one, which is kept running inside the block.

    `chain` (the name of a network), `ipfs` (addresses of Kubo nodes) and `nodes` (a file of agents' settings) apply
    to the local network only; raises `CoordinatorError` if one of them is given and the variable is set. `SpecError`
    names an invalid value. Nothing is started before the context is entered. `watch` observes the local network;
    without one, the start of each process is printed on stderr.
    """
    explicit = explicit_network(os.environ)
    asked = [name for name, value in (("--chain", chain), ("--ipfs", ipfs), ("--nodes", nodes)) if value]
    if explicit is not None and asked:
        verb = "describe" if len(asked) > 1 else "describes"
        raise CoordinatorError(
            f"${NETWORK_VARIABLE} describes a network, and {' and '.join(asked)} {verb} another. Keep one of them."
        )
    if explicit is not None:
        return nullcontext(explicit)
    places = local_ipfs(list(ipfs or ()), replicas)
    given = read_node_file(find_spec(str(nodes))) if nodes else None
    if given is not None and agents not in (None, len(given.settings)):
        raise CoordinatorError(
            f"{given.path} has settings of {counted(len(given.settings), 'agent')}, and --agents is {agents}. Leave "
            "--agents out."
        )
    count = len(given.settings) if given else agents or AGENTS
    say = WordConsole(stderr=True).print
    watch = watch or NetworkWatch(say, say)
    return ensure_local_network(home, count, threads, chain=chain, ipfs=places, nodes=given, watch=watch)
