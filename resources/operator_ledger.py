"""The coordinator's connection to the contract: all processes of a home share an outbox per chain and key."""

import logging

from atlas.home import AtlasHome
from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainUnreachable
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox
from resources.errors import CoordinatorError

log = logging.getLogger(__name__)


def open_ledger(home: AtlasHome, network: Network, key: Key, timeout_seconds: float = 15.0) -> Ledger:
    """The contract, opened with the operator's key; transactions waiting in the outbox are sent.

    Raises what `Ledger.flush` raises, except for a chain that does not answer: the transactions are then sent later.
    """
    outbox = Outbox(home.outbox(network.chain_id, key.address))
    ledger = Ledger(network, key, timeout_seconds, outbox=outbox)
    try:
        ledger.flush()
    except ChainUnreachable as error:
        log.warning("could not send the transactions in the outbox, they are sent later: %s", error)
    return ledger


def need_ownership(ledger: Ledger, does: str) -> None:
    """Raise `CoordinatorError` unless the ledger's account owns the contract; `does` tells what only the owner does."""
    owner = ledger.ownership().owner
    if owner != ledger.address:
        raise CoordinatorError(
            f"Only the owner of the contract {ledger.contract} {does}. Its owner is {owner or 'no account'}, and this "
            f"command signs as {ledger.address}. Give the owner's key with --key FILE."
        )
