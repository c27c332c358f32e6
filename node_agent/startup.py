"""Starts a node from its folder: lock, settings, key, hardware, chain, bus, registration."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from atlas.clocks import MOST_SECONDS, describe_difference
from atlas.disk.files import naming
from atlas.errors import ContentError
from chain_bridge.client.messages import Node
from chain_bridge.errors import ChainUnreachable
from node_agent.agent import Agent
from node_agent.chain.chain import node_key, open_ledger, reconcile
from node_agent.chain.heartbeat import chain_interval, persist
from node_agent.chain.standing import jail_advice
from node_agent.data.local_data import commit_to_data
from node_agent.errors import BusUnreachable, NodeError
from node_agent.home.config import NodeConfig, NodeHome, load_config
from node_agent.home.journal import Journal
from node_agent.home.lock import only_agent
from node_agent.home.residuals import Residuals
from node_agent.node_context import NodeContext
from node_agent.presence.announcing import announcing, open_announcer
from node_agent.presence.machine import own_version, probe_machine
from node_agent.presence.registration import ensure_registered, open_store
from node_agent.storage.agent import StorageAgent
from node_agent.storage.keeper import Keeper
from node_agent.wire.bus import Bus
from node_agent.wire.messages import Heartbeat

log = logging.getLogger(__name__)
LONGEST_WAIT_SECONDS = 30.0


async def run_node(home: NodeHome, on_ready: Callable[[Node], None]) -> None:
    """Run the agent of `home` until SIGTERM or SIGINT; `on_ready` is called when it can accept tasks.

    Retries while the chain, message server or content store does not answer. Raises `ConfigError`, `NodeError`,
    `KeyFileError`, and `ChainError` for errors that a retry does not cure.
    """
    config = load_config(home)
    with naming(home.root, NodeError):
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_agent(home):
        work = asyncio.create_task(_work(home, config, on_ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _once(work.cancel))
        with suppress(asyncio.CancelledError):
            await work


async def _work(home: NodeHome, config: NodeConfig, on_ready: Callable[[Node], None]) -> None:
    key = node_key(home, config)
    machine, store, journal = probe_machine(config), open_store(home, config), Journal(home.journal)
    data = await asyncio.to_thread(commit_to_data, home, config, key.address)
    with open_ledger(home, config, key) as ledger:

        async def register() -> tuple[Node, int]:
            await asyncio.to_thread(reconcile, ledger)
            node = await asyncio.to_thread(ensure_registered, ledger, key, store, machine, data)
            _compare_clocks(time.time(), *await asyncio.to_thread(ledger.newest_block))
            return node, (await asyncio.to_thread(ledger.config)).heartbeat_seconds

        async def connect() -> Bus:
            return await Bus.connect(config.bus, key)

        node, grace = await persist(register, (ChainUnreachable, ContentError), LONGEST_WAIT_SECONDS)
        if node.status == "jailed":
            log.warning("%s", jail_advice(node, home))
        bus = await persist(connect, BusUnreachable, LONGEST_WAIT_SECONDS)
        try:
            heartbeat = Heartbeat(
                node_id=node.id,
                address=key.address,
                slots=machine.slots,
                running=[],
                version=own_version(),
                hardware=machine.hardware,
            )
            seconds = chain_interval(config.heartbeat_seconds, grace)
            async with announcing(open_announcer(config.content, key, ledger, node, machine.manifest(key.address))):
                if machine.role == "storage":
                    keeper = Keeper(ledger, store, node.id, machine.capacity, config.cache_bytes, time.time)
                    storage = StorageAgent(ledger, bus, heartbeat, keeper)
                    await storage.serve(seconds, config.heartbeat_seconds, lambda: on_ready(node))
                else:
                    residuals = Residuals(home.residuals)
                    context = NodeContext(
                        home, config, journal, store, residuals, bus, key, time.time, lambda job: ledger.job(job).owner
                    )
                    agent = Agent(context, ledger, heartbeat, machine.capacity, machine.slot_gpus)
                    await agent.serve(seconds, lambda: on_ready(node))
        finally:
            await bus.close()


def _compare_clocks(here: float, height: int, there: float) -> None:
    """Warn of a wrong clock, with which coordinators would refuse this node's messages.

    A chain that has stopped looks the same as a clock that is ahead.
    """
    if there - here > MOST_SECONDS:
        log.error("%s", describe_difference(here, there, f"block {height} of the chain"))
    elif here - there > MOST_SECONDS:
        log.warning(
            "%s A chain that makes no blocks looks the same.", describe_difference(here, there, f"its block {height}")
        )


def _once(action: Callable[[], object]) -> Callable[[], None]:
    """Limit `action` to one call, so that a second signal does not interrupt the orderly stop."""
    actions = [action]

    def act() -> None:
        if actions:
            actions.pop()()

    return act
