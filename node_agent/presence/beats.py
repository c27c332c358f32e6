"""A node's heartbeats: on chain for leases, on the bus for people and schedulers."""

import logging

from chain_bridge.errors import InsufficientFunds
from chain_bridge.ledger import Ledger
from node_agent.chain.chain import explain_insufficient_funds
from node_agent.errors import BusUnreachable
from node_agent.wire import subjects
from node_agent.wire.bus import Bus
from node_agent.wire.messages import Heartbeat

log = logging.getLogger(__name__)


def beat_on_chain(ledger: Ledger) -> None:
    """Send the heartbeat of the ledger's node; an account that cannot pay is logged with the remedy. Blocks."""
    try:
        ledger.heartbeat()
    except InsufficientFunds as error:
        log.warning("%s", explain_insufficient_funds(ledger, error))
        raise


async def beat_on_bus(bus: Bus, beat: Heartbeat) -> None:
    """Publish a heartbeat; raises `BusError`, so that nothing is queued while the message server does not answer."""
    if not bus.is_connected:
        raise BusUnreachable("The message server (`bus` in the settings) does not answer.")
    await bus.publish(subjects.heartbeat(beat.node_id), beat.to_body())
