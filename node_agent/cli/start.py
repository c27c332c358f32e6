"""The commands that register a node and run it."""

import asyncio
import logging
import os
import sys

from stamina.instrumentation import set_on_retry_hooks

from atlas.terminal.json_output import print_json
from chain_bridge.client.messages import Node
from node_agent.chain.chain import node_key, open_ledger
from node_agent.chain.heartbeat import log_retry
from node_agent.cli.shared import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    console,
    node_home,
)
from node_agent.data.local_data import commit_to_data
from node_agent.home.config import load_config
from node_agent.presence.machine import probe_machine
from node_agent.presence.registration import ensure_registered, open_store
from node_agent.startup import run_node


def start(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Run the node until Ctrl-C or SIGTERM."""
    logging.basicConfig(
        level=os.environ.get("ATLAS_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    set_on_retry_hooks([log_retry])

    def on_ready(node: Node) -> None:
        if as_json:
            print_json({"node_id": node.id, "address": node.owner}, one_line=True)
        else:
            what = "keeps content" if node.kind == "storage" else "is ready for tasks"
            console.print(f"Node {node.id} ({node.owner}) {what}. Stop it with Ctrl-C.")

    asyncio.run(run_node(node_home(home), on_ready))


def register(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Register this node on chain, or update its registration, without running it."""
    folder = node_home(home)
    config = load_config(folder)
    key = node_key(folder, config)
    data = commit_to_data(folder, config, key.address)
    with open_ledger(folder, config, key) as ledger:
        node = ensure_registered(ledger, key, open_store(folder, config), probe_machine(config), data)
    if as_json:
        print_json(node.model_dump(mode="json"))
    else:
        console.print(f"Node {node.id} ({node.owner}) is registered with capacity {node.capacity}.")
