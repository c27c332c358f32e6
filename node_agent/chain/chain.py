"""A node's connection to the chain: one outbox per chain and key, shared by the agent and the commands."""

import logging

from chain_bridge.client.keys import Key, load_or_create_key, read_key
from chain_bridge.client.network import Network
from chain_bridge.errors import ChainError, ChainReset, InsufficientFunds
from chain_bridge.ledger import Ledger
from chain_bridge.outbox.outbox import Outbox
from node_agent.errors import NodeError
from node_agent.home.config import NodeConfig, NodeHome

log = logging.getLogger(__name__)


def node_key(home: NodeHome, config: NodeConfig) -> Key:
    """The node's key, created on first use; raises `KeyFileError`."""
    return load_or_create_key(home.key, config.network.prefix)


def need_key(home: NodeHome, config: NodeConfig) -> Key:
    """The node's key, for a command that only reads; raises `NodeError` where there is none, and `KeyFileError`."""
    key = read_key(home.key, config.network.prefix)
    if key is None:
        raise NodeError(f"There is no key at {home.key} yet. `{home.command('register')}` or `start` creates it.")
    return key


def open_ledger(home: NodeHome, config: NodeConfig, key: Key) -> Ledger:
    """The contract, opened with the node's key and an outbox that records sent transactions."""
    network = config.network
    return Ledger(network, key, outbox=Outbox(home.outbox(network.chain_id, key.address)))


def reconcile(ledger: Ledger) -> None:
    """Find the outcome of transactions that an earlier run sent, and send those that still wait. Blocks.

    Raises `ChainError`, and `NodeError` with the remedy when the account cannot pay.
    """
    try:
        ledger.flush()
    except ChainReset as error:
        log.warning("%s", error)  # transactions for a chain that was reset are useless on the new one
    except InsufficientFunds as error:
        raise explain_insufficient_funds(ledger, error) from error


def explain_insufficient_funds(ledger: Ledger, error: InsufficientFunds) -> NodeError:
    """The error with advice for the owner of a node that cannot pay. Blocks."""
    try:
        balance, stake = ledger.balance(ledger.address), ledger.config().min_stake
    except ChainError:
        return NodeError(str(error))
    return NodeError(
        f"{insufficient_funds_advice(ledger.address, balance, stake, ledger.network)} The chain's message: {error}"
    )


def insufficient_funds_advice(address: str, balance: int, stake: int, network: Network) -> str:
    """Advice for an account whose `balance` is too low; `stake` is the contract's minimum. In micro-units."""
    words = [f"The node's account {address} holds {balance} {network.denom}."]
    if stake > balance:
        words.append(f"Its stake is {stake}: send it at least {stake - balance} more.")
    if network.gas_price == 0:
        return " ".join(words)
    if network.fee_granter is None:
        words.append(
            "It also needs coins for fees: send it some, or ask the operator of the network to pay its fees with "
            f"`atlas chain grant {address}`, and put the operator's address as `fee_granter` under `network` into "
            "config.yaml."
        )
    else:
        words.append(
            f"Its fees are paid by {network.fee_granter}, whose grant is missing, used up or expired: ask the owner "
            f"of that account to run `atlas chain grant {address}`."
        )
    return " ".join(words)
