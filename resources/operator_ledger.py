"""The coordinator's way to the contract: every process of one home shares an outbox per chain and key."""

import logging

from atlas.home import AtlasHome
from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox

log = logging.getLogger(__name__)


def open_ledger(home: AtlasHome, network: Network, key: Key, timeout_seconds: float = 15.0) -> Ledger:
    """The contract by the operator's key. What earlier processes left waiting is sent, if the chain answers now.

    Raises what `Ledger.flush` raises, but for a chain that does not answer: that delays and stops nothing.
    """
    outbox = Outbox(home.outbox(network.chain_id, key.address))
    ledger = Ledger(network, key, timeout_seconds, outbox=outbox)
    try:
        ledger.flush()
    except ChainUnreachable as error:
        log.warning("what waits in the outbox is sent later: %s", error)
    return ledger
